"""One scale for many pictures of cells that came without any.

Pictures of one size, given together, are taken to come from one microscope. Some of them are measured: the red cells
around their cells are the ruler, as on a slide. Where too few are seen the scale is set so that the median cell has a
typical size: small cells then stay small beside large ones, which a picture judged on its own cannot show, but a folder
of lymphocytes is taken for one of larger cells. What is assumed is told with every picture.
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
from smearscan.settings import ScaleSettings
from smearscan.slide import open_slide
from smearscan.slide.crop_ruler import measure_red_cells_around

#: Fewer pictures of one size are judged each on its own.
LEAST_PICTURES = 12
#: So many of them are measured, evenly spread.
_MEASURED = 40
#: Sizes this near to the commonest one are cut from the same.
_NEAR = 0.03
#: Diameter given to the median cell, µm: between lymphocytes (10) and granulocytes and blasts (14).
MEDIAN_CELL_UM = 13.0
#: Diameters that the median cell of a folder, and a single one, may have, µm. What would make them smaller or larger
#: were no red cells.
_MEDIANS_UM, _SINGLES_UM = (8.5, 20.0), (7.0, 22.0)
#: Red cells of one picture that are enough, and how uncertain those of many may be, relative.
_LEAST_ON_ONE, _LARGEST_SD = 2, 0.08


@dataclass(frozen=True, slots=True)
class CommonScale:
    """Scale of pictures of about one size: µm per pixel, how many were measured for it, by how many red cells and how
    wide those were taken to be.
    """

    um_per_px: float
    n_measured: int
    n_red_cells: int = 0
    red_cell_um: float = 0.0

    @property
    def note(self) -> str:
        """What was assumed."""
        if self.n_red_cells:
            where = "around it" if self.n_measured == 1 else "on pictures of this size"
            return f"no scale: {self.n_red_cells} red cells {where} are taken as {self.red_cell_um:g} µm wide"
        cells = f"the median cell of {self.n_measured} pictures of this size"
        return f"no scale: {cells} is taken as {MEDIAN_CELL_UM:g} µm wide"

    def makes_a_leukocyte(self, diameter_px: float) -> bool:
        """Whether a single cell of this diameter is as large as leukocytes are: else it were no red cells."""
        return _SINGLES_UM[0] <= diameter_px * self.um_per_px <= _SINGLES_UM[1]


def find_common_scales(
    paths: Sequence[Path], segmenter: CellSegmenter, settings: ScaleSettings | None = None
) -> Mapping[Path, CommonScale]:
    """The common scale of every picture that has one.

    Left out are pictures that cannot be read, sizes that few have, and 450 × 450 on black, whose scale is known.

    Parameters
    ----------
    settings
        How wide a red cell is, and how many are enough.
    """
    settings = settings or ScaleSettings()
    sizes = {path: size for path in sorted(paths) if (size := _size(path)) is not None and not _is_known(path, size)}
    found: dict[Path, CommonScale] = {}
    while sizes:
        (width, height), _ = Counter(sizes.values()).most_common(1)[0]
        group = [path for path, size in sizes.items() if _is_near(size, width, height)]
        sizes = {path: size for path, size in sizes.items() if not _is_near(size, width, height)}
        if len(group) < LEAST_PICTURES:
            continue
        scale = _measure(group, segmenter, settings)
        if scale is not None:
            found |= dict.fromkeys(group, scale)
    return found


def _is_known(path: Path, size: Size) -> bool:
    """Whether it is 450 × 450 on black."""
    return size == (SIZE_PX, SIZE_PX) and (rgb := _read(path)) is not None and is_on_black(rgb)


def _is_near(size: Size, width: int, height: int) -> bool:
    return abs(size[0] - width) <= _NEAR * width and abs(size[1] - height) <= _NEAR * height


def _size(path: Path) -> Size | None:
    try:
        with open_slide(path) as image:
            return image.info.size
    except SlideError:
        return None


def _measure(group: Sequence[Path], segmenter: CellSegmenter, settings: ScaleSettings) -> CommonScale | None:
    chosen = [group[i] for i in np.unique(np.linspace(0, len(group) - 1, _MEASURED).round().astype(int))]
    diameters = [diameter for path in chosen if (diameter := _diameter_px(path, segmenter)) is not None]
    if len(diameters) < LEAST_PICTURES // 2:
        return None
    median_px = float(np.median(diameters))
    ruler = measure_red_cells_around(
        rgb for path in chosen if (rgb := _read(path)) is not None and not is_on_black(rgb)
    )
    if ruler is not None and ruler.n_red_cells >= settings.min_red_cells and ruler.relative_sd <= _LARGEST_SD:
        um_per_px = settings.red_cell_diameter_um / ruler.diameter_px
        if _MEDIANS_UM[0] <= median_px * um_per_px <= _MEDIANS_UM[1]:
            return CommonScale(um_per_px, len(diameters), ruler.n_red_cells, settings.red_cell_diameter_um)
    return CommonScale(MEDIAN_CELL_UM / median_px, len(diameters))


def scale_by_red_cells(rgb: np.ndarray, settings: ScaleSettings) -> CommonScale | None:
    """Scale of a picture that is alone, by the few red cells on it; None where they are too few.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB, not on black.
    """
    ruler = measure_red_cells_around([rgb])
    if ruler is None or ruler.n_red_cells < _LEAST_ON_ONE:
        return None
    um_per_px = settings.red_cell_diameter_um / ruler.diameter_px
    return CommonScale(um_per_px, 1, ruler.n_red_cells, settings.red_cell_diameter_um)


def _read(path: Path) -> np.ndarray | None:
    try:
        with open_slide(path) as image:
            return image.read(Box(0, 0, *image.info.size))
    except SlideError:
        return None


def _diameter_px(path: Path, segmenter: CellSegmenter) -> float | None:
    rgb = _read(path)
    if rgb is None:
        return None
    if not is_on_black(rgb):
        return measure_diameter_px(rgb, segmenter)
    n_px = np.count_nonzero(mask_from_black(rgb))
    return float(2 * np.sqrt(n_px / np.pi)) if n_px else None
