"""Training windows for the mask network, drawn from few labelled cells: any size, stain, blur and neighbours.

Each window is 29 µm on 128 px with one labelled cell near its middle. The labelled pictures have no scale, so a
diameter is drawn for each. Half of the cells keep their own surroundings, the others are laid onto a real field (whose
own leukocytes stay background), beside or under other labelled cells; all are restained, blurred and coded anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from smearscan.train.mask_stain import (
    Anchors,
    anchors_of_cell,
    anchors_of_field,
    draw_target,
    map_stain,
    rough_leukocytes,
    to_density,
    to_rgb,
)

SIDE_PX = 128
WINDOW_UM = 29.0
UM_PER_PX = WINDOW_UM / SIDE_PX
#: Share of windows that are black around their cell, and of those, how many are dark as C-NMC's are.
_BLACK, _DARK = 0.1, 0.6
#: Share of windows that end at a slide's edge.
_CUT_OFF = 0.06
#: Share of windows without a cell, and the free diameter in their middle, µm.
_EMPTY, _EMPTY_ROOM_UM = 0.05, 12.0


@dataclass(frozen=True, slots=True, eq=False)
class LabelledCell:
    """A picture of one leukocyte with its masks, at full, half and quarter size (for clean shrinking).

    `pictures` are (h, w, 3) uint8 RGB, `masks` (h, w, 2) float32 of cell and nucleus, `centre` the cell's middle and
    `diameter` its equivalent diameter, both in px of the full size.
    """

    name: str
    pictures: tuple[np.ndarray, ...]
    masks: tuple[np.ndarray, ...]
    centre: tuple[float, float]
    diameter: float
    anchors: Anchors


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A real field to lay cells on; `room` is each pixel's distance from the next leukocyte, px."""

    rgb: np.ndarray
    um_per_px: float
    room: np.ndarray
    anchors: Anchors


@dataclass(frozen=True, slots=True, eq=False)
class MaskSource:
    """Everything windows are drawn from."""

    cells: list[LabelledCell]
    fields: list[Field] = field(default_factory=list)


def read_labelled(folder: Path) -> list[LabelledCell]:
    """Pictures `NNN.png` with masks `NNN_mask.png` (white nucleus, grey cytoplasm), in order of name."""
    cells = []
    for mask_path in sorted(folder.glob("*_mask.png")):
        rgb = cv2.cvtColor(cv2.imread(str(mask_path.with_name(mask_path.name.replace("_mask", "")))), cv2.COLOR_BGR2RGB)
        grey = np.asarray(cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE))
        cells.append(label_cell(f"{folder.name}/{mask_path.stem}", rgb, grey > 64, grey > 192))
    return cells


