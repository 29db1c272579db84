"""Leukocytes as a haematologist would describe them, drawn in units of dye.

Sizes, lobes, chromatin and granules follow the descriptions in Bain, Blood Cells: A Practical
Guide, and the ICSH grading of morphology, doi:10.1111/ijlh.12327. Blasts are in `blasts.py`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

from smearscan.synth.chance import Dice
from smearscan.synth.drawing import BASOPHILIC, EOSIN, NUCLEAR, RED_CELL, Canvas, Drawing
from smearscan.synth.shapes import capsule, carve, cover, ellipse, granules, join, smooth_noise

Centre = tuple[float, float]


def _cell(canvas: Canvas, radius: float, oval: float = 0.08) -> np.ndarray:
    """Outline of a nearly round cell, µm."""
    stretch = 1 + canvas.dice.uniform(0, oval)
    return ellipse(canvas.x, canvas.y, (0, 0), (radius * stretch, radius / stretch), canvas.dice.angle())


def _towards(angle: float, distance: float) -> Centre:
    return distance * math.cos(angle), distance * math.sin(angle)


def _lobes(canvas: Canvas, n: int, reach: float, size: tuple[float, float], turn: float) -> np.ndarray:
    """Nuclear lobes along an arc, joined by threads."""
    dice = canvas.dice
    start = dice.angle()
    places = [_towards(start + i * turn * dice.uniform(0.9, 1.1), reach * dice.uniform(0.85, 1.15)) for i in range(n)]
    shape: np.ndarray | None = None
    for place in places:
        wide = dice.uniform(*size)
        lobe = ellipse(canvas.x, canvas.y, place, (wide, wide * dice.uniform(0.72, 0.95)), dice.angle())
        shape = lobe if shape is None else join(shape, lobe, 0.5)
    assert shape is not None
    for one, other in itertools.pairwise(places):
        shape = join(shape, capsule(canvas.x, canvas.y, one, other, dice.uniform(0.3, 0.7)), 0.4)
    return shape


def neutrophil(dice: Dice) -> Drawing:
    """Segmented or band: two to five lobes, fine lilac dust on pale pink."""
    radius = dice.normal(6.2, 0.45)
    canvas = Canvas(dice, radius, 0.25)
    cell = _cell(canvas, radius)
    inside = cover(cell)
    cloud = 1 + 0.2 * smooth_noise(dice, canvas.shape, 1.2)
    canvas.lay(EOSIN, dice.uniform(0.22, 0.5) * cloud, inside)
    canvas.lay(BASOPHILIC, dice.uniform(0.05, 0.16), inside)
    canvas.lay(NUCLEAR, dice.uniform(0.10, 0.25) * granules(dice, canvas.shape, 0.5, 0.18, 0.7), inside)
    n = (2, 3, 3, 3, 4, 4, 5)[dice.integer(0, 6)]
    size = {2: (2.2, 2.7), 3: (1.8, 2.3), 4: (1.6, 2.0), 5: (1.4, 1.8)}[n]
    nucleus = _lobes(canvas, n, 0.44 * radius, size, {2: 2.0, 3: 1.55, 4: 1.3, 5: 1.12}[n])
    canvas.chromatin(np.maximum(nucleus, cell + 0.35), 1.0, 0.9, 0.24)
    return canvas.finish(cell)


def eosinophil(dice: Dice) -> Drawing:
    """Two lobes among large orange granules."""
    radius = dice.normal(6.5, 0.4)
    canvas = Canvas(dice, radius, 0.2)
    cell = _cell(canvas, radius)
    inside = cover(cell)
    canvas.lay(EOSIN, dice.uniform(0.55, 0.75), inside)
    canvas.lay(EOSIN, dice.uniform(0.55, 0.8) * granules(dice, canvas.shape, 0.72, 0.42), cover(cell + 0.2))
    canvas.lay(NUCLEAR, 0.10 * granules(dice, canvas.shape, 0.9, 0.3, 0.5), inside)
    n = 2 if dice.chance(0.75) else 3
    nucleus = _lobes(canvas, n, 0.42 * radius, (2.1, 2.6) if n == 2 else (1.7, 2.1), 1.75)
    canvas.chromatin(np.maximum(nucleus, cell + 0.4), 0.95, 0.9, 0.22)
    return canvas.finish(cell)


def basophil(dice: Dice) -> Drawing:
    """Coarse dark granules over the whole cell, the nucleus half hidden."""
    radius = dice.normal(5.9, 0.4)
    canvas = Canvas(dice, radius, 0.25)
    cell = _cell(canvas, radius)
    inside = cover(cell)
    canvas.lay(NUCLEAR, dice.uniform(0.10, 0.22), inside)
    canvas.lay(BASOPHILIC, dice.uniform(0.1, 0.3), inside)
    nucleus = _lobes(canvas, dice.integer(2, 3), 0.35 * radius, (2.2, 2.9), 1.8)
    canvas.chromatin(np.maximum(nucleus, cell + 0.3), 0.7, 1.0, 0.2)
    grains = granules(dice, canvas.shape, 0.85, 0.42, dice.uniform(0.55, 0.85))
    canvas.lay(NUCLEAR, dice.uniform(0.75, 1.05) * grains, cover(cell + 0.1))
    return canvas.finish(cell)


def lymphocyte(dice: Dice) -> Drawing:
    """Small with a dense round nucleus, or large with more pale blue cytoplasm."""
    is_large = dice.chance(0.2)
    radius = dice.normal(6.1, 0.4) if is_large else dice.normal(5.0, 0.35)
    canvas = Canvas(dice, radius, 0.22, dice.uniform(0.04, 0.16))
    cell = _cell(canvas, radius, 0.12)
    inside = cover(cell)
    canvas.lay(BASOPHILIC, dice.uniform(0.5, 1.0) * (1 + 0.25 * smooth_noise(dice, canvas.shape, 0.8)), inside)
    canvas.lay(NUCLEAR, dice.uniform(0.03, 0.12), inside)
    if is_large:
        canvas.lay(NUCLEAR, 0.4 * granules(dice, canvas.shape, 2.2, 0.22, 0.3), cover(cell + 0.4))
    share = dice.uniform(0.76, 0.84) if is_large else dice.uniform(0.84, 0.94)
    place = _towards(dice.angle(), (1 - share) * radius * dice.uniform(0.3, 0.9))
    oval = dice.uniform(0.9, 1.0)
    nucleus = ellipse(canvas.x, canvas.y, place, (share * radius, share * radius * oval), dice.angle())
    if dice.chance(0.25):
        notch = ellipse(canvas.x, canvas.y, _towards(dice.angle(), share * radius * 1.1), (1.0, 1.0))
        nucleus = carve(nucleus, notch, 0.6)
    canvas.chromatin(np.maximum(nucleus, cell + 0.1), dice.uniform(0.95, 1.2), dice.uniform(0.6, 1.0), 0.24)
    return canvas.finish(cell)


def monocyte(dice: Dice) -> Drawing:
    """Large, grey-blue, a folded nucleus of lacy chromatin, dust and vacuoles."""
    radius = dice.normal(7.4, 0.5)
    canvas = Canvas(dice, radius, 0.45, 0.08)
    cell = _cell(canvas, radius, 0.15)
    inside = cover(cell)
    canvas.lay(BASOPHILIC, dice.uniform(0.45, 0.75) * (1 + 0.18 * smooth_noise(dice, canvas.shape, 0.9)), inside)
    canvas.lay(NUCLEAR, dice.uniform(0.05, 0.14), inside)
    canvas.lay(NUCLEAR, dice.uniform(0.06, 0.14) * granules(dice, canvas.shape, 0.45, 0.16, 0.6), inside)
    angle = dice.angle()
    nucleus = ellipse(
        canvas.x, canvas.y, _towards(angle, 0.1 * radius), (radius * dice.uniform(0.62, 0.72), radius * 0.8), angle
    )
    notch = _towards(angle + dice.normal(0, 0.3), -radius * dice.uniform(0.5, 0.75))
    fold = ellipse(
        canvas.x, canvas.y, notch, (radius * dice.uniform(0.32, 0.5), radius * dice.uniform(0.2, 0.34)), angle
    )
    nucleus = carve(nucleus, fold, 0.9)
    where = canvas.chromatin(np.maximum(nucleus, cell + 0.3), dice.uniform(0.8, 1.0), dice.uniform(0.6, 0.9), 0.25)
    crease = capsule(canvas.x, canvas.y, notch, _towards(angle, 0.3 * radius), 0.12)
    canvas.lay(NUCLEAR, -0.25, where * cover(crease, 0.5))
    for _ in range(dice.integer(0, 5)):
        hole = ellipse(canvas.x, canvas.y, _towards(dice.angle(), radius * dice.uniform(0.4, 0.85)), (0.45, 0.4))
        canvas.replace(0.7 * cover(hole, 0.4) * (1 - where))
    return canvas.finish(cell)


def immature_granulocyte(dice: Dice) -> Drawing:
    """Promyelocyte to metamyelocyte: an oval or dented nucleus beside granular cytoplasm."""
    radius = dice.normal(7.4, 0.6)
    canvas = Canvas(dice, radius, 0.3, 0.05)
    cell = _cell(canvas, radius, 0.12)
    inside = cover(cell)
    is_early = dice.chance(0.35)
    canvas.lay(BASOPHILIC, dice.uniform(0.45, 0.7) if is_early else dice.uniform(0.15, 0.4), inside)
    canvas.lay(EOSIN, 0.1 if is_early else dice.uniform(0.2, 0.35), inside)
    canvas.lay(NUCLEAR, 0.2 * granules(dice, canvas.shape, 0.45, 0.18, 0.7), inside)
    angle = dice.angle()
    share = dice.uniform(0.74, 0.84) if is_early else dice.uniform(0.64, 0.74)
    nucleus = ellipse(
        canvas.x, canvas.y, _towards(angle, (1 - share) * radius * 0.75),
        (share * radius * dice.uniform(0.75, 0.95), share * radius), angle,
    )  # fmt: skip
    if not is_early and dice.chance(0.6):
        dent = ellipse(canvas.x, canvas.y, _towards(angle, -radius * dice.uniform(0.35, 0.5)), (2.0, 2.6), angle)
        nucleus = carve(nucleus, dent, 0.9)
    canvas.chromatin(np.maximum(nucleus, cell + 0.25), dice.uniform(0.8, 1.0), 0.7, 0.25)
    if is_early:
        canvas.lay(NUCLEAR, 0.5 * granules(dice, canvas.shape, 0.9, 0.26, 0.55), cover(cell + 0.3))
    return canvas.finish(cell)


def erythroblast(dice: Dice) -> Drawing:
    """A small, round, nearly black nucleus in blue-grey to pink cytoplasm."""
    radius = dice.normal(4.6, 0.4)
    canvas = Canvas(dice, radius, 0.18)
    cell = _cell(canvas, radius, 0.12)
    inside = cover(cell)
    ripeness = dice.uniform()
    canvas.lay(BASOPHILIC, 0.75 - 0.5 * ripeness, inside)
    canvas.lay(RED_CELL, 0.25 + 0.7 * ripeness, inside)
    share = dice.uniform(0.48, 0.66) - 0.06 * ripeness
    place = _towards(dice.angle(), (1 - share) * radius * dice.uniform(0.1, 0.7))
    nucleus = ellipse(
        canvas.x, canvas.y, place, (share * radius, share * radius * dice.uniform(0.92, 1.0)), dice.angle()
    )
    canvas.chromatin(nucleus, dice.uniform(1.05, 1.3), 1.0, 0.28)
    return canvas.finish(cell)
