"""How well leukocytes are found, on labelled fields and as they would come from another laboratory.

    python benchmarks/detection.py --fields DIR --part val [--detector yolo] [--mosaic FILE.tif]

`--fields` holds images/<part> and labels/<part> in YOLO text (0 leukocyte, 1 red cell). A box counts as found at
IoU 0.5, each label once. Rows: the fields as they are, with the scale of the labelled red cells and with that
of red cells measured on the image; at half and twice the size; with the stain of a field of another camera mapped on;
cut by tiles whose borders run through the cells; with no scale at all, each field alone, and fields of a size together
by their leukocytes; *nothing said*: written as PNG files and all given together, as `smearscan detect` takes them.
`--mosaic` searches a scan with a CSV of true boxes beside it.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from smearscan.detect import create_detector, detect_image, find_leukocytes, merge_detections
from smearscan.detect.base import Detector, FloatBox
from smearscan.detect.ladder import climb, look
from smearscan.detect.pooled_scale import PooledScale, pool_scale
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Scale, Tile
from smearscan.settings import DetectSettings, Settings
from smearscan.slide import open_slide
from smearscan.slide.scale import measure_red_cells
from smearscan.spotting import agreed_scales, spot_leukocytes
from smearscan.train.detector_fields import LabelledField, read_yolo_fields, red_cell_diameters

_RED_CELL_UM = 7.5
#: Fields of a size whose leukocytes are pooled for its scale, as many as `smearscan detect` takes.
_POOLED = 12
Found = list[tuple[FloatBox, float]]


@dataclass
class Tally:
    """Labels, detections and those that agree."""

    n_labels: int = 0
    n_found: int = 0
    n_right: int = 0

    def add(self, labels: np.ndarray, found: np.ndarray) -> None:
        """Match (N, 4) label and detection corners, best score first, each label once, at IoU 0.5."""
        free = np.ones(len(labels), bool)
        self.n_labels += len(labels)
        self.n_found += len(found)
        for box in found:
            overlap = np.where(free, _iou(box, labels), 0)
            if len(labels) and overlap.max() >= 0.5:
                free[int(overlap.argmax())] = False
                self.n_right += 1

    def __str__(self) -> str:
        recall, precision = self.n_right / max(self.n_labels, 1), self.n_right / max(self.n_found, 1)
        return f"recall {recall:.4f} precision {precision:.4f} ({self.n_labels} labels, {self.n_found} found)"


def _iou(box: np.ndarray, labels: np.ndarray) -> np.ndarray:
    common = np.clip(np.minimum(box[2:4], labels[:, 2:]) - np.maximum(box[:2], labels[:, :2]), 0, None).prod(1)
    return common / ((box[2:4] - box[:2]).prod() + (labels[:, 2:] - labels[:, :2]).prod(1) - common)


def corners(found: Found) -> np.ndarray:
    """(N, 4) left, top, right, bottom, best score first."""
    best = sorted(found, key=lambda pair: -pair[1])
    return np.array([(b.x, b.y, b.x + b.width, b.y + b.height) for b, _ in best], float).reshape(-1, 4)


def resized(field: LabelledField, factor: float) -> LabelledField:
    """The field and its boxes at another size."""
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    rgb = cv2.resize(field.rgb, None, fx=factor, fy=factor, interpolation=method)
    return replace(field, rgb=rgb, leukocytes=field.leukocytes * factor, red_cells=field.red_cells * factor)


def restained(field: LabelledField, model: LabelledField) -> LabelledField:
    """The field with mean and spread of another's film, in Lab, outside leukocytes."""
    lab = cv2.cvtColor(field.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    (mean, spread), (to_mean, to_spread) = _film(field), _film(model)
    lab = (lab - mean) * np.clip(to_spread / spread, 0.5, 2) + to_mean
    rgb = np.clip(cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB), 0, 1)
    return replace(field, rgb=(rgb * 255 + 0.5).astype(np.uint8))


