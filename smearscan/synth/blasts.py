"""Lymphoblasts: large, little cytoplasm, fine chromatin, nucleoli.

After the FAB description of L1 and L2, doi:10.1111/j.1365-2141.1976.tb03563.x.
"""

from __future__ import annotations

import math

import numpy as np

from smearscan.synth.chance import Dice
from smearscan.synth.drawing import BASOPHILIC, NUCLEAR, Canvas, Drawing
from smearscan.synth.shapes import capsule, cover, ellipse, smooth_noise


def blast(dice: Dice) -> Drawing:
    """A lymphoblast of 10 to 16 µm."""
    radius = min(8.0, max(5.0, dice.normal(6.5, 0.75)))
    canvas = Canvas(dice, radius, dice.uniform(0.25, 0.55), dice.uniform(0.0, 0.1))
    stretch = 1 + dice.uniform(0, 0.12)
    angle = dice.angle()
    cell = ellipse(canvas.x, canvas.y, (0, 0), (radius * stretch, radius / stretch), angle)
    inside = cover(cell)
    streaks = 1 + 0.18 * smooth_noise(dice, canvas.shape, 0.8)
    canvas.lay(BASOPHILIC, dice.uniform(0.7, 1.0) * streaks, inside)
    share = dice.uniform(0.86, 0.98)
    side = dice.angle()
    off = (1 - share) * radius * dice.uniform(0.4, 0.95)
    nucleus = ellipse(
        canvas.x, canvas.y, (off * math.cos(side), off * math.sin(side)),
        (share * radius * stretch, share * radius / stretch), angle,
    )  # fmt: skip
    where = canvas.chromatin(
        np.maximum(nucleus, cell + 0.08), dice.uniform(0.6, 0.85), dice.uniform(0.5, 0.8), 0.12, 0.12
    )
    # Nuclei are not equally thick everywhere: broad shades under the fine chromatin.
    shade = 1 + dice.uniform(0.05, 0.12) * smooth_noise(dice, canvas.shape, 3.5)
    canvas.dyes[NUCLEAR] *= 1 + (np.clip(shade, 0.7, 1.3) - 1) * where
    for _ in range(dice.integer(0, 3)):
        _nucleolus(canvas, dice, share * radius, where)
    if dice.chance(0.25):
        _cleft(canvas, dice, share * radius, where)
    for _ in range(dice.integer(1, 4) if dice.chance(0.12) else 0):
        turn = dice.angle()
        hole = ellipse(canvas.x, canvas.y, (0.8 * radius * math.cos(turn), 0.8 * radius * math.sin(turn)), (0.5, 0.5))
        canvas.replace(0.6 * cover(hole, 0.4))
    return canvas.finish(cell)


def _nucleolus(canvas: Canvas, dice: Dice, reach: float, where: np.ndarray) -> None:
    """A paler, bluer spot with a rim of chromatin."""
    turn, far = dice.angle(), reach * dice.uniform(0.1, 0.62)
    size = dice.uniform(0.7, 1.3)
    spot = ellipse(canvas.x, canvas.y, (far * math.cos(turn), far * math.sin(turn)), (size, size * 0.85), dice.angle())
    inside = cover(spot, 0.5) * where
    canvas.dyes[NUCLEAR] *= 1 - dice.uniform(0.18, 0.36) * inside
    canvas.lay(BASOPHILIC, 0.18, inside)
    canvas.lay(NUCLEAR, 0.10 * np.exp(-((spot / 0.3) ** 2)), where)


def _cleft(canvas: Canvas, dice: Dice, reach: float, where: np.ndarray) -> None:
    """A fold of the nuclear membrane from the edge inwards."""
    turn = dice.angle()
    far, near = reach * 1.05, reach * dice.uniform(0.1, 0.5)
    bend = turn + dice.normal(0, 0.3)
    line = capsule(
        canvas.x, canvas.y, (far * math.cos(turn), far * math.sin(turn)),
        (near * math.cos(bend), near * math.sin(bend)), 0.14,
    )  # fmt: skip
    canvas.dyes[NUCLEAR] *= 1 - 0.4 * cover(line, 0.5) * where
