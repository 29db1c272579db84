"""Cell images that somebody else cut: any size, on black or with background, with or without a scale.

Where the scale comes from, first that applies, and always told in the notes:

1. µm per pixel, given;
2. the cell's diameter in µm, given: the cell is outlined and measured in pixels;
3. a 450 × 450 picture that is black around its cell is taken for one of C-NMC's, 29 µm wide, if its cell then has a
   size that cells have;
4. else the cell itself is taken for a mononuclear cell of `TYPICAL_CELL_UM`. Its size says nothing then: where red
   cells lie around it, `smearscan/ready_made.py` takes those for the ruler first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from smearscan.crops.cut import SIZE_PX, WINDOW_UM
from smearscan.crops.mask import (
    BATCH_SIZE,
    CellSegmenter,
    central_cell,
    is_on_black,
    make_mask,
    mask_from_black,
    network_window,
    segment_cells,
)
from smearscan.errors import UnsupportedImageError
from smearscan.geometry import Box
from smearscan.records import CellMask, Crop

#: Diameter assumed of a cell whose picture has no scale, µm: between a small lymphocyte (9) and a monocyte (16).
TYPICAL_CELL_UM = 12.0
#: On black, what lies farther than this from the network's outline hangs on the cell, µm: C-NMC's cutting left red
#: cells on some. Not if so little is left (share of what is lit); told if this much is gone.
_MARGIN_UM, _LEAST_KEPT, _MOST_HANGING = 0.75, 0.6, 0.98
#: Fewer pixels show no cell.
_LEAST_PX = 16
#: Diameters that leukocytes have on a dried film, µm.
_PLAUSIBLE_UM = (5.0, 26.0)
#: Sizes within this factor of the typical one vote on a cell's diameter, and diameters within this factor agree.
_VOTING, _AGREEING = 1.5, 1.16
#: Widths that an unscaled picture may have, µm: tried in one batch, the one whose cell comes out typical is taken.
_TRIED_UM = tuple(10.0 * 1.19**step for step in range(BATCH_SIZE))


@dataclass(frozen=True, slots=True, eq=False)
class Framed:
    """A picture in the frame that crops have, its cell not outlined yet.

    Attributes
    ----------
    crop
        450×450 at 29 µm; `window` is in the picture's own pixels.
    is_on_black
        Whether the picture came without background.
    has_scale
        Whether the scale was given or is that of a known format. False: sizes in µm are an assumption.
    notes
        What was assumed or could not be done.
    """

    crop: Crop
    is_on_black: bool
    has_scale: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ReadyMade(Framed):
    """A picture made a crop; `mask` is of its cell, empty (area 0) where none was found."""

    mask: CellMask


def frame_picture(
    rgb: np.ndarray,
    segmenter: CellSegmenter,
    um_per_px: float | None = None,
    cell_um: float | None = None,
    name: str = "the picture",
) -> Framed:
    """Find the scale of a picture of one cell, and frame the cell by it.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.
    um_per_px, cell_um
        What is known of its scale; the first wins.
    name
        The file, for errors.

    Raises
    ------
    UnsupportedImageError
        If the picture is too small to hold a cell.
    """
    if min(rgb.shape[:2]) < _LEAST_PX:
        raise UnsupportedImageError(f"{name} is smaller than {_LEAST_PX} px", "give a picture of a whole cell")
    on_black = is_on_black(rgb)
    cell = mask_from_black(rgb) if on_black else np.zeros(rgb.shape[:2], bool)
    scale, has_scale, notes = _find_scale(rgb, cell, on_black, segmenter, um_per_px, cell_um)
    _check_scale(rgb, scale, name)
    return Framed(_as_crop(rgb, scale, _middle_of(cell, rgb), on_black), on_black, has_scale, notes)


def outline_framed(framed: Sequence[Framed], segmenter: CellSegmenter) -> list[ReadyMade]:
    """The pictures with their cells outlined, many in the time of few: a lone one is a whole batch to the network."""
    masks = segment_cells(segmenter, [picture.crop for picture in framed])
    return [_outlined(picture, mask) for picture, mask in zip(framed, masks, strict=True)]


def _outlined(framed: Framed, mask: CellMask) -> ReadyMade:
    notes = framed.notes
    if framed.is_on_black:
        mask, more = _mask_on_black(framed.crop, mask)
        notes += more
    elif mask.area_um2 == 0:
        notes += ("no cell found in the middle of the picture",)
    return ReadyMade(framed.crop, framed.is_on_black, framed.has_scale, notes, mask)


def _check_scale(rgb: np.ndarray, um_per_px: float, name: str) -> None:
    """Refuse a scale at which the picture holds no cell: it would be stretched beyond memory, or be a dot."""
    width_um = max(rgb.shape[:2]) * um_per_px
    if not (math.isfinite(width_um) and width_um >= _PLAUSIBLE_UM[0] and WINDOW_UM / um_per_px >= _LEAST_PX):
        raise UnsupportedImageError(
            f"{name} is {width_um:.3g} µm wide at {um_per_px:.3g} µm/px",
            "give the scale of the picture in µm per pixel",
        )


def _find_scale(
    rgb: np.ndarray,
    cell: np.ndarray,
    on_black: bool,
    segmenter: CellSegmenter,
    um_per_px: float | None,
    cell_um: float | None,
) -> tuple[float, bool, tuple[str, ...]]:
    """µm per pixel, whether it is known rather than assumed, and what to tell."""
    if um_per_px is not None:
        return um_per_px, True, ()
    diameter_px = _diameter(cell) if on_black else measure_diameter_px(rgb, segmenter)
    if diameter_px is None:
        return WINDOW_UM / min(rgb.shape[:2]), False, (f"no cell to measure: taken as {WINDOW_UM:g} µm wide",)
    if cell_um is not None:
        return cell_um / diameter_px, True, (f"scale from the given cell diameter of {cell_um:g} µm",)
    cnmc = WINDOW_UM / SIZE_PX
    if on_black and rgb.shape[:2] == (SIZE_PX, SIZE_PX) and _is_plausible(diameter_px * cnmc):
        return cnmc, True, ("450×450 on black: taken at the scale of C-NMC",)
    return TYPICAL_CELL_UM / diameter_px, False, (f"no scale: the cell is taken as {TYPICAL_CELL_UM:g} µm wide",)


def _is_plausible(diameter_um: float) -> bool:
    return _PLAUSIBLE_UM[0] <= diameter_um <= _PLAUSIBLE_UM[1]


def _diameter(cell: np.ndarray) -> float | None:
    n_px = np.count_nonzero(cell)
    return 2 * math.sqrt(n_px / math.pi) if n_px else None


def measure_diameter_px(rgb: np.ndarray, segmenter: CellSegmenter) -> float | None:
    """Diameter of the central cell of a picture without scale, px; None where no width shows one.

    The network is shown the picture as if it were 10, 11.9, … 136 µm wide. Of the widths at which it finds a cell of
    plausible size, those vote at which it is near the typical one, and the diameter that most agree on is taken: shown
    too close, it outlines pieces of a nucleus, of another size each time.
    """
    side = min(rgb.shape[:2])
    plan = segmenter.plan
    windows = np.stack([network_window(rgb, width_um / side, plan) for width_um in _TRIED_UM])
    fine = plan.window_um / plan.side_px
    diameters_px, sizes_um = [], []
    for width_um, chance in zip(_TRIED_UM, segmenter.chances(windows), strict=True):
        diameter = _diameter(central_cell(chance, fine)[..., 0] > 0.5)
        if diameter is not None and _is_plausible(diameter * fine):
            sizes_um.append(diameter * fine)
            diameters_px.append(diameter * fine / width_um * side)
    if not sizes_um:
        return None
    nearness = np.abs(np.log(np.array(sizes_um) / TYPICAL_CELL_UM))
    votes = np.log(diameters_px)[nearness <= max(math.log(_VOTING), nearness.min())]
    agree = np.abs(votes[:, None] - votes[None]) <= math.log(_AGREEING)
    # Of two that as many agree on the larger is the cell, the smaller a piece of it.
    chosen = max(range(len(votes)), key=lambda i: (agree[i].sum(), votes[i]))
    return float(np.exp(np.median(votes[agree[chosen]])))


def _middle_of(cell: np.ndarray, rgb: np.ndarray) -> tuple[float, float]:
    """Middle of the cell's rectangle, or of the picture where the cell is not cut out."""
    if not cell.any() or rgb.shape[:2] == (SIZE_PX, SIZE_PX):
        return rgb.shape[1] / 2, rgb.shape[0] / 2
    x, y, width, height = cv2.boundingRect(cell.view(np.uint8))
    return x + width / 2, y + height / 2


