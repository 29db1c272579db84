"""The eight orientations of TIFF and EXIF: how stored pixels are turned to stand upright."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.geometry import Box, Mpp, Size

#: Tag value: (rows and columns swapped, then mirrored left-right, then upside down) from stored to upright.
_BY_TAG = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True, slots=True)
class Orientation:
    """Transpose, then mirror: takes the stored image to the upright one."""

    is_swapped: bool = False
    is_mirrored: bool = False
    is_flipped: bool = False

    @classmethod
    def from_tag(cls, value: int) -> Orientation:
        """From TIFF tag 274; a value outside 1 to 8 means upright."""
        return cls(*_BY_TAG.get(value, _BY_TAG[1]))

    def size(self, stored: Size) -> Size:
        """Upright size of a stored image."""
        return Size(stored.height, stored.width) if self.is_swapped else stored

    def mpp(self, stored: Mpp | None) -> Mpp | None:
        """Upright scale of a stored one."""
        return Mpp(stored.y, stored.x) if stored is not None and self.is_swapped else stored

    def to_stored(self, box: Box, stored: Size) -> Box:
        """Where an upright box lies in the stored image of this size."""
        upright = self.size(stored)
        x = upright.width - box.right if self.is_mirrored else box.x
        y = upright.height - box.bottom if self.is_flipped else box.y
        if self.is_swapped:
            return Box(y, x, box.height, box.width)
        return Box(x, y, box.width, box.height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turn a stored part upright."""
        if self.is_swapped:
            pixels = pixels.swapaxes(0, 1)
        if self.is_mirrored:
            pixels = pixels[:, ::-1]
        if self.is_flipped:
            pixels = pixels[::-1]
        return np.ascontiguousarray(pixels)
