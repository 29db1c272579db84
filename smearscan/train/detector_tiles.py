"""Training tiles: collages of rescaled fields that look like films of laboratories not yet seen.

A tile has one magnification and mostly one stain, as a scan has; fields are packed into it, leukocytes
of others are set on it (dense and touching ones are rare in the labelled fields), dirt is drawn that is no cell,
and then optics, illumination and compression are varied. Tile `i` of a seed is always the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from smearscan.detect.yolo import RIM_PX
from smearscan.train.detector_fields import BASE_UM_PER_PX, TrainingField
from smearscan.train.detector_look import draw_dirt, vary_dye, vary_optics, vary_stain_lut
from smearscan.train.detector_rims import mirrored


@dataclass(frozen=True, slots=True)
class TileRecipe:
    """How tiles are made; probabilities 0–1, scales relative to the detector's own µm/px."""

    side_px: int = 256
    um_per_px: float = 0.5
    scale_range: tuple[float, float] = (0.6, 1.7)
    p_dense: float = 0.25
    p_dirt: float = 0.4
    p_own_stain: float = 0.3
    p_dye: float = 0.5
    p_lone: float = 0.4
    p_mirrored: float = 0.6
    p_sparse: float = 0.35
    min_visible: float = 0.2
    min_side_px: float = 2.5