def _film(field: LabelledField) -> tuple[np.ndarray, np.ndarray]:
    lab = cv2.cvtColor(field.rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    is_film = np.ones(lab.shape[:2], bool)
    for left, top, right, bottom in field.leukocytes.astype(int):
        is_film[max(0, top) : bottom + 1, max(0, left) : right + 1] = False
    pixels = lab[is_film] if is_film.sum() > 500 else lab.reshape(-1, 3)
    return pixels.mean(0), np.maximum(pixels.std(0), 1e-3)


class ArraySlide:
    """A field read as a slide is: white outside, resampled."""

    def __init__(self, rgb: np.ndarray) -> None:
        self._rgb = np.pad(rgb, ((400, 400), (400, 400), (0, 0)), constant_values=255)

    def read(self, box: Box, size: Size | None = None) -> np.ndarray:
        """As `Slide.read`; the box may stick out by up to 400 px."""
        part = self._rgb[box.y + 400 : box.bottom + 400, box.x + 400 : box.right + 400]
        method = cv2.INTER_AREA if size and size.width < box.width else cv2.INTER_CUBIC
        return cv2.resize(part, size, interpolation=method) if size else part


def through_tiles(field: LabelledField, um_per_px: float, detector: Detector, settings: DetectSettings) -> Found:
    """Search four tiles that meet in the middle of the field's first leukocyte."""
    height, width = field.rgb.shape[:2]
    box = field.leukocytes[0] if len(field.leukocytes) else np.array([0, 0, width, height])
    x, y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
    x, y, halo = min(max(x, 1), width - 1), min(max(y, 1), height - 1), min(400, round(24 / um_per_px))
    cores = [Box(0, 0, x, y), Box(x, 0, width - x, y), Box(0, y, x, height - y), Box(x, y, width - x, height - y)]
    scale = Scale(Mpp(um_per_px, um_per_px), "given")
    parts = []
    for core in cores:  # one chunk a tile: nothing is shared but the merge
        parts += find_leukocytes(ArraySlide(field.rgb), [Tile(core, core.grown(halo))], scale, detector, settings)  # type: ignore[arg-type]
    merged = merge_detections(parts, settings.merge_iou)
    return [(FloatBox(d.box.x, d.box.y, d.box.width, d.box.height), d.score) for d in merged]


def measured_scale(field: LabelledField) -> tuple[float | None, float]:
    """µm/px from red cells found on the image itself, and how unsure that is."""
    measure = measure_red_cells(field.rgb)
    return (None, 0.0) if measure is None else (_RED_CELL_UM / measure.diameter_px, measure.relative_sd)


def pooled_scales(fields: list[LabelledField], detector: Detector) -> dict[str, PooledScale | None]:
    """The scale of each source by the leukocytes of a dozen of its fields, without a look at red cells."""
    found: dict[str, PooledScale | None] = {}
    for source in sorted({field.source for field in fields}):
        of_source = [field for field in fields if field.source == source]
        chosen = np.random.default_rng(0).permutation(len(of_source))[:_POOLED]
        pooled = pool_scale([look(climb(of_source[i].rgb, detector)) for i in chosen])
        print(f"    {source}: {pooled}", flush=True)
        found[source] = pooled
    return found


def as_files(fields: list[LabelledField], settings: DetectSettings) -> list[Found]:
    """What `smearscan detect` finds on the fields when they are given to it together as PNG files."""
    whole = Settings(detect=settings)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{field.name}.png" for field in fields]
        for path, field in zip(paths, fields, strict=True):
            cv2.imwrite(str(path), field.rgb[..., ::-1])
        shared = agreed_scales(paths, whole)
        for size, scale in shared.items():
            print(f"    {size.width}x{size.height}: {scale}", flush=True)
        return [
            [
                (FloatBox(s.x_px, s.y_px, s.width_px, s.height_px), s.score)
                for s in spot_leukocytes(path, whole, None, shared)
            ]
            for path in paths
        ]


class Together:
    """Fields that are searched all at once when the first of them is asked for."""

    def __init__(self, fields: list[LabelledField], factor: float, settings: DetectSettings) -> None:
        self._fields, self._factor, self._settings = fields, factor, settings
        self._found: list[tuple[LabelledField, Found]] = []

    def __call__(self, i: int) -> tuple[LabelledField, Found]:
        """Field `i` and what was found on it."""
        if not self._found:
            sized = self._fields if self._factor == 1 else [resized(field, self._factor) for field in self._fields]
            self._found = list(zip(sized, as_files(sized, self._settings), strict=True))
        return self._found[i]


def rows(
    fields: list[LabelledField], detector: Detector, settings: DetectSettings
) -> Iterator[tuple[str, Callable[[int], tuple[LabelledField, Found]]]]:
    """Name of each condition, and what it makes of field `i`."""
    scales = [_RED_CELL_UM / diameter for diameter in red_cell_diameters(fields)]

    def at(field: LabelledField, scale: float | None, relative_sd: float = 0.0) -> tuple[LabelledField, Found]:
        return field, detect_image(field.rgb, detector, scale, relative_sd)

    def other(i: int) -> LabelledField:
        rng = np.random.default_rng([7, i])
        return fields[int(rng.choice([k for k, f in enumerate(fields) if f.source != fields[i].source]))]

    yield "scale of labelled red cells", lambda i: at(fields[i], scales[i])
    yield "scale measured on the image", lambda i: at(fields[i], *measured_scale(fields[i]))
    yield "half the size", lambda i: at(resized(fields[i], 0.5), scales[i] * 2)
    yield "twice the size", lambda i: at(resized(fields[i], 2), scales[i] / 2)
    yield "half the size, measured", lambda i: at(half := resized(fields[i], 0.5), *measured_scale(half))
    yield "twice the size, measured", lambda i: at(double := resized(fields[i], 2), *measured_scale(double))
    yield "another camera's stain", lambda i: at(restained(fields[i], other(i)), scales[i])
    yield "cells cut by tiles", lambda i: (fields[i], through_tiles(fields[i], scales[i], detector, settings))
    yield "no scale at all", lambda i: at(fields[i], None)
    pooled: dict[str, PooledScale | None] = {}

    def with_others(i: int) -> tuple[LabelledField, Found]:
        if not pooled:
            pooled.update(pooled_scales(fields, detector))
        scale = pooled[fields[i].source]
        return at(fields[i], None) if scale is None else at(fields[i], scale.mpp, scale.relative_sd)

    yield "no scale, leukocytes of a size together", with_others
    yield "nothing said, together", Together(fields, 1, settings)
    yield "half the size, nothing said, together", Together(fields, 0.5, settings)
    yield "twice the size, nothing said, together", Together(fields, 2, settings)


def search_mosaic(path: Path, detector: Detector, settings: DetectSettings) -> tuple[Tally, float]:
    """A scan with its true boxes in a CSV beside it, tile by tile; seconds of wall time."""
    with path.with_suffix(".csv").open() as file:
        truth = np.array([[float(r[k]) for k in ("x", "y", "width", "height")] for r in csv.DictReader(file)])
    truth[:, 2:] += truth[:, :2]
    began = time.perf_counter()
    with open_slide(path) as slide:
        assert slide.info.mpp is not None
        side, halo = round(320 / slide.info.mpp.mean), round(24 / slide.info.mpp.mean)
        size = slide.info.size
        cores = [
            Box(x, y, min(side, size.width - x), min(side, size.height - y))
            for y in range(0, size.height, side)
            for x in range(0, size.width, side)
        ]
        tiles = [Tile(core, core.grown(halo)) for core in cores]
        found = find_leukocytes(slide, tiles, Scale(slide.info.mpp, "metadata"), detector, settings)
    merged = merge_detections(found, settings.merge_iou)
    seconds = time.perf_counter() - began
    tally = Tally()
    tally.add(truth, corners([(FloatBox(d.box.x, d.box.y, d.box.width, d.box.height), d.score) for d in merged]))
    return tally, seconds


def main() -> None:
    """Print one line a condition."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=Path)
    parser.add_argument("--part", default="val")
    parser.add_argument("--detector", default="yolo", choices=("yolo", "classical"))
    parser.add_argument("--mosaic", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take each n-th field only")
    parser.add_argument("--only", default="", help="conditions whose name holds this")
    arguments = parser.parse_args()
    settings = DetectSettings(detector=arguments.detector)
    detector = create_detector(arguments.detector, settings)
    if arguments.fields:
        fields = read_yolo_fields(arguments.fields, arguments.part)[:: arguments.every]
        for name, run in rows(fields, detector, settings):
            if arguments.only not in name:
                continue
            tally, by_source = Tally(), {field.source: Tally() for field in fields}
            for i in range(len(fields)):
                field, found = run(i)
                tally.add(field.leukocytes, corners(found))
                by_source[fields[i].source].add(field.leukocytes, corners(found))
            print(f"{arguments.detector}, {len(fields)} fields, {name}: {tally}", flush=True)
            for source, part in sorted(by_source.items()):
                print(f"    {source}: {part}", flush=True)
    if arguments.mosaic:
        tally, seconds = search_mosaic(arguments.mosaic, detector, settings)
        print(f"{arguments.detector}, {arguments.mosaic.name}: {tally}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
