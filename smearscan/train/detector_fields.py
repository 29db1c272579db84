"""Labelled fields for the detector, brought to one scale by their own red cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

#: µm/px at which training fields are kept; the detector works at half of it or coarser.
BASE_UM_PER_PX = 0.25
#: Width of a red cell on a dried film, µm: the ruler of fields without a scale.
RED_CELL_UM = 7.5

_LEUKOCYTE, _RED_CELL = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class TrainingField:
    """One field at `BASE_UM_PER_PX`.

    Attributes
    ----------
    rgb
        (H, W, 3) uint8.
    boxes
        (N, 4) float32, left, top, right, bottom of every leukocyte, px of `rgb`.
    source
        Camera or laboratory: fields of one source share stain and optics.
    density
        (2, 3) float32: mean and spread of the optical density (R, G, B) outside leukocytes.
    """

    rgb: np.ndarray
    boxes: np.ndarray
    source: str
    density: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class LabelledField:
    """A field as it came: (H, W, 3) uint8 RGB, leukocyte and red-cell boxes (N, 4) in its own px."""

    name: str
    rgb: np.ndarray
    leukocytes: np.ndarray
    red_cells: np.ndarray
    source: str


def read_yolo_fields(folder: Path, part: str) -> list[LabelledField]:
    """Fields of a folder `images/<part>`, `labels/<part>` in YOLO text (0 leukocyte, 1 red cell).

    The source of a field is its size in pixels: each camera has its own.
    """
    fields = []
    for path in sorted((folder / "images" / part).iterdir()):
        rgb = read_rgb(path)
        height, width = rgb.shape[:2]
        rows = (folder / "labels" / part / f"{path.stem}.txt").read_text().split("\n")
        table = np.array([row.split()[:5] for row in rows if row.strip()], np.float32).reshape(-1, 5)
        centre, half = table[:, 1:3], table[:, 3:5] / 2
        boxes = np.concatenate([centre - half, centre + half], 1) * np.array([width, height, width, height], np.float32)
        kind = table[:, 0].astype(int)
        fields.append(
            LabelledField(path.stem, rgb, boxes[kind == _LEUKOCYTE], boxes[kind == _RED_CELL], f"{width}x{height}")
        )
    return fields


def read_rgb(path: Path) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB.

    Raises
    ------
    FileNotFoundError
        If it is absent or no image.
    """
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(path)
    return np.ascontiguousarray(bgr[..., ::-1]).astype(np.uint8, copy=False)


def red_cell_diameters(fields: list[LabelledField]) -> list[float]:
    """Median red-cell width of each field in px, its source's where it shows fewer than five whole ones."""
    own = [_whole_widths(field) for field in fields]
    by_source = {
        source: float(np.median(np.concatenate([w for w, f in zip(own, fields, strict=True) if f.source == source])))
        for source in {field.source for field in fields}
    }
    return [
        float(np.median(widths)) if len(widths) >= 5 else by_source[field.source]
        for widths, field in zip(own, fields, strict=True)
    ]


def _whole_widths(field: LabelledField) -> np.ndarray:
    height, width = field.rgb.shape[:2]
    b = field.red_cells
    whole = (b[:, 0] > 2) & (b[:, 1] > 2) & (b[:, 2] < width - 2) & (b[:, 3] < height - 2)
    return np.sqrt((b[whole, 2] - b[whole, 0]) * (b[whole, 3] - b[whole, 1]))


def to_training_fields(fields: list[LabelledField]) -> list[TrainingField]:
    """Rescale labelled fields to `BASE_UM_PER_PX` by their red cells."""
    diameters = red_cell_diameters(fields)
    return [
        training_field(field.rgb, field.leukocytes, RED_CELL_UM / diameter, field.source)
        for field, diameter in zip(fields, diameters, strict=True)
    ]


def training_field(rgb: np.ndarray, boxes: np.ndarray, um_per_px: float, source: str) -> TrainingField:
    """Rescale one field of known scale to `BASE_UM_PER_PX`; `boxes` (N, 4) corners in its own px."""
    factor = um_per_px / BASE_UM_PER_PX
    size = (max(8, round(rgb.shape[1] * factor)), max(8, round(rgb.shape[0] * factor)))
    scaled = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    ratio = np.array([size[0] / rgb.shape[1], size[1] / rgb.shape[0]], np.float32)
    corners = (boxes.reshape(-1, 4) * np.tile(ratio, 2)).astype(np.float32)
    return TrainingField(scaled, corners, source, _background_density(scaled, corners))


def _background_density(rgb: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    outside = np.ones(rgb.shape[:2], bool)
    for left, top, right, bottom in boxes.astype(int):
        outside[max(0, top) : bottom + 1, max(0, left) : right + 1] = False
    pixels = rgb[outside] if outside.sum() > 200 else rgb.reshape(-1, 3)
    density = -np.log10(np.maximum(pixels, 1).astype(np.float32) / 255)
    return np.stack([density.mean(0), density.std(0)]).astype(np.float32)
