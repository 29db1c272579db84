"""What is not a leukocyte: red cells, platelets, smudges, stain deposits."""

from __future__ import annotations

import math

import numpy as np

from smearscan.synth.chance import Dice
from smearscan.synth.drawing import BASOPHILIC, EOSIN, NUCLEAR, RED_CELL, Canvas, Drawing
from smearscan.synth.shapes import capsule, cover, ellipse, granules, join, smooth_noise


def red_cell(dice: Dice, diameter_um: float, pallor: float) -> Drawing:
    """A disc, denser towards its rim, with a pale middle.

    Parameters
    ----------
    diameter_um
        Of this cell, mean of its axes.
    pallor
        Depth of the pale middle, 0 to 1, as this laboratory's films tend to show it.
    """
    radius = diameter_um / 2
    canvas = Canvas(dice, radius, 0.12)
    stretch = 1 + abs(dice.normal(0, 0.05)) + (0.2 if dice.chance(0.03) else 0.0)
    angle = dice.angle()
    outline = ellipse(canvas.x, canvas.y, (0, 0), (radius * stretch, radius / stretch), angle)
    if dice.chance(0.02):  # crenated: an echinocyte
        turn = np.arctan2(canvas.y, canvas.x)
        outline = outline + dice.uniform(0.1, 0.22) * np.sin(dice.integer(11, 17) * turn + dice.angle())
    depth = 1 + outline / (radius / stretch)  # 0 in the middle, 1 on the outline
    middle = dice.uniform(0.32, 0.5)
    dip = pallor * dice.uniform(0.35, 1.35) * (0.1 if dice.chance(0.12) else 1.0)
    height = 1 - min(0.92, dip) / (1 + np.exp((depth - middle) / 0.07))
    rim = 0.10 * np.exp(-(((outline + 0.45) / 0.35) ** 2))
    grain = 1 + 0.025 * smooth_noise(dice, canvas.shape, 0.8)
    canvas.lay(RED_CELL, dice.normal(1.0, 0.09) * (height + rim) * grain, cover(outline, 0.35))
    return canvas.finish(outline)


def platelet(dice: Dice) -> Drawing:
    """One platelet of 2 to 4 µm, or a clump of them."""
    n = dice.integer(4, 9) if dice.chance(0.06) else 1
    spread = 0.0 if n == 1 else 0.75 * math.sqrt(n)
    canvas = Canvas(dice, spread + 2.0, 0.25)
    outline: np.ndarray | None = None
    for _ in range(n):
        turn, far, size = dice.angle(), spread * math.sqrt(dice.uniform()), dice.uniform(0.9, 1.7)
        place = (far * math.cos(turn), far * math.sin(turn))
        one = ellipse(canvas.x, canvas.y, place, (size, size * dice.uniform(0.65, 1.0)), dice.angle())
        outline = one if outline is None else join(outline, one, 0.3)
    assert outline is not None
    inside = cover(outline, 0.35)
    canvas.lay(BASOPHILIC, dice.uniform(0.15, 0.35), inside)
    grains = granules(dice, canvas.shape, 0.45, 0.22, 0.8) * cover(outline + 0.25, 0.5)
    canvas.lay(NUCLEAR, dice.uniform(0.2, 0.35), inside)
    canvas.lay(NUCLEAR, dice.uniform(0.3, 0.6), grains)
    return canvas.finish(outline)


def smudge(dice: Dice) -> Drawing:
    """A burst nucleus: pale, streaked, without a cell around it."""
    radius = dice.uniform(6.5, 9.5)
    canvas = Canvas(dice, radius + 1.0, 1.1)
    angle = dice.angle()
    outline = ellipse(canvas.x, canvas.y, (0, 0), (radius, radius * dice.uniform(0.55, 0.85)), angle)
    along = canvas.x * math.cos(angle) + canvas.y * math.sin(angle)
    streaks = np.sin(1.4 * along + 1.2 * smooth_noise(dice, canvas.shape, 2.5))
    texture = 1 + 0.18 * streaks + 0.3 * smooth_noise(dice, canvas.shape, 1.2)
    inside = cover(outline, 1.6)
    canvas.lay(NUCLEAR, dice.uniform(0.25, 0.42) * np.clip(texture, 0.2, 2.0), inside)
    canvas.lay(EOSIN, dice.uniform(0.2, 0.5), inside)
    return canvas.finish(outline)


def artefact(dice: Dice) -> Drawing:
    """A deposit of stain: dark specks and flakes."""
    radius = dice.uniform(2.0, 5.0)
    canvas = Canvas(dice, radius, 0.8)
    outline = ellipse(canvas.x, canvas.y, (0, 0), (radius, radius * dice.uniform(0.4, 0.9)), dice.angle())
    specks = granules(dice, canvas.shape, 0.7, 0.25, 0.6)
    canvas.lay(NUCLEAR, 1.6 * specks, cover(outline, 0.8))
    turn = dice.angle()
    end = (radius * math.cos(turn), radius * math.sin(turn))
    canvas.lay(NUCLEAR, dice.uniform(0.3, 0.9), cover(capsule(canvas.x, canvas.y, (0, 0), end, 0.35), 0.3))
    return canvas.finish(outline)
