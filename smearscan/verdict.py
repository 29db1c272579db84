"""What a cell is, from two answers: its type, then blast or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR, NOT_COUNTED, CellClass

#: Its type's probability where nothing was looked at: no network was sure of anything.
_NOT_LOOKED_AT = 0.0
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the networks say of one cell; `spread` is the disagreement of the blast ensemble's members."""

    cell_class: CellClass
    class_probability: float
    blast_probability: float
    spread: float


def decide(
    types: np.ndarray, classes: Sequence[str], blast: float, spread: float, least_sure: float, blast_from: float
) -> Verdict:
    """The type first; then a mononuclear cell, or one whose type the network would not name, may be a blast.

    So may one of a class that blasts are mistaken for.

    Parameters
    ----------
    types
        (C,) float, probabilities of `classes`.
    blast, spread
        Probability of blast and how far the ensemble's members disagree.
    least_sure
        Below this probability a leukocyte's type is *unidentified*.
    blast_from
        From this probability such a cell is a blast.
    """
    cell_class, probability = name_type(types, classes, least_sure)
    if cell_class in MONONUCLEAR | LOOK_LIKE_BLASTS and blast >= blast_from:
        return Verdict(CellClass.BLAST, blast, blast, spread)
    return Verdict(cell_class, probability, blast, spread)


def name_type(types: np.ndarray, classes: Sequence[str], least_sure: float) -> tuple[CellClass, float]:
    """The type of a cell and its probability.

    Where no class is likely enough, but it is likelier than not that the thing is no leukocyte, it is the likeliest of
    those that are none: an *unidentified* one would be counted, and might be called a blast.
    """
    best = int(np.argmax(types))
    if types[best] >= least_sure:
        return CellClass(classes[best]), float(types[best])
    others = [i for i, name in enumerate(classes) if name in NOT_COUNTED]
    if float(types[others].sum()) <= _HALF:
        return CellClass.UNIDENTIFIED, float(types[best])
    likeliest = max(others, key=lambda i: float(types[i]))
    return CellClass(classes[likeliest]), float(types[likeliest])


def not_outlined(blast: float, spread: float) -> Verdict:
    """What is said of a cell that networks are shown on black and that has no outline: all black, whatever it is.

    Of labelled cells 2 of 4,260 leukocytes have none, but 178 of 888 platelets and 1,019 of 2,170 red cells: it is most
    likely no leukocyte.
    """
    return Verdict(CellClass.ARTEFACT, _NOT_LOOKED_AT, blast, spread)
