"""Cells of the Taleqani fields: found by stain contrast, scaled by red cells, split by blocks of file numbers.

The field's class is the cell's label: weak, since a malignant field holds normal cells too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from scipy.cluster.vq import kmeans2

from smearscan.train.labels_read import EyeLabel, label_at
from smearscan.train.windows import window_at

CLASSES = ("Benign", "Early", "Pre", "Pro")
#: Blocks of file numbers never trained on; 50 numbers on either side of each are left out of training as well.
TEST_BLOCKS = {
    "Benign": ((1, 45), (409, 453)),
    "Early": ((1, 70), (400, 460), (817, 886)),
    "Pre": ((1, 70), (400, 460), (797, 866)),
    "Pro": ((1, 60), (330, 390), (664, 723)),
}
GAP = 50
_RED_CELL_UM = 7.5
_AREA_UM2 = (18.0, 420.0)
_N_STAINS = 8


@dataclass(frozen=True, slots=True, eq=False)
class FieldCells:
    """Cells of all fields, one row a cell.

    Attributes
    ----------
    windows
        (N, 128, 128, 3) uint8 RGB.
    labels
        N types read by eye; nearly all are empty.
    grades, numbers, stains
        (N,) class of the field (index of `CLASSES`), its file number, cluster of its stain.
    """

    windows: np.ndarray
    labels: list[EyeLabel]
    grades: np.ndarray
    numbers: np.ndarray
    stains: np.ndarray


def block_of(grade: str, number: int) -> int:
    """0 for training, -1 inside a gap, else 1, 2, … the test block a file number lies in."""
    blocks = TEST_BLOCKS[grade]
    for i, (first, last) in enumerate(blocks):
        if first <= number <= last:
            return i + 1
    near = any(first - GAP <= number <= last + GAP for first, last in blocks)
    return -1 if near else 0


def read_cells(folder: Path) -> FieldCells:
    """Find and cut every cell of the fields that does not touch an edge."""
    paths = [(c, p) for c in range(4) for p in sorted((folder / CLASSES[c]).glob("*.jpg"), key=_number)]
    fields = [cv2.cvtColor(np.asarray(cv2.imread(str(p))), cv2.COLOR_BGR2RGB) for _, p in paths]
    grades = np.array([c for c, _ in paths])
    numbers = np.array([_number(p) for _, p in paths])
    looks = np.stack([_look(f) for f in fields])
    scales = _RED_CELL_UM / _smoothed_diameters(fields, grades, numbers, looks)
    stains = kmeans2(looks * [0.75, 0.75, 0.75, 2, 2, 2], _N_STAINS, minit="++", seed=0)[1]
    windows, labels, rows = [], [], []
    for i, (rgb, um) in enumerate(zip(fields, scales, strict=True)):
        for x, y in _cells_of(rgb, um):
            windows.append(window_at(rgb, x, y, um))
            labels.append(label_at(f"{folder.name}/{CLASSES[grades[i]]}/{paths[i][1].name}", x, y))
            rows.append(i)
    at = np.array(rows)
    return FieldCells(np.stack(windows), labels, grades[at], numbers[at], stains[at])


def _number(path: Path) -> int:
    return int(re.search(r"(\d+)$", path.stem)[1])  # type: ignore[index]


def _density(rgb: np.ndarray) -> np.ndarray:
    return -np.log((rgb.astype(np.float32) + 1) / 256)


def _contrast(rgb: np.ndarray) -> tuple[np.ndarray, float]:
    """Green density above the mean of red and blue, and where chromatin begins: red cells are grey or blue here."""
    density = _density(rgb)
    contrast = cv2.GaussianBlur(density[..., 1] - 0.5 * (density[..., 0] + density[..., 2]), (0, 0), 1.0)
    threshold = _otsu(contrast)
    return contrast, max(threshold, float(contrast[contrast <= threshold].mean()) + 0.15)


def _otsu(values: np.ndarray) -> float:
    low, high = float(values.min()), float(values.max())
    scaled = np.clip((values - low) / max(high - low, 1e-6) * 255, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled.reshape(-1, 1), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return low + (threshold + 0.5) / 255 * max(high - low, 1e-6)


def _look(rgb: np.ndarray) -> np.ndarray:
    """Stain of a field: brightest tenth (in units of 60 grey levels) and the red cells' density, (6,) float."""
    contrast, threshold = _contrast(rgb)
    rest = contrast <= threshold
    density = _density(rgb)
    red = rest & (density[..., 1] > _otsu(density[..., 1][rest]))
    return np.concatenate([np.percentile(rgb.reshape(-1, 3), 90, axis=0) / 60, np.median(density[red], axis=0)])


