"""What a report says of the fields around the suspect cells, and how it is marked: evidence, no result."""

from __future__ import annotations

from dataclasses import dataclass

from smearscan.models.field_subtypes import TITLES, FieldSubtypes
from smearscan.report import wording


@dataclass(frozen=True, slots=True)
class SubtypeRow:
    """One class: its title and its share, 0 to 1."""

    title: str
    share: float


@dataclass(frozen=True, slots=True)
class SubtypeView:
    """Rows of the table, and what stands under it."""

    rows: tuple[SubtypeRow, ...]
    sentence: str


def view_subtypes(found: FieldSubtypes | None) -> SubtypeView | None:
    """The view, or None where nothing was looked at."""
    if found is None:
        return None
    rows = tuple(SubtypeRow(TITLES.get(name, name), share) for name, share in found.shares.items())
    fields = wording.counted(found.n_fields, "field", "fields")
    likeliest = TITLES.get(found.likeliest, found.likeliest)
    sentence = (
        f"{fields} around the cells called blasts, judged as whole images; {found.n_agreeing} of {found.n_fields} look "
        f"most like {likeliest}. The network knows the fields of one laboratory, where class goes with stain and "
        "scale, and has no class for anything else. It changes no number and no flag; lineage needs flow cytometry."
    )
    return SubtypeView(rows, sentence)
