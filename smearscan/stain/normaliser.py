"""A slide's stain brought to the reference: fitted once per slide, applied to each crop.

A slide on which the fit has no footing (one colour, too few pixels, two stains that are one, a stretch
that would leave nothing but noise) is left as it is, and `flags` says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from smearscan.stain.density import density_table, is_stained, optical_density
from smearscan.stain.macenko import macenko_matrix, stain_strength, stain_vectors
from smearscan.stain.reference import REFERENCE, WHITE, StainReference, stain_distance
from smearscan.stain.reinhard import reinhard_gains, reinhard_table
from smearscan.stain.strata import describe_stain

Method = Literal["reinhard", "macenko", "none"]

#: A channel or a stain stretched or pressed more than this is another stain, or noise.
MAX_GAIN = 8.0
#: Pixels mapped at a time: the densities of so many stay in the processor's cache.
_STRIP_PX = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Normaliser:
    """Maps the colours of one slide onto the reference stain. Picklable.

    Attributes
    ----------
    method
        What was asked for.
    white
        (3,) float64, RGB of the slide's glass.
    table
        (256, 3) uint8: the map of each channel (Reinhard), or None.
    matrix
        (3, 3) float64 applied to rows of optical density (Macenko), or None.
    flags
        Why the slide was left as it is, or what was assumed; sentences.
    distance
        From the reference, in spreads between laboratories; None where the stain could not be described.
    """

    method: Method
    white: np.ndarray
    table: np.ndarray | None = None
    matrix: np.ndarray | None = None
    flags: tuple[str, ...] = ()
    distance: float | None = None

    @property
    def is_identity(self) -> bool:
        """Whether colours come back as they went in."""
        return self.table is None and self.matrix is None

    def apply(self, rgb: np.ndarray) -> np.ndarray:
        """Map an image; black stays black, so that a mask survives.

        Parameters
        ----------
        rgb
            (..., 3) uint8 RGB.

        Returns
        -------
        (..., 3) uint8 RGB.

        Raises
        ------
        ValueError
            If the array is not uint8 with three channels last.
        """
        if rgb.dtype != np.uint8 or rgb.ndim < 1 or rgb.shape[-1] != 3:
            raise ValueError(f"colours must be (..., 3) uint8, not {rgb.shape} {rgb.dtype}")
        if self.is_identity or rgb.size == 0:
            return rgb.copy()
        flat = np.ascontiguousarray(rgb).reshape(-1, 3)
        mapped = np.empty_like(flat)
        for start in range(0, len(flat), _STRIP_PX):
            strip = flat[start : start + _STRIP_PX, None]
            mapped[start : start + _STRIP_PX] = self._map(strip)[:, 0]
        return mapped.reshape(rgb.shape)

    def _map(self, strip: np.ndarray) -> np.ndarray:
        """Map (N, 1, 3) uint8."""
        import cv2

        if self.table is not None:
            return cv2.LUT(strip, np.ascontiguousarray(self.table)[None])
        # Natural logarithms, so that one exponential brings the densities back to light; more than
        # white saturates in the last step.
        light = cv2.LUT(strip, density_table(self.white)[None] * np.float32(np.log(10)))
        light = cv2.transform(light, -np.asarray(self.matrix).T)
        mapped = cv2.convertScaleAbs(cv2.exp(light, light), alpha=float(WHITE[0]))
        is_black = cv2.inRange(strip, (0, 0, 0), (0, 0, 0))
        if cv2.countNonZero(is_black):
            mapped[is_black > 0] = 0
        return mapped


def fit_normaliser(
    method: Method,
    foreground_rgb: np.ndarray,
    background_rgb: np.ndarray | None = None,
    target: StainReference = REFERENCE,
) -> Normaliser:
    """Fit a slide's stain.

    Parameters
    ----------
    method
        `reinhard`, `macenko`, or `none`.
    foreground_rgb
        (N, 3) uint8 RGB of stained pixels (`sample_stain`); glass and black among them are left out.
    background_rgb
        (3,) RGB of the glass; without it white is assumed, and flagged.
    target
        The stain to map onto; the neutral reference unless a study wants another laboratory's.

    Returns
    -------
    Normaliser
        The identity, flagged, where the slide gives no footing.
    """
    white = WHITE.copy() if background_rgb is None else np.maximum(np.asarray(background_rgb, dtype=np.float64), 1.0)
    assumed = ("the slide's white was not measured: 255 is assumed",) if background_rgb is None else ()
    pixels = foreground_rgb.reshape(-1, 3)
    density = optical_density(pixels[is_stained(pixels, white)], white)
    found = describe_stain(density)
    if found is None:
        reason = "no nuclei beside other stained pixels to fit the stain on"
        return Normaliser(method, white, flags=_left(method, reason) + assumed)
    distance = stain_distance(found)
    if method == "none":
        return Normaliser(method, white, flags=assumed, distance=distance)
    if method == "reinhard":
        if not _in_range(reinhard_gains(found, target)):
            return Normaliser(method, white, flags=_left(method, _STRETCH) + assumed, distance=distance)
        return Normaliser(method, white, reinhard_table(found, white, target), None, assumed, distance)
    matrix, reason = _fit_macenko(density, target)
    return Normaliser(method, white, None, matrix, _left(method, reason) + assumed, distance)


_STRETCH = f"its stain would have to be stretched more than {MAX_GAIN:g} times"


def _fit_macenko(density: np.ndarray, target: StainReference) -> tuple[np.ndarray | None, str]:
    vectors = stain_vectors(density)
    if vectors is None:
        return None, "its colours are those of one stain, not of azure and eosin"
    strength = stain_strength(density, vectors)
    if strength.min() <= 0 or not _in_range(np.array(target.strength) / strength):
        return None, _STRETCH
    return macenko_matrix(vectors, strength, target), ""


def _in_range(gains: np.ndarray) -> bool:
    return bool(np.all((gains >= 1 / MAX_GAIN) & (gains <= MAX_GAIN)))


def _left(method: Method, reason: str) -> tuple[str, ...]:
    """The flag of a slide left as it is; none where nothing was asked for or nothing is wrong."""
    return (f"stain left as it is: {reason}",) if reason and method != "none" else ()