def _red_cell_diameters(rgb: np.ndarray) -> list[float]:
    contrast, threshold = _contrast(rgb)
    cells = ndimage.binary_dilation(contrast > threshold, iterations=2)
    green = cv2.GaussianBlur(_density(rgb)[..., 1], (0, 0), 0.7)
    film = ndimage.binary_fill_holes((green > _otsu(green[~cells])) & ~cells)
    film = ndimage.binary_opening(film).astype(np.uint8)
    found = []
    for piece in cv2.findContours(film, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]:
        area = cv2.contourArea(piece) + len(piece) / 2
        x, y, width, height = cv2.boundingRect(piece)
        is_inside = x > 0 and y > 0 and x + width < rgb.shape[1] and y + height < rgb.shape[0]
        hull = cv2.convexHull(piece)
        is_round = area > 0.93 * (cv2.contourArea(hull) + len(piece) / 2) and max(width, height) < 1.4 * min(
            width, height
        )
        if 40 < area < 1500 and is_inside and is_round:
            found.append(2 * float(np.sqrt(area / np.pi)))
    return found


def _smoothed_diameters(
    fields: list[np.ndarray], grades: np.ndarray, numbers: np.ndarray, looks: np.ndarray
) -> np.ndarray:
    """Red-cell diameter of each field in px: the median over the nine likest fields of its class that show enough."""
    found = [_red_cell_diameters(f) for f in fields]
    out = np.empty(len(fields))
    for grade in range(4):
        rows = np.flatnonzero(grades == grade)
        clear = np.array([i for i in rows if len(found[i]) >= 4])
        for i in rows:
            away = ((looks[clear] - looks[i]) ** 2).sum(1) + ((numbers[clear] - numbers[i]) / 150.0) ** 2
            near = clear[np.argsort(away, kind="stable")[:9]]
            out[i] = np.median(np.concatenate([np.full(len(found[j]), np.median(found[j])) for j in near]))
    return out


def _cells_of(rgb: np.ndarray, um_per_px: float) -> list[tuple[float, float]]:
    """Middles of the stained cells of a field, px: watershed of the distance inside the stained area."""
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    zoom, um = 2, um_per_px / 2
    large = cv2.resize(rgb, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    contrast, threshold = _contrast(large)
    stained = ndimage.binary_fill_holes(ndimage.binary_opening(contrast > threshold, iterations=2))
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(stained), 1.5)
    pieces, _ = ndimage.label(stained)
    peaks = peak_local_max(depth, min_distance=max(3, int(2.6 / um)), threshold_abs=1.3 / um, labels=pieces)
    marks = np.zeros(stained.shape, int)
    marks[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-depth, marks, mask=stained)
    areas = np.bincount(labels.ravel()) * um**2
    height, width = stained.shape
    out = []
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None or not _AREA_UM2[0] < areas[i] < _AREA_UM2[1]:
            continue
        (top, bottom), (left, right) = ((s.start, s.stop) for s in box)
        touches = top <= 1 or left <= 1 or bottom >= height - 1 or right >= width - 1
        on_scale_bar = right > 0.88 * width and bottom > 0.9 * height
        if not touches and not on_scale_bar:
            out.append(((left + right) / 2 / zoom, (top + bottom) / 2 / zoom))
    return out
