"""What a cell is, from two answers: its type, then blast or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR, CellClass


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
    best = int(np.argmax(types))
    cell_class, probability = CellClass(classes[best]), float(types[best])
    if probability < least_sure:
        cell_class = CellClass.UNIDENTIFIED
    if cell_class in MONONUCLEAR | LOOK_LIKE_BLASTS and blast >= blast_from:
        return Verdict(CellClass.BLAST, blast, blast, spread)
    return Verdict(cell_class, probability, blast, spread)