def label_cell(name: str, rgb: np.ndarray, cell: np.ndarray, nucleus: np.ndarray) -> LabelledCell:
    """Make the record of one picture from its (H, W) bool masks; only the largest piece of the cell counts."""
    _, labels, stats, centroids = cv2.connectedComponentsWithStats(cell.astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    cell = labels == largest
    nucleus = nucleus & cell
    masks = np.dstack([cell, nucleus]).astype(np.float32)
    pictures, smaller = [rgb], [masks]
    for _ in range(2):
        size = (pictures[-1].shape[1] // 2, pictures[-1].shape[0] // 2)
        pictures.append(cv2.resize(pictures[-1], size, interpolation=cv2.INTER_AREA))
        smaller.append(cv2.resize(smaller[-1], size, interpolation=cv2.INTER_AREA))
    diameter = float(np.sqrt(4 * cell.sum() / np.pi))
    x, y = centroids[largest]
    return LabelledCell(
        name, tuple(pictures), tuple(smaller), (float(x), float(y)), diameter, anchors_of_cell(rgb, cell, nucleus)
    )


def make_field(rgb: np.ndarray, um_per_px: float, leukocytes: np.ndarray | None = None) -> Field | None:
    """A field to lay cells on, or None if its stain cannot be read; `leukocytes` (H, W) bool, else found roughly."""
    found = rough_leukocytes(rgb)
    anchors = anchors_of_field(rgb, found)
    if anchors is None:
        return None
    taken = found if leukocytes is None else found | leukocytes
    room = cv2.distanceTransform((~taken).astype(np.uint8), cv2.DIST_L2, 3)
    return Field(rgb, um_per_px, room, anchors)


def draw_window(source: MaskSource, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One training pair: (128, 128, 3) uint8 RGB and (128, 128) uint8 of 0 background, 1 cytoplasm, 2 nucleus."""
    if source.fields and rng.random() < _EMPTY:
        return _empty_window(source, rng)
    cell = source.cells[rng.integers(len(source.cells))]
    diameter_um = float(np.clip(rng.lognormal(np.log(11.5), 0.28), 6.5, 22))
    offset = rng.normal(0, 0.7, 2) / UM_PER_PX
    density, masks = _place(cell, diameter_um, offset, rng)
    if source.fields and rng.random() < 0.5:
        density = _on_field(source, cell, density, masks, diameter_um, offset, rng)
    elif source.fields and rng.random() < 0.75:
        density = _own_surroundings(source, cell, density, masks, rng)
    label = (masks[..., 0] > 0.5).astype(np.uint8) + (masks[..., 1] > 0.5)
    rgb = degrade(density, label, rng)
    return _cut_off(rgb, label, rng) if rng.random() < _CUT_OFF else (rgb, label)


def _cut_off(rgb: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The window of a cell at a slide's edge: white from a column on, which belongs to no cell."""
    first = round(SIDE_PX / 2 + rng.uniform(0.5, 10) / UM_PER_PX)
    turns = int(rng.integers(4))
    rgb, label = np.rot90(rgb, turns).copy(), np.rot90(label, turns).copy()
    rgb[:, first:], label[:, first:] = 255, 0
    return rgb, label


def _empty_window(source: MaskSource, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A window with red cells or glass in the middle, or of one colour: the network must learn to find nothing."""
    if rng.random() < 0.3:
        flat = np.full((SIDE_PX, SIDE_PX, 3), rng.integers(0, 256, 3), np.uint8)
        flat = flat * np.uint8(rng.random() > 0.2)
        return flat, np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    place = source.fields[rng.integers(len(source.fields))]
    density = _field_window(place, _EMPTY_ROOM_UM, np.zeros(2), rng)
    label = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    return degrade(density, label, rng, may_be_black=False), label


def _place(
    cell: LabelledCell, diameter_um: float, offset: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The picture turned, flipped and scaled onto the window: density (128, 128, 3), soft masks (128, 128, 2)."""
    scale = diameter_um / UM_PER_PX / cell.diameter
    level = 0 if scale > 0.6 else 1 if scale > 0.3 else 2
    picture, mask = cell.pictures[level], cell.masks[level]
    factor = scale * 2**level
    angle, stretch = rng.uniform(0, 2 * np.pi), rng.uniform(0.92, 1.08)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn = turn @ np.diag([stretch * (-1 if rng.random() < 0.5 else 1), 1 / stretch]) * factor
    centre = (np.array(cell.centre) + 0.5) / 2**level - 0.5
    shift = (SIDE_PX - 1) / 2 + offset - turn @ centre
    matrix = np.column_stack([turn, shift])
    side = (SIDE_PX, SIDE_PX)
    flat = cv2.warpAffine(picture, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    soft = cv2.warpAffine(mask, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return to_density(flat), soft


def _soft(masks: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Blurred cell and nucleus membership, so that no drawn outline becomes a step of colour."""
    blurred = cv2.GaussianBlur(masks, (0, 0), rng.uniform(0.7, 2.0))
    return blurred[..., 0], np.minimum(blurred[..., 1], blurred[..., 0])


def _gains(rng: np.random.Generator) -> np.ndarray:
    return np.exp(rng.normal(0, 0.25, 4)).astype(np.float32)


def _own_surroundings(
    source: MaskSource, cell: LabelledCell, density: np.ndarray, masks: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The picture restained as a whole, with its own red cells and glass."""
    whole, nucleus = _soft(masks, rng)
    span = max(float((cell.anchors.red_cell - cell.anchors.glass).sum()), 0.15)
    red = np.clip((density.sum(-1) - cell.anchors.glass.sum()) / span, 0, 1) * (1 - whole)
    parts = np.dstack([1 - whole - red, red, whole - nucleus, nucleus]).astype(np.float32)
    target = draw_target(source.fields[rng.integers(len(source.fields))].anchors, cell.anchors, rng)
    return map_stain(density, parts, cell.anchors, target, _gains(rng))


def _on_field(
    source: MaskSource,
    cell: LabelledCell,
    density: np.ndarray,
    masks: np.ndarray,
    diameter_um: float,
    offset: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The cell, restained, on a window of a real field, with up to two labelled neighbours that may touch it."""
    place = source.fields[rng.integers(len(source.fields))]
    canvas = _field_window(place, diameter_um, offset, rng)
    target = draw_target(place.anchors, cell.anchors, rng)
    for _ in range(rng.choice([0, 1, 2, 3], p=[0.45, 0.3, 0.15, 0.1])):
        other = source.cells[rng.integers(len(source.cells))]
        other_um = float(np.clip(rng.lognormal(np.log(11.5), 0.28), 6.5, 22))
        angle = rng.uniform(0, 2 * np.pi)
        reach = (diameter_um + other_um) / 2 * rng.uniform(0.88, 1.25) / UM_PER_PX
        there = offset + reach * np.array([np.cos(angle), np.sin(angle)])
        theirs = draw_target(place.anchors, other.anchors, rng) if rng.random() < 0.5 else target
        canvas = _lay(canvas, other, *_place(other, other_um, there, rng), theirs, rng)
    return _lay(canvas, cell, density, masks, target, rng)


def _lay(
    canvas: np.ndarray,
    cell: LabelledCell,
    density: np.ndarray,
    masks: np.ndarray,
    target: Anchors,
    rng: np.random.Generator,
) -> np.ndarray:
    whole, nucleus = _soft(masks, rng)
    rest = np.zeros_like(whole)
    parts = np.dstack([1 - whole, rest, whole - nucleus, nucleus])
    moved = map_stain(density, parts, cell.anchors, target, _gains(rng))
    alpha = cv2.GaussianBlur(masks[..., 0], (0, 0), 0.8)[..., None]
    return alpha * moved + (1 - alpha) * canvas


def _field_window(place: Field, diameter_um: float, offset: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A window of the field where the cell has room, often just beside a real leukocyte; density (128, 128, 3)."""
    radius = diameter_um / 2 / place.um_per_px
    low, high = (0.95, 1.3) if rng.random() < 0.6 else (0.95, 99.0)
    ys, xs = np.nonzero((place.room >= low * radius) & (place.room <= high * radius))
    if len(xs) == 0:
        ys, xs = np.nonzero(place.room >= min(radius, float(place.room.max())))
    pick = rng.integers(len(xs))
    zoom = place.um_per_px / UM_PER_PX * rng.uniform(0.9, 1.1)
    middle = (SIDE_PX - 1) / 2 + offset
    matrix = np.array([[zoom, 0, middle[0] - zoom * xs[pick]], [0, zoom, middle[1] - zoom * ys[pick]]])
    side = (SIDE_PX, SIDE_PX)
    return to_density(
        cv2.warpAffine(place.rgb, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    )


def degrade(density: np.ndarray, label: np.ndarray, rng: np.random.Generator, may_be_black: bool = True) -> np.ndarray:
    """What cameras do: colour, light, blur, coarse pixels, noise, JPEG; sometimes all but the cell is black."""
    mix = np.eye(3) + rng.normal(0, 0.05, (3, 3))
    density = np.maximum(density @ (mix * np.exp(rng.normal(0, 0.15))).astype(np.float32), 0)
    if rng.random() < 0.4:
        axis = np.linspace(-1, 1, SIDE_PX, dtype=np.float32)
        slope = rng.normal(0, 0.05, 2)
        density = density + (slope[0] * axis[None, :] + slope[1] * axis[:, None])[..., None] + 0.05
    rgb = to_rgb(density + rng.normal(0, 0.015, 3).astype(np.float32))
    coarse_um = rng.uniform(UM_PER_PX, 0.55) if rng.random() < 0.6 else UM_PER_PX
    if rng.random() < 0.5:
        rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 1.6))
    side = round(WINDOW_UM / coarse_um)
    if side < SIDE_PX:
        rgb = cv2.resize(rgb, (side, side), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        noise = rng.normal(0, rng.uniform(1, 8), rgb.shape)
        rgb = np.clip(rgb + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, code = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))])
        rgb = np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR))[..., ::-1]
    if side < SIDE_PX:
        method = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
        rgb = cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=method)
    if may_be_black and rng.random() < _BLACK:
        grown = cv2.dilate((label > 0).astype(np.uint8), np.ones((3, 3), np.uint8), iterations=int(rng.integers(0, 4)))
        rgb = rgb * grown[..., None]
        if rng.random() < _DARK:
            rgb = (rgb * rng.uniform(0.45, 0.9)).astype(np.uint8)
    return rgb
