"""From a file's samples to (H, W, 3) uint8 RGB, by written rules.

=================  ==========================================================================
stored             rule
=================  ==========================================================================
RGB 8 bit          as it is
RGB 9 to 16 bit    divided by 2^(n - 8), n the bits in use: 10, 12, 14 or 16, the fewest that hold
                   the file's maximum (cameras store 12 bits in 16)
alpha              composited on white: transparent is glass; a fourth sample that a TIFF does not
                   call alpha is left out
CMYK               R = (255 - C)(255 - K) / 255, and so on
palette            looked up; entries of a TIFF are 16 bits, or 8 where none is above 255
grey, 1 bit, float refused: a Romanowsky stain is judged by its colour
=================  ==========================================================================
"""

from __future__ import annotations

import numpy as np

from smearscan.errors import UnsupportedImageError


def significant_bits(maximum: int) -> int:
    """Bits a camera used, from the largest value seen: 8, 10, 12, 14 or 16."""
    return next(bits for bits in (8, 10, 12, 14, 16) if maximum < 2**bits)


def to_eight_bits(samples: np.ndarray, bits: int) -> np.ndarray:
    """Unsigned samples of `bits` significant bits to uint8; larger values are clipped."""
    if samples.dtype == np.uint8:
        return samples
    return np.minimum(samples >> (bits - 8), 255).astype(np.uint8)


def on_white(rgb: np.ndarray, alpha: np.ndarray, is_premultiplied: bool = False) -> np.ndarray:
    """Composite (H, W, 3) uint8 RGB with (H, W) uint8 alpha on white."""
    if alpha.min() == 255:
        return rgb
    opacity = alpha[..., None].astype(np.uint32)
    front = rgb.astype(np.uint32) * (255 if is_premultiplied else 1)
    if not is_premultiplied:
        front = front * opacity
    return np.minimum((front + 255 * (255 - opacity) + 127) // 255, 255).astype(np.uint8)


def from_cmyk(cmyk: np.ndarray) -> np.ndarray:
    """(H, W, 4) uint8 CMYK, 255 being full ink, to (H, W, 3) uint8 RGB."""
    light = 255 - cmyk.astype(np.uint16)
    return ((light[..., :3] * light[..., 3:] + 127) // 255).astype(np.uint8)


def refuse_grey(path: str, what: str) -> UnsupportedImageError:
    """The error for an image without colour."""
    return UnsupportedImageError(
        f"{path} is {what}, without colour",
        "a Romanowsky stain is judged by its colour: save the smear as 8-bit RGB",
    )
