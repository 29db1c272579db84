"""Cells of normal blood from five other laboratories: PBC, Raabin, BCCD and the two of segmentation_WBC.

PBC's folders name the class; the others' classes were read by eye (`labels_by_eye.tsv`). Pictures in TXL-PBC
that come from PBC itself are left out: many are the same files as in the folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from smearscan.train.labels_read import EyeLabel, label_at
from smearscan.train.windows import window_at

_PBC_UM = 7.5 / 71.2
#: Laboratory of a TXL-PBC picture by its height, and µm per pixel from its red-cell boxes at 7.5 µm.
_TXL = {416: ("bccd", 7.5 / 96.4), 480: ("bccd", 7.5 / 96.4), 575: ("raabin", 7.5 / 124.8)}
_FULL_SIZE = (640, 480)  # BCCD's 416×416 pictures are these, squeezed
#: segmentation_WBC states no scale: its median leukocyte is put at 12.5 µm.
_TYPICAL_UM = 12.5
_RENAMED = {"ig": "immature_granulocyte"}
#: The one pair of equal pictures in the PBC folders; the second is left out.
_TWINS = {"PMY_586364"}
_N_RED_CELLS = 3


@dataclass(frozen=True, slots=True)
class NormalCell:
    """One cell: window (128, 128, 3) uint8 RGB, laboratory, order inside it, class and the reading it comes from."""

    window: np.ndarray
    laboratory: str
    label: EyeLabel
    order: int


def read_pbc(folder: Path) -> Iterator[NormalCell]:
    """The eight folders, ordered by file number."""
    for path in sorted(folder.glob("*/*.jpg")):
        if path.stem in _TWINS:
            continue
        rgb = _read(path)
        window = window_at(rgb, rgb.shape[1] / 2 - 0.5, rgb.shape[0] / 2 - 0.5, _PBC_UM)
        name = path.parent.name
        yield NormalCell(window, "pbc", EyeLabel(_RENAMED.get(name, name)), int(re.search(r"(\d+)$", path.stem)[1]))  # type: ignore[index]


def read_txl(data: Path) -> Iterator[NormalCell]:
    """Leukocytes and platelets of the BCCD and Raabin pictures, and some of their red cells as artefacts."""
    rng = np.random.default_rng(0)
    paths = sorted((data / "txl_pbc" / "images").glob("*/*.jpg"))
    for order, path in enumerate(paths):
        rgb = _read(path)
        if rgb.shape[0] not in _TXL:
            continue
        laboratory, um = _TXL[rgb.shape[0]]
        if rgb.shape[0] == 416:
            rgb = cv2.resize(rgb, _FULL_SIZE, interpolation=cv2.INTER_CUBIC)
        boxes = np.loadtxt(str(path).replace("images", "labels").replace(".jpg", ".txt"), ndmin=2)
        boxes[:, 1:] *= np.tile([rgb.shape[1], rgb.shape[0]], 2)
        name = path.relative_to(data).as_posix()
        for box in boxes[boxes[:, 0] == 0]:
            yield NormalCell(window_at(rgb, box[1], box[2], um), laboratory, label_at(name, box[1], box[2]), order)
        for box in boxes[boxes[:, 0] == 2][:2]:
            yield NormalCell(window_at(rgb, box[1], box[2], um), laboratory, EyeLabel("platelet"), order)
        for box in _lonely_red_cells(boxes, um, rng):
            yield NormalCell(window_at(rgb, box[1], box[2], um), laboratory, EyeLabel("artefact"), order)


def _lonely_red_cells(boxes: np.ndarray, um: float, rng: np.random.Generator) -> Iterator[np.ndarray]:
    white, red = boxes[boxes[:, 0] == 0], boxes[boxes[:, 0] == 1]
    for box in red[rng.permutation(len(red))[:_N_RED_CELLS]]:
        if len(white) == 0 or np.hypot(*(white[:, 1:3] - box[1:3]).T).min() * um > 12:
            yield box


def read_segmentation(data: Path) -> Iterator[NormalCell]:
    """Both datasets of segmentation_WBC."""
    for which in (1, 2):
        folder = data / "segmentation_wbc" / f"dataset{which}"
        paths = [p for p in sorted(folder.glob("*.png")) if not p.stem.endswith("_mask")]
        masks = [
            np.asarray(cv2.imread(str(p.with_name(f"{p.stem}_mask.png")), cv2.IMREAD_GRAYSCALE)) > 60 for p in paths
        ]
        um = _TYPICAL_UM / float(np.median([2 * np.sqrt(m.sum() / np.pi) for m in masks]))
        for order, (path, mask) in enumerate(zip(paths, masks, strict=True)):
            y, x = (axis.mean() for axis in np.nonzero(np.asarray(mask)))
            name = path.relative_to(data).as_posix()
            yield NormalCell(window_at(_read(path), x, y, um), f"seg{which}", label_at(name, x, y), order)


def _read(path: Path) -> np.ndarray:
    return cv2.cvtColor(np.asarray(cv2.imread(str(path))), cv2.COLOR_BGR2RGB)
