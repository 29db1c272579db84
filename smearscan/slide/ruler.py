"""Red cells of an image of unknown zoom as a ruler: their median diameter and how sure it is."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from smearscan.slide.red_cells import RoundCell, find_round_cells

#: Red cells are measured where they are about this wide; 20 to 90 pixels will do.
_WANTED_PX = 44.0
_TOO_SMALL_PX, _TOO_LARGE_PX = 20.0, 90.0
#: Longest side of an image that is measured, pixels; larger ones are shrunk first, then cut.
MAX_SIDE_PX = 720
#: Images are enlarged at most so far, in such steps while nothing is found.
_MAX_ZOOM, _STEP = 4.0, 2.0
#: Longest side of the first look, which only finds the zoom. A camera's whole frame is some 15 to 30 red cells wide;
#: what is no larger than the look itself was cut out of one, and its few cells are wide enough at half the side.
_FIRST_SIDE_PX = 640
#: Cells of one film within this factor of their median are of one kind.
_KIND = 1.28
#: What the method itself gets wrong, relative: blur, threshold, cells that are no discs.
_METHOD_SD = 0.03
#: Relative spread of red cells on one film: when too few are seen to measure it, and at least.
_USUAL_SPREAD, _LEAST_SPREAD = 0.10, 0.03
_FEW = 8


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


#: What was measured lately, by the image's digest. Some images of many are measured for the scale that all share, and
#: measured again when their turn comes to be searched.
_KNOWN: dict[bytes, RedCellMeasure | None] = {}
_MOST_KNOWN = 4096


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
    digest = hashlib.sha256(repr(rgb.shape).encode())
    digest.update(np.ascontiguousarray(rgb).data)
    key = digest.digest()
    if key not in _KNOWN:
        if len(_KNOWN) >= _MOST_KNOWN:
            del _KNOWN[next(iter(_KNOWN))]
        _KNOWN[key] = pooled([cells_at_best_zoom(rgb)])
    return _KNOWN[key]


def cells_at_best_zoom(rgb: np.ndarray) -> list[RoundCell]:
    """Cells of an image in its own pixels, found at the zoom where they are some 44 pixels wide."""
    side = max(rgb.shape[:2])
    first_side = _FIRST_SIDE_PX if side > _FIRST_SIDE_PX else _FIRST_SIDE_PX / 2
    zoom = 2.0 if side < 300 else min(1.0, first_side / side)
    best: list[RoundCell] = []
    for _ in range(4):
        kind = _one_kind(find_round_cells(_zoomed(_middle(rgb, zoom), zoom))[0])
        width = float(np.median([cell.diameter for cell in kind])) if kind else 0.0
        if len(kind) > 0.5 * len(best):
            best = [scaled(cell, 1 / zoom) for cell in kind]
        # Where nothing is found the cells may be too small to have an outline.
        wanted = zoom * (_WANTED_PX / width if kind else _STEP)
        if _TOO_SMALL_PX <= width <= _TOO_LARGE_PX or zoom >= _MAX_ZOOM:
            break
        zoom = min(_MAX_ZOOM, wanted)
    return best


def _middle(rgb: np.ndarray, zoom: float) -> np.ndarray:
    """The image's middle, no larger than can be measured at this zoom."""
    side = int(MAX_SIDE_PX / zoom)
    top, left = max(0, (rgb.shape[0] - side) // 2), max(0, (rgb.shape[1] - side) // 2)
    return rgb[top : top + side, left : left + side]


def _zoomed(rgb: np.ndarray, zoom: float) -> np.ndarray:
    if zoom == 1:
        return rgb
    size = (max(1, round(rgb.shape[1] * zoom)), max(1, round(rgb.shape[0] * zoom)))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)


def scaled(cell: RoundCell, factor: float) -> RoundCell:
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


def pooled(found: Iterable[list[RoundCell]]) -> RedCellMeasure | None:
    """One measure from the cells of one or several windows, in one unit."""
    cells = _one_kind([cell for window in found for cell in window])
    if not cells:
        return None
    sizes = np.log([cell.diameter for cell in cells])
    n = len(cells)
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    spread = max(spread, _USUAL_SPREAD if n < _FEW else _LEAST_SPREAD)
    relative_sd = math.hypot(1.2533 * spread / math.sqrt(n), _METHOD_SD)
    return RedCellMeasure(math.exp(middle), relative_sd, n)
