"""How near a screening comes to its physical floor, and how it compares with tiling a detector over all pixels.

    python benchmarks/end_to_end.py SCAN.tif [--truth SCAN.csv] [--baseline]

The floor is measured inside the same run, on the same pixels: seconds spent decoding what was read, in the bare
detector over the regions searched, in the bare classifiers over the cells found. The rest is ours to answer for: of it
the mask network's seconds are given apart, and what is spent on the report (pictures cut again, drawn, written), which
is the same for a scan of any size and whose reading counts as decoding too.
`--truth` (x,y,width,height per leukocyte) adds recall and precision at IoU 0.5. `--baseline` times ultralytics tiled
over full resolution (640 px, overlap 0.15) on a part of the scan and scales it up; its weights are random, only time
is compared.
One process, one thread, after a small smear that is not counted, so that everything is loaded. Seconds are the
processor's own (`process_time`), which other work on the machine disturbs less than the clock on the wall; that one is
given too.
"""

from __future__ import annotations

import argparse
import csv
import functools
import json
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

TILE_PX, OVERLAP, SAMPLE_TILES = 640, 0.15, 40


class Meter:
    """Adds up the seconds spent inside functions; nested calls of one meter count once."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def wrap(self, owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        @functools.wraps(inner)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._depth += 1
            start = time.process_time()
            try:
                return inner(*arguments, **named)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.process_time() - start

        setattr(owner, name, timed)


def readers() -> list[Any]:
    """Every class that decodes."""
    from smearscan.slide import base, plain, tiff, vendor  # noqa: F401  # imported for their subclasses

    found, todo = [], [base.Slide]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        found += [kind] if "_read_level" in vars(kind) and kind is not base.Slide else []
    return found


@dataclass(frozen=True, slots=True)
class Floor:
    """Meters on what cannot be spared: decoding, the bare detector, classifiers and mask network."""

    decode: Meter = field(default_factory=Meter)
    detect: Meter = field(default_factory=Meter)
    classify: Meter = field(default_factory=Meter)
    mask: Meter = field(default_factory=Meter)

    @classmethod
    def of(cls, detector: Any, judge: Any, segmenter: Any) -> Floor:
        """Put meters on every reader and on these networks."""
        floor = cls()
        for kind in readers():
            floor.decode.wrap(kind, "_read_level")
        floor.detect.wrap(detector, "_forward" if hasattr(detector, "_forward") else "detect")
        for package in judge.packages:
            floor.classify.wrap(package.model, "forward")
        for way in ("forward", "outlines"):
            floor.mask.wrap(segmenter.network, way)
        return floor


def screen_with_meters(scan: Path, preset: str) -> dict[str, float]:
    """One screening with a meter on every part of the floor."""
    from smearscan.crops import shipped_segmenter
    from smearscan.detect import create_detector
    from smearscan.judge import load_judge
    from smearscan.models.field_subtypes import field_subtypes
    from smearscan.screening import screen
    from smearscan.settings import load_settings
    from smearscan.stages import patient_stages
    from smearscan.store.location import find_location
    from smearscan.store.state import open_state
    from smearscan.submission import gather
    from smearscan.synth import write_smear

    settings = load_settings(preset)
    detector, judge, segmenter = (
        create_detector(settings.detect.detector, settings.detect),
        load_judge(settings.classify),
        shipped_segmenter(),
    )
    field_subtypes([np.zeros((224, 224, 3), np.uint8)])  # loaded: the small smear may show nothing that asks for it
    meters, report = Floor.of(detector, judge, segmenter), Meter()
    for part in ("take_pictures", "render_report"):
        report.wrap(patient_stages, part)
    quiet = type("Quiet", (), {"update": staticmethod(lambda *a: None)})()

    def screened(path: Path, folder: Path) -> Any:
        state = open_state(find_location(str(folder / "state")))
        return screen(gather([path]), settings, folder, preset, 1, quiet, state)

    with tempfile.TemporaryDirectory() as folder:
        write_smear(Path(folder) / "small.tif", 1500, 1200, 1, mpp=0.2, cells_per_mm2=400.0)
        screened(Path(folder) / "small.tif", Path(folder) / "small")
    for meter in (meters.decode, meters.detect, meters.classify, meters.mask, report):
        meter.seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        start, start_wall = time.process_time(), time.perf_counter()
        result = screened(scan, Path(folder))
        total, wall = time.process_time() - start, time.perf_counter() - start_wall
        n_cells = len((Path(folder) / "cells.csv").read_text("utf-8").splitlines()) - 1
    slide = result.slides[0]
    decode, detect, classify, mask = meters.decode, meters.detect, meters.classify, meters.mask
    floor = decode.seconds + detect.seconds + classify.seconds
    gpx = slide.size.width * slide.size.height / 1e9
    return {
        "gigapixels": gpx, "film_mm2": slide.quality["film_mm2"], "n_cells": n_cells,
        "total_s": total, "wall_s": wall,
        "decode_s": decode.seconds, "detector_s": detect.seconds, "classifiers_s": classify.seconds,
        "mask_network_s": mask.seconds, "report_s": report.seconds, "rest_s": total - floor - mask.seconds,
        "floor_s": floor, "ratio_to_floor": total / floor,
        "ratio_to_floor_with_mask_network": total / (floor + mask.seconds),
        "s_per_gigapixel": total / gpx, "cells_per_s": n_cells / total,
        "film_s_per_gigapixel": total / (slide.quality["film_mm2"] / slide.scale.mpp.x / slide.scale.mpp.y / 1e3),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **{f"stage_{stage}_s": seconds for stage, seconds in slide.seconds.items()},
    }  # fmt: skip


def detect_only(scan: Path, preset: str) -> tuple[float, list[Any]]:
    """Seconds of `smearscan detect` on the scan, models loaded, and its boxes."""
    from smearscan.settings import load_settings
    from smearscan.spotting import spot_leukocytes

    start = time.process_time()
    found = spot_leukocytes(scan, load_settings(preset))
    return time.process_time() - start, found


def tiled_baseline(scan: Path) -> float:
    """Seconds that ultralytics' own predictor would need, tiled over every pixel of level 0."""
    from ultralytics import YOLO, settings

    from smearscan.geometry import Box
    from smearscan.slide import open_slide

    settings.update({"sync": False})
    model, step = YOLO("yolo11n.yaml"), int(TILE_PX * (1 - OVERLAP))
    predict: Callable[..., Any] = functools.partial(
        model.predict, imgsz=TILE_PX, device="cpu", verbose=False, conf=0.25
    )
    with open_slide(scan) as slide:
        size = slide.info.size
        places = [(x, y) for y in range(0, size.height, step) for x in range(0, size.width, step)]
        chosen = np.random.default_rng(0).choice(len(places), min(SAMPLE_TILES, len(places)), replace=False)
        predict(slide.read(Box(0, 0, TILE_PX, TILE_PX)))
        start = time.process_time()
        for i in chosen:
            predict(slide.read(Box(*places[i], TILE_PX, TILE_PX))[..., ::-1])
        return (time.process_time() - start) / len(chosen) * len(places)


