"""How thick the film lies where: 0 is glass, 1 the monolayer, 2 and more the thick head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from smearscan.synth.chance import uniform

Layout = Literal["field", "smear"]
Zone = Literal["glass", "thin", "monolayer", "thick"]

#: Film below and above which cells lie in another zone than the monolayer.
THIN_BELOW, THICK_ABOVE, GLASS_BELOW = 0.45, 1.5, 0.05

#: A drawn-out smear along its length: share of the width, thickness.
_PROFILE_AT = (0.00, 0.03, 0.05, 0.16, 0.24, 0.30, 0.74, 0.86, 0.92, 0.94, 1.00)
_PROFILE = (0.0, 0.0, 2.8, 2.6, 1.7, 1.15, 0.85, 0.45, 0.25, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Film:
    """Thickness of one smear's film.

    Attributes
    ----------
    width_um, height_um
        Of the whole image.
    layout
        `field`: monolayer everywhere. `smear`: glass, thick head, monolayer, feathered end, glass,
        from left to right, with glass above and below.
    thickness
        Factor on the film; 1 is a good monolayer.
    """

    width_um: float
    height_um: float
    seed: int
    layout: Layout
    thickness: float = 1.0

    def at(self, x_um: np.ndarray, y_um: np.ndarray) -> np.ndarray:
        """Thickness at these places, float64, 0 on glass."""
        waves = self._waves(x_um, y_um, 400.0, 1)
        if self.layout == "field":
            return self.thickness * (1 + 0.10 * waves)
        margin = 0.02 * self._waves(x_um, y_um, 900.0, 2)
        along = np.interp(x_um / self.width_um + margin, _PROFILE_AT, _PROFILE)
        across = y_um / self.height_um
        edge = np.clip((np.minimum(across, 1 - across) + margin - 0.06) / 0.02, 0.0, 1.0)
        return self.thickness * along * edge * (1 + 0.12 * waves)

    def _waves(self, x_um: np.ndarray, y_um: np.ndarray, period_um: float, layer: int) -> np.ndarray:
        """Smooth unevenness of about ±1: a few waves in several directions."""
        draws = uniform(self.seed, 71, layer, np.arange(12)).reshape(4, 3)
        total = np.zeros(np.broadcast(x_um, y_um).shape)
        for turn, phase, stretch in draws * np.array([2 * np.pi, 2 * np.pi, 1.0]):
            along = x_um * np.cos(turn) + y_um * np.sin(turn)
            total += np.sin(2 * np.pi * along / (period_um * (0.7 + stretch)) + phase)
        return total / 2.5


def zone_of(thickness: float) -> Zone:
    """Name of the zone a thickness belongs to."""
    if thickness < GLASS_BELOW:
        return "glass"
    if thickness < THIN_BELOW:
        return "thin"
    return "monolayer" if thickness <= THICK_ABOVE else "thick"
