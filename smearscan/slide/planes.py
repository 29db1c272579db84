"""Which focal plane of a stack to read: the sharpest, judged on the segments with most structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smearscan.slide.tiff_page import TiffPage

#: Segments of the middle plane looked at, and of these the number compared across planes.
_N_LOOKED_AT = 25
_N_COMPARED = 5


def sharpest_plane(planes: Sequence[TiffPage]) -> int:
    """Index of the plane with most gradient energy; of equals the one nearest the middle.

    Parameters
    ----------
    planes
        Level 0 of each plane, all of one size.
    """
    middle = (len(planes) - 1) / 2
    if len(planes) == 1:
        return 0
    places = _structured(planes[len(planes) // 2])
    energy = [sum(_gradient_energy(plane.decode(*place)) for place in places) for plane in planes]
    return min(range(len(planes)), key=lambda z: (-energy[z], abs(z - middle), z))


def _structured(page: TiffPage) -> list[tuple[int, int]]:
    rows, columns = page.grid
    step = max(1, rows * columns // _N_LOOKED_AT)
    places = [divmod(index, columns) for index in range(0, rows * columns, step)]
    return sorted(places, key=lambda place: (-float(page.decode(*place).std()), place))[:_N_COMPARED]


def _gradient_energy(rgb: np.ndarray) -> float:
    green = rgb[..., 1].astype(np.float32)
    return float(np.square(np.diff(green, axis=0)).sum() + np.square(np.diff(green, axis=1)).sum())
