"""The classes of a cell: their names (ICSH), groups and display order. The one place."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class CellClass(StrEnum):
    """What a detected object is, in the order reports list it."""

    BLAST = "blast"
    NEUTROPHIL = "neutrophil"
    IMMATURE_GRANULOCYTE = "immature_granulocyte"
    EOSINOPHIL = "eosinophil"
    BASOPHIL = "basophil"
    LYMPHOCYTE = "lymphocyte"
    MONOCYTE = "monocyte"
    UNIDENTIFIED = "unidentified"
    ERYTHROBLAST = "erythroblast"
    PLATELET = "platelet"
    SMUDGE = "smudge"
    ARTEFACT = "artefact"

    @property
    def title(self) -> str:  # type: ignore[override]  # a name for people, not str.title
        """Name for people, as ICSH spells it."""
        return _TITLES.get(self, self.value.replace("_", " ").capitalize())


_TITLES = {
    CellClass.BLAST: "Blast",
    CellClass.ERYTHROBLAST: "Nucleated red cell",
    CellClass.PLATELET: "Platelet or clump",
    CellClass.SMUDGE: "Smudge cell",
}

#: Leukocytes: the denominator of every fraction. An unidentified cell is a leukocyte whose kind the
#: network would not name; leaving it out would inflate every other class.
COUNTED = frozenset(
    {
        CellClass.BLAST,
        CellClass.NEUTROPHIL,
        CellClass.IMMATURE_GRANULOCYTE,
        CellClass.EOSINOPHIL,
        CellClass.BASOPHIL,
        CellClass.LYMPHOCYTE,
        CellClass.MONOCYTE,
        CellClass.UNIDENTIFIED,
    }
)

#: Cells among which blasts are judged: a blast looks like one of these to the cell-type networks.
MONONUCLEAR = frozenset(
    {
        CellClass.BLAST,
        CellClass.LYMPHOCYTE,
        CellClass.MONOCYTE,
        CellClass.IMMATURE_GRANULOCYTE,
        CellClass.UNIDENTIFIED,
    }
)

#: What dense round blasts of a foreign stain are named by mistake. They are judged too, but only a call takes one of
#: them out of its class: basophils and nucleated red cells themselves are hardly ever called (docs/decisions/0004).
LOOK_LIKE_BLASTS = frozenset({CellClass.BASOPHIL, CellClass.ERYTHROBLAST})

#: Listed beside the differential with their counts, never in the denominator.
NOT_COUNTED = frozenset(CellClass) - COUNTED

#: What labelled sets call blasts, lower case without signs.
BLAST_NAMES = frozenset(
    {"blast", "blasts", "lymphoblast", "all", "leukemia", "leukaemia", "malignant", "cancer", "leukocyteblast", "1"}
)


def blast_column(names: Sequence[str]) -> int | None:
    """Place of the one class that is the blasts, whatever it is called; None where there is none, or several."""
    columns = [i for i, name in enumerate(names) if "".join(c for c in name.casefold() if c.isalnum()) in BLAST_NAMES]
    return columns[0] if len(columns) == 1 else None


def blasts_last(names: Sequence[str]) -> tuple[str, ...]:
    """Two classes with that of the blasts last, where figures look for the positive one; any others as they are."""
    return tuple(reversed(names)) if len(names) == 2 and blast_column(names) == 0 else tuple(names)