def score(found: list[Any], truth: Path) -> tuple[float, float]:
    """Recall and precision at IoU 0.5, greedy by score."""
    with truth.open(newline="") as file:
        boxes = np.array([[float(row[k]) for k in ("x", "y", "width", "height")] for row in csv.DictReader(file)])
    free, hits = np.ones(len(boxes), bool), 0
    for spot in sorted(found, key=lambda s: -s.score):
        x, y, w, h = spot.x_px, spot.y_px, spot.width_px, spot.height_px
        wide = np.minimum(x + w, boxes[:, 0] + boxes[:, 2]) - np.maximum(x, boxes[:, 0])
        high = np.minimum(y + h, boxes[:, 1] + boxes[:, 3]) - np.maximum(y, boxes[:, 1])
        common = np.clip(wide, 0, None) * np.clip(high, 0, None)
        iou = np.where(free, common / (w * h + boxes[:, 2] * boxes[:, 3] - common), 0)
        if len(iou) and iou.max() >= 0.5:
            free[iou.argmax()] = False
            hits += 1
    return hits / len(boxes), hits / max(1, len(found))


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--baseline", action="store_true")
    given = parser.parse_args()
    from smearscan.local import start_process as start_worker

    start_worker()
    figures: dict[str, float] = screen_with_meters(given.scan, given.preset)
    seconds, found = detect_only(given.scan, given.preset)
    figures |= {
        "detect_s": seconds,
        "detect_s_per_gigapixel": seconds / figures["gigapixels"],
        "n_detected": len(found),
    }
    if given.truth:
        figures["recall"], figures["precision"] = score(found, given.truth)
    if given.baseline:
        figures["baseline_s"] = tiled_baseline(given.scan)
        figures["times_faster_than_baseline"] = figures["baseline_s"] / seconds
    print(json.dumps({name: round(value, 4) for name, value in figures.items()}, indent=1))


if __name__ == "__main__":
    main()