class TileMaker:
    """Makes tile `index` of a seed from labelled fields.

    Parameters
    ----------
    groups
        Fields by source; sources are drawn with `weights`, then a field of the source.
    """

    def __init__(
        self, groups: dict[str, list[TrainingField]], weights: dict[str, float], recipe: TileRecipe, seed: int
    ) -> None:
        self._groups = {
            source: [replace(f, source=source) for f in fields] for source, fields in groups.items() if fields
        }
        self._sources = sorted(self._groups)
        share = np.array([weights.get(source, 1.0) for source in self._sources], float)
        self._share = share / share.sum()
        self._recipe = recipe
        self._seed = seed

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """(side, side, 3) uint8 RGB and (N, 4) float32 boxes, corners in px of the tile."""
        rng = np.random.default_rng([self._seed, index])
        recipe = self._recipe
        scale = float(np.exp(rng.uniform(*np.log(recipe.scale_range))))
        shrink = BASE_UM_PER_PX / recipe.um_per_px * scale
        main = self._draw(rng)
        stain = None if rng.random() < recipe.p_own_stain else self._draw(rng).density
        canvas = np.full((recipe.side_px, recipe.side_px, 3), 255, np.uint8)
        boxes = self._pack(rng, canvas, main, shrink, stain)
        if rng.random() < recipe.p_dense:
            boxes = self._set_cells(rng, canvas, boxes, main, shrink, stain)
        if rng.random() < recipe.p_dirt:
            draw_dirt(rng, canvas, boxes, scale)
        canvas, boxes = _turn(canvas, boxes, int(rng.integers(8)))
        if rng.random() < recipe.p_dye:
            canvas = vary_dye(rng, canvas)
        return vary_optics(rng, canvas), boxes

    def _draw(self, rng: np.random.Generator, source: str | None = None) -> TrainingField:
        name = source or self._sources[int(rng.choice(len(self._sources), p=self._share))]
        fields = self._groups[name]
        return fields[int(rng.integers(len(fields)))]

    def _pack(
        self,
        rng: np.random.Generator,
        canvas: np.ndarray,
        main: TrainingField,
        shrink: float,
        stain: np.ndarray | None,
    ) -> np.ndarray:
        """Fill the canvas shelf by shelf; now and then a gap stays as white as outside a slide."""
        side = canvas.shape[0]
        mixed = rng.random() < 0.5
        is_lone = (
            rng.random() < self._recipe.p_lone
        )  # as a field of its own comes: glass beside it, cells cut at its rim
        is_mirrored = is_lone and rng.random() < self._recipe.p_mirrored
        # Film between leukocytes, of which a scan has more than anything: tiles with few of them or none.
        p_bare = float(rng.choice([0.8, 0.95, 1.0])) if rng.random() < self._recipe.p_sparse else 0.0
        found: list[np.ndarray] = []
        y = 0 if is_lone else -int(rng.integers(0, 40))
        while y < side:
            x, row = 0 if is_lone else -int(rng.integers(0, 40)), []
            while x < side:
                field = self._draw(rng) if mixed else self._draw(rng, main.source)
                field = _bare_part(field) if rng.random() < p_bare else field
                patch, inside = self._take(rng, field, shrink, stain)
                row.append((x, *(mirrored(patch, inside, RIM_PX) if is_mirrored else (patch, inside))))
                x += row[-1][1].shape[1] + (int(rng.integers(4, 24)) if is_lone else 0)
            heights = [patch.shape[0] for _, patch, _ in row]
            # Side by side all are cut to the lowest: what lay under the next row would leave its boxes behind.
            shelf = max(heights) if is_lone else max(24, min(heights))
            for x, patch, boxes in row:
                if rng.random() > 0.06:
                    found.append(_paste(rng, canvas, patch, boxes, (x, y), shelf, self._recipe))
            y += shelf + (int(rng.integers(4, 24)) if is_lone else 0)
        return np.concatenate(found) if found else np.zeros((0, 4), np.float32)

    def _take(
        self, rng: np.random.Generator, field: TrainingField, shrink: float, stain: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """One field in the tile's scale and stain, turned; large ones cut to a window."""
        factor = shrink * float(rng.uniform(0.92, 1.08))
        aspect = float(np.exp(rng.normal(0, 0.04)))
        height, width = field.rgb.shape[:2]
        size = (max(8, round(width * factor * aspect)), max(8, round(height * factor / aspect)))
        rgb = cv2.resize(field.rgb, size, interpolation=cv2.INTER_AREA)
        boxes = field.boxes * np.tile(np.array([size[0] / width, size[1] / height], np.float32), 2)
        rgb = cv2.LUT(rgb, vary_stain_lut(rng, field.density, stain))
        return _turn(rgb, boxes, int(rng.integers(8)))

    def _set_cells(
        self,
        rng: np.random.Generator,
        canvas: np.ndarray,
        boxes: np.ndarray,
        main: TrainingField,
        shrink: float,
        stain: np.ndarray | None,
    ) -> np.ndarray:
        """Set whole leukocytes of other fields on the film, often so that they touch one another."""
        side = canvas.shape[0]
        for _ in range(int(rng.integers(3, 30))):
            field = self._draw(rng, main.source if rng.random() < 0.8 else None)
            whole = _whole_boxes(field)
            if not len(whole):
                continue
            left, top, right, bottom = whole[int(rng.integers(len(whole)))]
            cut = field.rgb[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))]
            size = (max(6, round(cut.shape[1] * shrink)), max(6, round(cut.shape[0] * shrink)))
            patch = cv2.LUT(
                cv2.resize(cut, size, interpolation=cv2.INTER_AREA), vary_stain_lut(rng, field.density, stain)
            )
            patch, _ = _turn(patch, np.zeros((0, 4), np.float32), int(rng.integers(8)))
            height, width = patch.shape[:2]
            if len(boxes) and rng.random() < 0.6:  # beside another cell
                near = boxes[int(rng.integers(len(boxes)))]
                angle = rng.uniform(0, 2 * np.pi)
                reach = ((near[2] - near[0]) + width) / 2 * rng.uniform(0.85, 1.05)
                x = int((near[0] + near[2]) / 2 + np.cos(angle) * reach - width / 2)
                y = int((near[1] + near[3]) / 2 + np.sin(angle) * reach - height / 2)
            else:
                x, y = int(rng.integers(-width // 3, side)), int(rng.integers(-height // 3, side))
            box = np.array([[x, y, x + width, y + height]], np.float32)
            seen = _clip(box, (0, 0, side, side), self._recipe)
            if not len(seen) or _largest_overlap(box[0], boxes) > 0.2:
                continue
            _blend_ellipse(canvas, patch, x, y)
            boxes = np.concatenate([boxes, seen])
        return boxes


def _bare_part(field: TrainingField) -> TrainingField:
    """The largest strip along a side of the field that holds no leukocyte."""
    height, width = field.rgb.shape[:2]
    if not len(field.boxes):
        return field
    left, top = np.floor(field.boxes[:, :2].min(0)).astype(int)
    right, bottom = np.ceil(field.boxes[:, 2:].max(0)).astype(int)
    strips = [
        (0, 0, left - 2, height),
        (right + 2, 0, width, height),
        (0, 0, width, top - 2),
        (0, bottom + 2, width, height),
    ]
    x0, y0, x1, y1 = max(strips, key=lambda s: max(0, s[2] - s[0]) * max(0, s[3] - s[1]))
    if x1 - x0 < 16 or y1 - y0 < 16:  # cells everywhere: a corner of glass instead
        return replace(field, rgb=np.full((32, 32, 3), 255, np.uint8), boxes=field.boxes[:0])
    return replace(field, rgb=np.ascontiguousarray(field.rgb[y0:y1, x0:x1]), boxes=field.boxes[:0])


def _whole_boxes(field: TrainingField) -> np.ndarray:
    height, width = field.rgb.shape[:2]
    b = field.boxes
    return b[(b[:, 0] > 2) & (b[:, 1] > 2) & (b[:, 2] < width - 2) & (b[:, 3] < height - 2)]


def _largest_overlap(box: np.ndarray, boxes: np.ndarray) -> float:
    """Largest share of either box that the other covers."""
    if not len(boxes):
        return 0.0
    common = np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None).prod(1)
    areas = np.minimum((boxes[:, 2:] - boxes[:, :2]).prod(1), (box[2:] - box[:2]).prod())
    return float((common / np.maximum(areas, 1)).max())


def _blend_ellipse(canvas: np.ndarray, patch: np.ndarray, x: int, y: int) -> None:
    height, width = patch.shape[:2]
    v, u = np.mgrid[:height, :width]
    radius = np.hypot((u + 0.5) / width * 2 - 1, (v + 0.5) / height * 2 - 1)
    alpha = np.clip((1.0 - radius) * width / 3 + 0.3, 0, 1).astype(np.float32)[..., None]
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(height, canvas.shape[0] - y), min(width, canvas.shape[1] - x)
    if bottom <= top or right <= left:
        return
    under = canvas[y + top : y + bottom, x + left : x + right].astype(np.float32)
    a = alpha[top:bottom, left:right]
    mixed = under + a * (patch[top:bottom, left:right].astype(np.float32) - under)
    canvas[y + top : y + bottom, x + left : x + right] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)


