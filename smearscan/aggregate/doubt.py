"""Whether blasts may hide under the threshold: a guard against *clear* in a laboratory that the network reads low.

In another laboratory blasts often still rank above normal cells, and yet stay under the threshold that was set at home.
Their probabilities then pile up below it, as those of normal blood do not. So a second, lower line is counted as well:
the mononuclear cells above it are *suspect*, and more of them than 95 % of blast-free patients have forbids *clear*.
The limit rests on the same groups and the same reasoning as the limit of blank.
"""

from __future__ import annotations

from collections.abc import Sequence

from smearscan.aggregate.limits import blank_calls
from smearscan.aggregate.rates import fit_rate
from smearscan.aggregate.validation import Validation
from smearscan.classes import MONONUCLEAR
from smearscan.records import CellPrediction


def list_doubts(cells: Sequence[CellPrediction], validation: Validation | None) -> list[str]:
    """Sentences that forbid *clear*; empty where the probabilities look like those of blast-free groups.

    Also empty where no card says how many suspect cells blast-free groups have.
    """
    if validation is None or validation.suspect_from is None or not validation.suspects_of_blanks:
        return []
    judged = [c.blast_probability for c in cells if c.is_counted and c.cell_class in MONONUCLEAR]
    n_suspect = sum(probability >= validation.suspect_from for probability in judged)
    limit = blank_calls(len(judged), fit_rate(validation.suspects_of_blanks))
    if n_suspect <= limit:
        return []
    return [
        f"{n_suspect} of {len(judged)} mononuclear cells reach a blast probability of {validation.suspect_from:g},"
        f" beyond the {limit} that blast-free smears stay within: the network may read this laboratory's blasts low"
    ]
