"""Labels nobody drew: a first detector's boxes, confirmed by the stain itself, on fields without boxes.

Purple is the density of green over that of red and blue: nuclei have it on every Romanowsky film, red cells and glass
next to none. A box of the teacher is believed where its middle is purple; a nucleus it passed over is added; a
human label with neither is a slip (red cells at a field's rim, the same cell twice).
"""

from __future__ import annotations

import numpy as np

from smearscan.detect.azure import white_point
from smearscan.detect.base import Detector
from smearscan.detect.nuclei import find_nuclei

#: Purple of a box's middle half above which the teacher is believed, and of a nucleus it passed over.
_PURPLE_CELL, _PURPLE_NUCLEUS = 0.075, 0.105
#: Of the purplest pixels of a human label; below it holds no leukocyte.
_PURPLE_LABEL = 0.13
#: Nuclei that are added, µm²: larger ones are smudges or heaps, which nobody boxes alike.
_MIN_ADDED_UM2, _MAX_ADDED_UM2, _MAX_ADDED_UM = 25.0, 150.0, 17.0
_ADDED_MARGIN_UM = 0.6


def purple_density(rgb: np.ndarray) -> np.ndarray:
    """Density of green over the mean of red's and blue's: (H, W) float32 from (H, W, 3) uint8."""
    density = -np.log10(np.maximum(rgb, 4) / white_point(rgb))
    return (density[..., 1] - (density[..., 0] + density[..., 2]) / 2).astype(np.float32)


def label_field(rgb: np.ndarray, um_per_px: float, teacher: Detector) -> np.ndarray:
    """Leukocytes of a field without labels: (N, 4) float32 corners in its px.

    Parameters
    ----------
    teacher
        A first detector with a low least score, 0.2 or so; it may take red cells along.
    """
    purple = purple_density(rgb)
    kept = [box for box in _corners(teacher, rgb, um_per_px) if _level(purple, _middle_half(box), 50) > _PURPLE_CELL]
    boxes = np.array(kept, np.float32).reshape(-1, 4)
    added = [box for box in _nuclear_boxes(purple, um_per_px) if not _is_covered(box, boxes)]
    limit = np.array([rgb.shape[1], rgb.shape[0]] * 2, np.float32)
    return np.clip(np.concatenate([boxes, np.array(added, np.float32).reshape(-1, 4)]), 0, limit)


def clean_labels(rgb: np.ndarray, labels: np.ndarray, um_per_px: float, teacher: Detector) -> np.ndarray:
    """Human labels without slips: (N, 4) corners in px. Nothing is added.

    Dropped are boxes without any purple that the teacher does not see either, and second boxes of one cell.
    """
    purple, seen = purple_density(rgb), np.array(_corners(teacher, rgb, um_per_px)).reshape(-1, 4)
    kept: list[np.ndarray] = []
    for box in labels:
        is_empty = _level(purple, box, 95) < _PURPLE_LABEL and _iou(box, seen).max(initial=0) < 0.3
        if not is_empty and _iou(box, np.array(kept).reshape(-1, 4)).max(initial=0) < 0.6:
            kept.append(box)
    return np.array(kept, np.float32).reshape(-1, 4)


def _corners(teacher: Detector, rgb: np.ndarray, um_per_px: float) -> list[tuple[float, float, float, float]]:
    found = teacher.detect(rgb, um_per_px)
    return [(box.x, box.y, box.x + box.width, box.y + box.height) for box, _ in found]


def _nuclear_boxes(purple: np.ndarray, um_per_px: float) -> list[tuple[float, float, float, float]]:
    margin = _ADDED_MARGIN_UM / um_per_px
    boxes = []
    for n in find_nuclei(purple, _PURPLE_NUCLEUS, um_per_px):
        side_um = max(n.right - n.left, n.bottom - n.top) * um_per_px
        if _MIN_ADDED_UM2 < n.area_um2 < _MAX_ADDED_UM2 and side_um < _MAX_ADDED_UM:
            boxes.append((n.left - margin, n.top - margin, n.right + margin, n.bottom + margin))
    return boxes


def _is_covered(box: tuple[float, float, float, float], boxes: np.ndarray) -> bool:
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = (boxes[:, 0] < x) & (x < boxes[:, 2]) & (boxes[:, 1] < y) & (y < boxes[:, 3])
    return bool(inside.any() or _iou(np.array(box), boxes).max(initial=0) > 0.3)


def _middle_half(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    width, height = (box[2] - box[0]) / 4, (box[3] - box[1]) / 4
    return box[0] + width, box[1] + height, box[2] - width, box[3] - height


def _level(purple: np.ndarray, box: tuple[float, ...] | np.ndarray, percentile: float) -> float:
    left, top, right, bottom = (max(0, int(v)) for v in box)
    part = purple[top : bottom + 1, left : right + 1]
    return float(np.percentile(part, percentile)) if part.size else -1.0


def _iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    common = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(1)
    return common / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - common)