def _paste(
    rng: np.random.Generator,
    canvas: np.ndarray,
    patch: np.ndarray,
    boxes: np.ndarray,
    place: tuple[int, int],
    height: int,
    recipe: TileRecipe,
) -> np.ndarray:
    """Put at most `height` rows of a patch on the canvas; the boxes, cut to what is seen, in px of the canvas."""
    side = canvas.shape[0]
    x, y = place
    first = int(rng.integers(0, max(1, patch.shape[0] - height + 1)))
    patch, boxes = patch[first : first + height], boxes - np.array([0, first, 0, first], np.float32)
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(patch.shape[0], side - y), min(patch.shape[1], side - x)
    if bottom <= top or right <= left:
        return np.zeros((0, 4), np.float32)
    canvas[y + top : y + bottom, x + left : x + right] = patch[top:bottom, left:right]
    seen = _clip(boxes, (left, top, right, bottom), recipe)
    return seen + np.array([x, y, x, y], np.float32)


def _clip(boxes: np.ndarray, window: tuple[int, int, int, int], recipe: TileRecipe) -> np.ndarray:
    """Boxes cut to a window (left, top, right, bottom); those of which too little is left are dropped."""
    low, high = np.array(window[:2] * 2, np.float32), np.array(window[2:] * 2, np.float32)
    cut = np.clip(boxes, low, high)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    seen = np.clip(cut[:, 2:] - cut[:, :2], 0, None)
    is_kept = (seen.prod(1) >= recipe.min_visible * area) & (seen.min(1, initial=1e9) >= recipe.min_side_px)
    return cut[is_kept].astype(np.float32)


def _turn(rgb: np.ndarray, boxes: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """One of the eight turns and mirrors of a square, of the image and its boxes."""
    for _ in range(k & 3):  # a quarter turn to the left: (x, y) becomes (y, width - x)
        width = rgb.shape[1]
        rgb = np.rot90(rgb)
        boxes = np.stack([boxes[:, 1], width - boxes[:, 2], boxes[:, 3], width - boxes[:, 0]], 1)
    if k & 4:
        width = rgb.shape[1]
        rgb = rgb[:, ::-1]
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
    return np.ascontiguousarray(rgb), np.ascontiguousarray(boxes, np.float32)
