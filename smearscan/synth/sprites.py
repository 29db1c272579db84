"""Sprites: drawings seen through one laboratory's stain, lens and camera.

A sprite is what share of the light it lets through; overlapping cells multiply, as they do on
glass. It is drawn when first asked for, and depends on (laboratory, scale, seed, class, variant).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from smearscan.classes import CellClass
from smearscan.geometry import Box
from smearscan.synth import blasts, leukocytes, others
from smearscan.synth.chance import Dice
from smearscan.synth.drawing import Drawing
from smearscan.synth.laboratories import Laboratory
from smearscan.synth.shapes import DRAW_MPP

DRAWERS: dict[CellClass, Callable[[Dice], Drawing]] = {
    CellClass.NEUTROPHIL: leukocytes.neutrophil,
    CellClass.EOSINOPHIL: leukocytes.eosinophil,
    CellClass.BASOPHIL: leukocytes.basophil,
    CellClass.LYMPHOCYTE: leukocytes.lymphocyte,
    CellClass.MONOCYTE: leukocytes.monocyte,
    CellClass.IMMATURE_GRANULOCYTE: leukocytes.immature_granulocyte,
    CellClass.ERYTHROBLAST: leukocytes.erythroblast,
    CellClass.BLAST: blasts.blast,
    CellClass.PLATELET: others.platelet,
    CellClass.SMUDGE: others.smudge,
    CellClass.ARTEFACT: others.artefact,
}

#: Numbers of the classes in hashes: fixed, so that a new class does not redraw the old ones.
CLASS_NUMBERS = {cell_class: number for number, cell_class in enumerate(DRAWERS, start=1)}
_RED_CELL_NUMBER = 100

#: Ways to turn and mirror one sprite.
N_TURNS = 8


@dataclass(frozen=True, slots=True, eq=False)
class Sprite:
    """One cell as light sees it.

    Attributes
    ----------
    light
        (H, W, 3) uint8 RGB, share of the light let through × 255.
    box
        The cell's own extent inside the sprite, pixels.
    """

    light: np.ndarray
    box: Box


def render_sprite(drawing: Drawing, laboratory: Laboratory, mpp: float, blur: float = 1.0) -> Sprite:
    """A drawing as this laboratory's camera sees it at `mpp` µm per pixel.

    Parameters
    ----------
    blur
        Factor on the laboratory's blur: no slide is in focus everywhere.
    """
    density = np.einsum("dyx,dc->yxc", drawing.dyes, laboratory.densities())
    light = np.exp(-density)
    sigma = laboratory.blur_um * blur / DRAW_MPP
    light = cv2.GaussianBlur(light, (0, 0), max(0.3, sigma), borderType=cv2.BORDER_REPLICATE)
    side = max(3, round(light.shape[0] * DRAW_MPP / mpp))
    light = _resample(_with_fringe(light, laboratory.fringe_um), side)
    inside = _resample((drawing.outline < 0).astype(np.float64), side) > 0.5
    return Sprite(np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8), _extent(inside))


def _with_fringe(light: np.ndarray, shift_um: float) -> np.ndarray:
    if not shift_um:
        return light
    out = light.copy()
    for channel, sign in ((0, -0.5), (2, 0.5)):
        move = np.array([[1, 0, sign * shift_um / DRAW_MPP], [0, 1, 0]])
        size = (light.shape[1], light.shape[0])
        out[..., channel] = cv2.warpAffine(light[..., channel], move, size, borderMode=cv2.BORDER_REPLICATE)
    return out


def _resample(image: np.ndarray, side: int) -> np.ndarray:
    shrinks = side <= image.shape[0]
    return cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def _extent(inside: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not len(rows):  # smaller than a pixel
        return Box(inside.shape[1] // 2, inside.shape[0] // 2, 1, 1)
    left, top = int(columns[0]), int(rows[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def _turned(sprite: Sprite, turn: int) -> Sprite:
    light, box = sprite.light, sprite.box
    size = light.shape[0]
    if turn & 1:
        light, box = light[:, ::-1], Box(size - box.right, box.y, box.width, box.height)
    if turn & 2:
        light, box = light[::-1], Box(box.x, size - box.bottom, box.width, box.height)
    if turn & 4:
        light, box = light.transpose(1, 0, 2), Box(box.y, box.x, box.height, box.width)
    return Sprite(np.ascontiguousarray(light), box)


class SpriteBank:
    """All sprites of one smear, drawn when first asked for.

    Parameters
    ----------
    laboratory, mpp
        How they look and at what scale.
    seed
        Of the smear.
    red_cell_um
        Median diameter of this patient's red cells, µm.
    n_variants
        Drawings per class; each comes in eight turns.
    """

    def __init__(self, laboratory: Laboratory, mpp: float, seed: int, red_cell_um: float, n_variants: int = 64) -> None:
        self.laboratory = laboratory
        self.mpp = mpp
        self.seed = seed
        self.red_cell_um = red_cell_um
        self.n_variants = n_variants
        self._sprites: dict[tuple[int, int, int], Sprite] = {}

    def cell(self, cell_class: CellClass, variant: int, turn: int) -> Sprite:
        """The sprite of a leukocyte, platelet, smudge or artefact."""
        return self._fetch(CLASS_NUMBERS[cell_class], variant, turn, DRAWERS[cell_class])

    def red_cell(self, variant: int, turn: int) -> Sprite:
        """The sprite of a red cell."""
        return self._fetch(_RED_CELL_NUMBER, variant, turn, self._draw_red_cell)

    def _draw_red_cell(self, dice: Dice) -> Drawing:
        spread = math.exp(dice.normal(0, 0.045))
        return others.red_cell(dice, self.red_cell_um * spread, self.laboratory.pallor)

    def _fetch(self, number: int, variant: int, turn: int, draw: Callable[[Dice], Drawing]) -> Sprite:
        key = (number, variant % self.n_variants, turn % N_TURNS)
        if key not in self._sprites:
            if key[2]:
                self._sprites[key] = _turned(self._fetch(number, variant, 0, draw), key[2])
            else:
                dice = Dice(self.seed, number, key[1])
                blur = dice.uniform(0.8, 1.35)
                self._sprites[key] = render_sprite(draw(dice), self.laboratory, self.mpp, blur)
        return self._sprites[key]
