"""One scale for many pictures of cells that came without any.

Pictures of one size, given together, are taken to come from one microscope. Some of them are measured, and the scale is
set so that their median cell has a typical size: small cells then stay small beside large ones, which a picture judged
on its own cannot show. What is assumed is told with every picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smearscan.crops.cut import SIZE_PX
from smearscan.crops.mask import CellSegmenter, is_on_black, mask_from_black
from smearscan.crops.readymade import measure_diameter_px
from smearscan.errors import SlideError
from smearscan.geometry import Box, Size
from smearscan.slide import open_slide

#: Fewer pictures of one size are judged each on its own.
LEAST_PICTURES = 12
#: So many of them are measured, evenly spread.
_MEASURED = 40
#: Sizes this near to the commonest one are cut from the same.
_NEAR = 0.03
#: Diameter given to the median cell, µm: between lymphocytes (10) and granulocytes and blasts (14).
MEDIAN_CELL_UM = 13.0


@dataclass(frozen=True, slots=True)
class CommonScale:
    """Scale of pictures of about one size: µm per pixel, and how many were measured for it."""

    um_per_px: float
    n_measured: int

    @property
    def note(self) -> str:
        """What was assumed."""
        cells = f"the median cell of {self.n_measured} pictures of this size"
        return f"no scale: {cells} is taken as {MEDIAN_CELL_UM:g} µm wide"


def find_common_scales(paths: Sequence[Path], segmenter: CellSegmenter) -> Mapping[Path, CommonScale]:
    """The common scale of every picture that has one.

    Left out are pictures that cannot be read, sizes that few have, and 450 × 450 on black, whose scale is known.
    """
    sizes = {path: size for path in sorted(paths) if (size := _size(path)) is not None}
    found: dict[Path, CommonScale] = {}
    while sizes:
        (width, height), _ = Counter(sizes.values()).most_common(1)[0]
        group = [path for path, size in sizes.items() if _is_near(size, width, height)]
        sizes = {path: size for path, size in sizes.items() if not _is_near(size, width, height)}
        if len(group) < LEAST_PICTURES:
            continue
        scale = _measure(group, segmenter)
        if scale is not None:
            found |= dict.fromkeys(group, scale)
    return found


def _is_near(size: Size, width: int, height: int) -> bool:
    return abs(size[0] - width) <= _NEAR * width and abs(size[1] - height) <= _NEAR * height


def _size(path: Path) -> Size | None:
    try:
        with open_slide(path) as image:
            return image.info.size
    except SlideError:
        return None


def _measure(group: Sequence[Path], segmenter: CellSegmenter) -> CommonScale | None:
    chosen = [group[i] for i in np.unique(np.linspace(0, len(group) - 1, _MEASURED).round().astype(int))]
    diameters = [diameter for path in chosen if (diameter := _diameter_px(path, segmenter)) is not None]
    if len(diameters) < LEAST_PICTURES // 2:
        return None
    return CommonScale(MEDIAN_CELL_UM / float(np.median(diameters)), len(diameters))


def _diameter_px(path: Path, segmenter: CellSegmenter) -> float | None:
    try:
        with open_slide(path) as image:
            rgb = image.read(Box(0, 0, *image.info.size))
    except SlideError:
        return None
    if not is_on_black(rgb):
        return measure_diameter_px(rgb, segmenter)
    n_px = np.count_nonzero(mask_from_black(rgb))
    is_known = rgb.shape[:2] == (SIZE_PX, SIZE_PX)
    return None if is_known or not n_px else float(2 * np.sqrt(n_px / np.pi))
