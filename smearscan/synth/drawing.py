"""A drawing: amounts of dye on a small plane, and where the cell's outline runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.synth.chance import Dice
from smearscan.synth.laboratories import DYES
from smearscan.synth.shapes import cover, plane, smooth_noise, warp

NUCLEAR, BASOPHILIC, EOSIN, RED_CELL = range(len(DYES))


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """What lies on the glass, before stain, light and lens.

    Attributes
    ----------
    dyes
        (4, N, N) float64, units of each dye of `DYES`, at `DRAW_MPP` µm per pixel.
    outline
        (N, N) float64, distance from the cell's outline in µm, negative inside.
    """

    dyes: np.ndarray
    outline: np.ndarray


class Canvas:
    """A plane to draw one cell on, with coordinates already pushed about.

    Parameters
    ----------
    dice
        What decides the drawing.
    radius_um
        Radius of what will be drawn; the plane leaves a margin for its edge.
    wobble_um
        How uneven outlines become, over some 3 µm.
    rough_um
        How frayed, over some 1 µm.
    """

    def __init__(self, dice: Dice, radius_um: float, wobble_um: float = 0.2, rough_um: float = 0.0) -> None:
        self.dice = dice
        x, y = plane(2 * radius_um + 5.0)
        self.shape: tuple[int, int] = (x.shape[0], x.shape[1])
        self.x, self.y = warp(dice, x, y, wobble_um, 3.0)
        if rough_um:
            self.x, self.y = warp(dice, self.x, self.y, rough_um, 1.0)
        self.dyes = np.zeros((len(DYES), *self.shape))

    def lay(self, dye: int, amount: np.ndarray | float, where: np.ndarray) -> None:
        """Add dye where `where` (0 to 1) says."""
        self.dyes[dye] += amount * where

    def replace(self, where: np.ndarray) -> None:
        """Clear all dyes where `where` (0 to 1) says: what comes next lies on top."""
        self.dyes *= 1.0 - where

    def chromatin(
        self, nucleus: np.ndarray, amount: float, clump_um: float, contrast: float, membrane: float = 0.28
    ) -> np.ndarray:
        """Lay a textured nucleus; returns where it is, 0 to 1.

        Parameters
        ----------
        nucleus
            Distance from its outline, µm.
        amount
            Units of nuclear dye, mean.
        clump_um, contrast
            Width of the chromatin's clumps and their relative depth.
        membrane
            How much darker the nucleus is along its outline, relative.
        """
        where = cover(nucleus, 0.25)
        clumps = np.tanh(1.2 * smooth_noise(self.dice, self.shape, clump_um))
        fine = smooth_noise(self.dice, self.shape, max(0.3, 0.45 * clump_um))
        gaps = np.clip(fine - 0.7, 0.0, 1.5)  # parachromatin: pale, reddish, between the clumps
        rim = np.exp(-(((nucleus + 0.25) / 0.3) ** 2))
        texture = np.clip(1 + contrast * (0.7 * clumps - 0.6 * fine - 0.6 * gaps) + membrane * rim, 0.25, 2.0)
        self.replace(0.85 * where)
        self.lay(NUCLEAR, amount * texture, where)
        self.lay(EOSIN, 0.5 * contrast * gaps, where)
        return where

    def finish(self, outline: np.ndarray) -> Drawing:
        """The drawing with its outline."""
        return Drawing(np.maximum(self.dyes, 0.0), outline)