def _as_crop(rgb: np.ndarray, um_per_px: float, centre: tuple[float, float], on_black: bool) -> Crop:
    """The 29 µm around `centre` on 450 px; black or white where the picture ends."""
    side = max(1, round(WINDOW_UM / um_per_px))
    window = Box(round(centre[0] - side / 2), round(centre[1] - side / 2), side, side)
    height, width = rgb.shape[:2]
    inside = window.intersection(Box(0, 0, width, height))
    canvas: np.ndarray = np.full((side, side, 3), 0 if on_black else 255, np.uint8)
    if inside is not None:
        y, x = inside.y - window.y, inside.x - window.x
        canvas[y : y + inside.height, x : x + inside.width] = rgb[inside.y : inside.bottom, inside.x : inside.right]
    if side != SIZE_PX:
        method = cv2.INTER_AREA if side > SIZE_PX else cv2.INTER_CUBIC
        canvas = cv2.resize(canvas, (SIZE_PX, SIZE_PX), interpolation=method)
    return Crop(canvas, window, side * um_per_px / SIZE_PX, inside != window)


def _mask_on_black(crop: Crop, found: CellMask) -> tuple[CellMask, tuple[str, ...]]:
    """What is not black is the cell, less red cells that hang on it; the nucleus is the network's, else Otsu's."""
    lit = mask_from_black(crop.pixels)
    cell = lit & _grown(found.cell, _MARGIN_UM / crop.um_per_px)
    notes: tuple[str, ...] = ()
    if np.count_nonzero(cell) < _LEAST_KEPT * np.count_nonzero(lit):
        cell = lit  # the network does not see this cell: whoever cut it out knew better
    elif np.count_nonzero(cell) < _MOST_HANGING * np.count_nonzero(lit):
        notes = ("what hangs on the cell was left out",)
    nucleus = found.nucleus & cell
    if not nucleus.any():
        nucleus = nucleus_by_threshold(crop.pixels, cell)
        notes += ("nucleus by threshold: the network found none",)
    return make_mask(cell, nucleus, crop.um_per_px), notes


def _grown(mask: np.ndarray, radius_px: float) -> np.ndarray:
    side = 2 * max(1, round(radius_px)) + 1
    return cv2.dilate(mask.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))) > 0


def nucleus_by_threshold(rgb: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The darker part of a cell in red light, which chromatin absorbs most, by Otsu's threshold; (H, W) bool."""
    if not cell.any():
        return np.zeros_like(cell)
    red = rgb[..., 0]
    threshold, _ = cv2.threshold(red[cell], 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return cell & (red <= threshold)
