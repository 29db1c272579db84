"""Optical density: what stain does to light, against the slide's own white.

Light that passes stain falls off exponentially with its amount, so densities add up where brightness does not.
The white is measured on each slide's glass: cameras and lamps differ, and no constant of another
stain (haematoxylin and eosin least of all) holds for a Romanowsky film.
"""

from __future__ import annotations

import numpy as np

#: Share of the pixels, the brightest, that are taken for glass.
_GLASS_SHARE = 0.05
#: Mean density at which glass may end: above a camera's noise, below half a normal red cell.
_GLASS_ENDS = (0.025, 0.06)
#: Darker than this in all channels is no stain but a mask or the outside of a field of view.
_BLACK = 10


def optical_density(rgb: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Optical density of each pixel, base 10.

    Parameters
    ----------
    rgb
        (..., 3) uint8 RGB.
    white
        (3,) float, RGB of glass, 1–255.

    Returns
    -------
    (..., 3) float32, 0 for glass and whatever is brighter, up to 2.4.
    """
    return density_table(white)[rgb, np.arange(3)]


def density_table(white: np.ndarray) -> np.ndarray:
    """Optical density of each of the 256 values in each channel: (256, 3) float32."""
    values = np.maximum(np.arange(256, dtype=np.float64), 1.0)[:, None]
    return np.maximum(np.log10(np.asarray(white, dtype=np.float64) / values), 0.0).astype(np.float32)


def colour_of_density(density: np.ndarray, white: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 RGB of an optical density before this white; the inverse of `optical_density`."""
    return np.rint(np.asarray(white) * 10.0 ** -np.maximum(density, 0.0)).clip(0, 255).astype(np.uint8)


def background_white(rgb: np.ndarray) -> np.ndarray:
    """RGB of the glass between the cells: the median of the brightest twentieth.

    Parameters
    ----------
    rgb
        (..., 3) uint8 RGB that shows some glass.

    Returns
    -------
    (3,) float64, each at least 1. White where there are no pixels.
    """
    pixels = rgb.reshape(-1, 3)
    if not len(pixels):
        return np.full(3, 255.0)
    brightness = pixels.sum(axis=1, dtype=np.int32)
    glass = pixels[brightness >= np.quantile(brightness, 1 - _GLASS_SHARE)]
    return np.maximum(np.median(glass, axis=0), 1.0)


def is_stained(rgb: np.ndarray, white: np.ndarray) -> np.ndarray:
    """(...) bool: denser than glass, and not black.

    Glass ends at an eighth of the density of the slide's densest pixels: a faint slide's red cells are as
    faint as a dense slide's dirt. A camera's noise is never stain.
    """
    # Sums and maxima over rows of three take ten times as long as those of three columns.
    red, green, blue = np.moveaxis(optical_density(rgb, white), -1, 0)
    density = (red + green + blue) / 3
    red, green, blue = np.moveaxis(rgb, -1, 0)
    is_lit = np.maximum(np.maximum(red, green), blue) > _BLACK
    if not is_lit.any():
        return is_lit
    line = np.clip(np.quantile(density[is_lit], 0.99) / 8, *_GLASS_ENDS)
    return is_lit & (density >= line)
