"""A model's classes and a set's, brought to one list, or refused by name.

Where the model is finer, its columns are added up (`merge_classes`); where the set is finer, its labels are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.classes import BLAST_NAMES, CellClass
from smearscan.errors import SettingsError
from smearscan.models.ensemble import merge_classes

#: Other names of a cell's class, lower case without signs: those of PBC and of Munich AML.
_CELL_NAMES: dict[str, CellClass] = {
    "".join(c for c in name.value if c.isalnum()): name for name in CellClass
} | {
    "ig": CellClass.IMMATURE_GRANULOCYTE, "immaturegranulocytes": CellClass.IMMATURE_GRANULOCYTE,
    "bas": CellClass.BASOPHIL, "ebo": CellClass.ERYTHROBLAST, "eos": CellClass.EOSINOPHIL, "ksc": CellClass.SMUDGE,
    "lya": CellClass.LYMPHOCYTE, "lyt": CellClass.LYMPHOCYTE, "mmz": CellClass.IMMATURE_GRANULOCYTE,
    "mob": CellClass.BLAST, "mon": CellClass.MONOCYTE, "myb": CellClass.IMMATURE_GRANULOCYTE,
    "myo": CellClass.BLAST, "ngb": CellClass.NEUTROPHIL, "ngs": CellClass.NEUTROPHIL,
    "pmb": CellClass.IMMATURE_GRANULOCYTE, "pmo": CellClass.IMMATURE_GRANULOCYTE,
}  # fmt: skip
_GRADES = {"early": "early", "earlypreb": "early", "pre": "pre", "preb": "pre", "pro": "pro", "prob": "pro"}
_BLASTS = BLAST_NAMES | frozenset(_GRADES)
_OTHERS = frozenset({"other", "others", "hem", "benign", "normal", "healthy", "nonblast", "0"})

_Meaning = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How both sides are brought together.

    Attributes
    ----------
    classes
        The list both are brought to.
    label_of
        Class of the set → one of `classes`.
    groups
        Each of `classes` → the model's classes whose probabilities make it.
    note
        What was joined; "" where nothing was.
    """

    classes: tuple[str, ...]
    label_of: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]
    note: str = ""

    def merged(self, probabilities: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Probabilities (N, len(self.classes)) float32 of the model's (N, len(classes))."""
        return merge_classes(probabilities, classes, self.groups)


def reconcile(set_classes: Sequence[str], model_classes: Sequence[str], model: str = "the model") -> Agreement:
    """Find the list of classes on which a set and a model can be compared.

    Raises
    ------
    SettingsError
        If a class of the set has no counterpart in the model, named.
    """
    for meaning in (_plain, _fine, _coarse):
        if (found := _set_onto_model(set_classes, model_classes, meaning)) is not None:
            return found
    if (found := _model_onto_set(set_classes, model_classes)) is not None:
        return found
    known = {_coarse(name) for name in model_classes} | {_fine(name) for name in model_classes}
    strange = [name for name in set_classes if _coarse(name) not in known and _fine(name) not in known]
    raise SettingsError(
        f"{model} knows {', '.join(model_classes)}: the set's {', '.join(strange or set_classes)} cannot be matched",
        "choose a model of these classes, or rename the folders or labels",
    )


def _set_onto_model(set_classes: Sequence[str], model_classes: Sequence[str], meaning: _Meaning) -> Agreement | None:
    """Each class of the set is one class of the model, perhaps several of them the same."""
    of_meaning: dict[str, str] = {}
    for name in model_classes:
        if (said := meaning(name)) in of_meaning:
            return None  # the model is finer than this meaning
        of_meaning[said] = name
    label_of = {name: of_meaning.get(meaning(name), "") for name in set_classes}
    if not all(label_of.values()):
        return None
    joined = len(set(label_of.values())) < len(label_of)
    if joined and len(set(label_of.values())) < 2:
        return None
    said = _told(label_of)
    note = f"labels {'joined' if joined else 'renamed'}: {said}" if said else ""
    return Agreement(tuple(model_classes), label_of, {name: (name,) for name in model_classes}, note)


def _model_onto_set(set_classes: Sequence[str], model_classes: Sequence[str]) -> Agreement | None:
    """Several classes of the model make one of the set."""
    for meaning in (_fine, _coarse):
        of_meaning = {meaning(name): name for name in set_classes}
        if len(of_meaning) < max(2, len(set_classes)):
            continue  # a set of one class would make all columns one, and every answer right
        target = {name: of_meaning.get(meaning(name), "") for name in model_classes}
        groups = {name: tuple(m for m, t in target.items() if t == name) for name in set_classes}
        if all(target.values()) and all(groups.values()):
            note = "probabilities added up: " + _told(target)
            return Agreement(tuple(set_classes), {name: name for name in set_classes}, groups, note)
    return None


def _told(mapping: Mapping[str, str]) -> str:
    return ", ".join(f"{a} → {b}" for a, b in mapping.items() if a != b)


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def _fine(name: str) -> str:
    """A cell's class or a grade, whatever a set calls it; else the name itself."""
    plain = _plain(name)
    grade = plain.removeprefix("wbc").removeprefix("malignant")
    if plain in _CELL_NAMES:
        return _CELL_NAMES[plain].value
    return _GRADES.get(grade, plain)


def _coarse(name: str) -> str:
    """Blast or not; the name itself where it says neither."""
    fine = _fine(name)
    if fine in _BLASTS:
        return "blast"
    return "other" if fine in _OTHERS or fine in set(CellClass) else fine
