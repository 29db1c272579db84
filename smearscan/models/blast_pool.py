"""One probability of blast, from the ensemble's members and the cell's size.

Log-odds are added (a logarithmic opinion pool, Genest & Zidek 1986, doi:10.1214/ss/1177013825): a member that says one
half adds nothing, where in a mean of probabilities it would pull everything towards one half. One member knows a single
laboratory and is trained to say one half elsewhere. Where it is sure, the laboratory is known and the networks are
enough; where it is silent the cell's size, which means the same everywhere, is asked as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from smearscan.models.size_evidence import SizeEvidence

#: No member is surer than this, so that none can overrule all others.
_SUREST = 1e-4


@dataclass(frozen=True, slots=True)
class BlastPool:
    """How the members' answers are put together.

    Attributes
    ----------
    weights
        One a member, on its log-odds.
    size
        What the cell's diameter adds.
    home
        Place of the member that knows one laboratory alone; None where there is none, size is then always asked.
    offset
        Log-odds added to every cell, so that one half means one half.
    silent
        Log-odds added where the home member is silent: what it adds to a blast at home. Without it one threshold would
        ask more of the others' blasts than of its own laboratory's.
    """

    weights: tuple[float, ...]
    size: SizeEvidence
    home: int | None = None
    offset: float = 0.0
    silent: float = 0.0

    def probability(self, members: np.ndarray, areas_um2: Sequence[float] | np.ndarray) -> np.ndarray:
        """Pooled probability of blast, (N,) float32.

        Parameters
        ----------
        members
            (M, N) float, each member's probability of blast.
        areas_um2
            (N,) areas of the whole cells in µm², 0 where none was outlined.
        """
        if len(members) != len(self.weights):
            raise ValueError(f"{len(members)} members need as many weights, not {len(self.weights)}")
        chances = members.astype(np.float64).clip(_SUREST, 1 - _SUREST)
        odds = np.einsum("m,mn->n", np.asarray(self.weights, np.float64), logit(chances))
        asked = 1.0 if self.home is None else 1 - np.abs(2 * chances[self.home] - 1)
        abroad = self.size.log_odds(areas_um2) + (0.0 if self.home is None else self.silent)
        return np.asarray(expit(self.offset + odds + asked * abroad), np.float32)
