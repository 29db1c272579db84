"""Cells that nobody outlined: the network's own masks where it agrees with itself, as further training cells.

A first network, trained on hand-drawn masks, outlines cells of other laboratories; a mask is kept if it stays the same
when the window is turned, mirrored, blurred and paled, and fits the known box where there is one (Lee 2013 calls these
pseudo-labels). Hand-drawn test cells are never among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from smearscan.crops.mask import CellSegmenter, central_cell
from smearscan.train.mask_data import UM_PER_PX, LabelledCell, label_cell
from smearscan.train.mask_stain import to_density

#: Least Dice between the mean mask and that of every view.
_LEAST_CELL, _LEAST_NUCLEUS = 0.93, 0.88
#: Least overlap (IoU) of the mask's rectangle and a known box.
_LEAST_BOX = 0.72
#: Least difference of green and blue density between nucleus and surroundings: red cells have none.
_LEAST_VIOLET = 0.16
_KEPT_SIDE = 256


def window_at(
    rgb: np.ndarray, x: float, y: float, um_per_px: float, side_px: int, window_um: float = 29.0
) -> np.ndarray:
    """A window around a point of a picture, (side_px, side_px, 3) uint8 RGB; edges are mirrored."""
    zoom = um_per_px * side_px / window_um
    if zoom < 1:
        rgb = cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_AREA)
        x, y, zoom = x * zoom, y * zoom, 1.0
    middle = (side_px - 1) / 2
    matrix = np.array([[zoom, 0, middle - zoom * x], [0, zoom, middle - zoom * y]])
    side = (side_px, side_px)
    return cv2.warpAffine(rgb, matrix, side, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)


def pseudo_cell(
    segmenter: CellSegmenter, name: str, window: np.ndarray, box_um: tuple[float, float] | None = None
) -> LabelledCell | None:
    """A labelled cell from a 29 µm window, or None if the network is not sure of it.

    Parameters
    ----------
    window
        (S, S, 3) uint8 RGB.
    box_um
        Width and height of the known box that is centred in the window, µm.
    """
    masks = _agreed(segmenter, cv2.resize(window, (128, 128), interpolation=cv2.INTER_AREA))
    if masks is None or (box_um is not None and _box_overlap(masks[0], box_um) < _LEAST_BOX):
        return None
    side = min(_KEPT_SIDE, window.shape[0])
    rgb = cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA)
    cell, nucleus = (cv2.resize(mask.astype(np.float32), (side, side)) > 0.5 for mask in masks)
    density = to_density(rgb)
    violet = density[..., 1] - density[..., 2]
    if np.median(violet[nucleus]) < np.median(violet[~cell]) + _LEAST_VIOLET:
        return None  # a red cell
    return label_cell(name, rgb, cell, nucleus)


def _agreed(segmenter: CellSegmenter, window: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    chances = _views(segmenter, window)
    mean = central_cell(chances.mean(0), UM_PER_PX)
    cell, nucleus = mean[..., 0] > 0.5, mean[..., 1] > 0.5
    edge = np.concatenate([cell[0], cell[-1], cell[:, 0], cell[:, -1]])
    if nucleus.sum() < 60 or edge.any():
        return None
    for chance in chances:
        own = central_cell(chance, UM_PER_PX)
        if _dice(own[..., 0] > 0.5, cell) < _LEAST_CELL or _dice(own[..., 1] > 0.5, nucleus) < _LEAST_NUCLEUS:
            return None
    return cell, nucleus


def _views(segmenter: CellSegmenter, window: np.ndarray) -> np.ndarray:
    """Chances of the window seen five ways, turned back; (5, 128, 128, 2)."""
    blurred = cv2.GaussianBlur(window, (0, 0), 1.2)
    paled = (255 - (255 - window.astype(np.float32)) * 0.8).astype(np.uint8)
    views = [window, window[:, ::-1], np.rot90(window), blurred, paled]
    found = segmenter.chances(np.stack(views))
    return np.stack([found[0], found[1][:, ::-1], np.rot90(found[2], -1), found[3], found[4]])


def _box_overlap(cell: np.ndarray, box_um: Sequence[float]) -> float:
    x, y, width, height = cv2.boundingRect(cell.view(np.uint8))
    middle, (box_w, box_h) = len(cell) / 2, (side / UM_PER_PX for side in box_um)
    common_w = min(x + width, middle + box_w / 2) - max(x, middle - box_w / 2)
    common_h = min(y + height, middle + box_h / 2) - max(y, middle - box_h / 2)
    common = max(0.0, common_w) * max(0.0, common_h)
    return common / (width * height + box_w * box_h - common)


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * int((a & b).sum()) / max(1, int(a.sum()) + int(b.sum()))
