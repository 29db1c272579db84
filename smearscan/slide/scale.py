"""µm per pixel of a slide: what its file says, what it was given, else red cells as the ruler.

A dried red cell of a healthy adult is about 7.5 µm wide (Bain, Blood Cells). Patients differ, so
the scale found this way is never better than that spread, and always marked as estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from smearscan.errors import ScaleError
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Scale
from smearscan.settings import ScaleSettings
from smearscan.slide.base import Slide
from smearscan.slide.red_cells import RoundCell, find_round_cells

#: Red cells are measured where they are about this wide; 20 to 90 pixels will do.
_WANTED_PX = 44.0
_TOO_SMALL_PX, _TOO_LARGE_PX = 20.0, 90.0
#: Longest side of an image that is measured, pixels; larger ones are shrunk first, then cut.
_MAX_SIDE_PX = 1024
#: Cells of one film within this factor of their median are of one kind.
_KIND = 1.28
#: What the method itself gets wrong, relative: blur, threshold, cells that are no discs.
_METHOD_SD = 0.03
#: Relative spread of red cells on one film when too few are seen to measure it.
_USUAL_SPREAD = 0.10


@dataclass(frozen=True, slots=True)
class RedCellMeasure:
    """Red cells of one image or slide as a ruler.

    Attributes
    ----------
    diameter_px
        Median diameter, pixels of the image it was measured on.
    relative_sd
        Its uncertainty as a share of it, one standard deviation; that of the measurement alone,
        without the spread between patients.
    n_red_cells
        Cells it rests on.
    """

    diameter_px: float
    relative_sd: float
    n_red_cells: int


def measure_red_cells(rgb: np.ndarray) -> RedCellMeasure | None:
    """Median diameter of the red cells on an image of unknown zoom, some 8 to 200 pixels.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.

    Returns
    -------
    RedCellMeasure or None
        The best estimate with its uncertainty, however few cells there are; None where there is
        nothing round at all.
    """
    return _pooled([_at_best_zoom(rgb)])


def resolve_scale(slide: Slide, given: float | None, settings: ScaleSettings) -> Scale:
    """The scale of a slide: from its file, as given, else measured from its red cells.

    Parameters
    ----------
    given
        µm per pixel that the submitter named; it beats the file's own.
    settings
        What a red cell measures and how sure one must be.

    Raises
    ------
    ScaleError
        If the file does not say, nothing is given and the red cells are too few or too uneven.
    """
    if given is not None:
        return Scale(Mpp(given, given), "given")
    if slide.info.mpp is not None:
        return Scale(slide.info.mpp, "metadata")
    measure = measure_slide(slide, settings.min_red_cells)
    remedy = "give the scale with --mpp or the worksheet's column mpp"
    if measure is None or measure.n_red_cells < settings.min_red_cells:
        n = 0 if measure is None else measure.n_red_cells
        needed = settings.min_red_cells
        raise ScaleError(f"{slide.info.path}: no µm per pixel in the file, and {n} red cells of {needed} needed", remedy)
    relative_sd = math.hypot(measure.relative_sd, settings.between_patient_sd)
    if relative_sd > settings.max_relative_sd:
        raise ScaleError(
            f"{slide.info.path}: no µm per pixel in the file, and its red cells give it only to ±{relative_sd:.0%}", remedy
        )
    mpp = settings.red_cell_diameter_um / measure.diameter_px
    return Scale(Mpp(mpp, mpp), "estimated", relative_sd, measure.n_red_cells)


def measure_slide(slide: Slide, min_red_cells: int) -> RedCellMeasure | None:
    """Red cells over a handful of windows of a slide, in level-0 pixels; None where there are none.

    A small image is one window. On a scan, windows of three sizes (the zoom is unknown) are read
    where the film is neither glass nor thick, until enough cells agree.
    """
    size = slide.info.size
    if max(size) <= 2 * _MAX_SIDE_PX:
        return measure_red_cells(slide.read(Box(0, 0, size.width, size.height)))
    best: RedCellMeasure | None = None
    found: list[list[RoundCell]] = []
    for pixels, factor in _windows(slide):
        found.append([_scaled(cell, factor) for cell in _at_best_zoom(pixels)])
        best = _pooled(found)
        if best is not None and best.n_red_cells >= max(120, 4 * min_red_cells) and len(found) >= 4:
            break
    return best


def _windows(slide: Slide) -> Iterator[tuple[np.ndarray, float]]:
    raise NotImplementedError


def _at_best_zoom(rgb: np.ndarray) -> list[RoundCell]:
    """Cells of an image in its own pixels, found at the zoom where they are some 44 pixels wide."""
    side = max(rgb.shape[:2])
    zoom = min(1.0, _MAX_SIDE_PX / side) if side > 400 else 2.0 if side < 300 else 1.0
    best: list[RoundCell] = []
    for _ in range(3):
        shown = _zoomed(_middle(rgb, zoom), zoom)
        cells, explained = find_round_cells(shown)
        kind = _one_kind(cells)
        if not kind:
            break
        best = [_scaled(cell, 1 / zoom) for cell in kind]
        width = float(np.median([cell.diameter for cell in kind]))
        if _TOO_SMALL_PX <= width <= _TOO_LARGE_PX:
            break
        wanted = zoom * _WANTED_PX / width
        if abs(math.log(wanted / zoom)) < 0.3:
            break
        zoom = min(4.0, wanted)
    return best


def _middle(rgb: np.ndarray, zoom: float) -> np.ndarray:
    """The image's middle, no larger than can be measured at this zoom."""
    side = int(_MAX_SIDE_PX / zoom)
    top, left = max(0, (rgb.shape[0] - side) // 2), max(0, (rgb.shape[1] - side) // 2)
    return rgb[top : top + side, left : left + side]


def _zoomed(rgb: np.ndarray, zoom: float) -> np.ndarray:
    if zoom == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * zoom)), max(1, round(rgb.shape[0] * zoom)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)


def _scaled(cell: RoundCell, factor: float) -> RoundCell:
    return RoundCell(cell.x * factor, cell.y * factor, cell.diameter * factor, cell.density, cell.arc)


def _one_kind(cells: list[RoundCell]) -> list[RoundCell]:
    """The cells of the size that covers most of the film: platelets are smaller, leukocytes fewer."""
    if not cells:
        return []
    sizes = np.log([cell.diameter for cell in cells])
    weights = np.array([cell.arc * cell.diameter for cell in cells])
    reach = math.log(_KIND)
    support = [float(weights[np.abs(sizes - size) <= reach].sum()) for size in sizes]
    middle = sizes[int(np.argmax(support))]
    for _ in range(5):
        near = np.abs(sizes - middle) <= reach
        middle = float(np.median(sizes[near]))
    return [cell for cell, is_near in zip(cells, np.abs(sizes - middle) <= reach, strict=True) if is_near]


def _pooled(found: Iterable[list[RoundCell]]) -> RedCellMeasure | None:
    """One measure from the cells of one or several windows, in one unit."""
    cells = _one_kind([cell for window in found for cell in window])
    if not cells:
        return None
    sizes = np.log([cell.diameter for cell in cells])
    n = len(cells)
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    spread = max(spread, _USUAL_SPREAD if n < 8 else 0.03)
    relative_sd = math.hypot(1.2533 * spread / math.sqrt(n), _METHOD_SD)
    return RedCellMeasure(math.exp(middle), relative_sd, n)
