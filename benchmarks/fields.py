"""What fields and ready-made pictures cost, beside their physical floor and a plain detector.

    python benchmarks/fields.py [--fields FOLDER] [--pictures FOLDER] [--most 96]

Fields (images of a camera, without a scale) go through `detect` and `screen`, pictures of single cells through
`classify`, each as a whole folder. The floor is measured inside the same run: decoding, the bare networks. Beside it
stands ultralytics' own predictor (640 px, random weights: only time is compared), called for one field after another.
One process, one thread, models loaded; seconds of the processor. Written as one JSON object.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from end_to_end import Floor, Meter

from smearscan.slide import ruler


def measured(work: Any, *meters: Meter) -> dict[str, float]:
    """Seconds of a piece of work, and of it inside the meters."""
    ruler._KNOWN.clear()  # else the second finds what the first has measured
    for meter in meters:
        meter.seconds = 0.0
    start = time.process_time()
    work()
    total = time.process_time() - start
    floor = sum(meter.seconds for meter in meters)
    return {"total_s": total, "floor_s": floor, "ratio_to_floor": total / floor}


def plain_detector(paths: list[Path]) -> float:
    """Seconds that ultralytics' own predictor takes for the files."""
    from ultralytics import YOLO, settings

    settings.update({"sync": False})
    model = YOLO("yolo11n.yaml")
    model.predict(np.zeros((640, 640, 3), np.uint8), imgsz=640, device="cpu", verbose=False)
    start = time.process_time()
    for path in paths:
        model.predict(str(path), imgsz=640, device="cpu", verbose=False, conf=0.25)
    return time.process_time() - start


def main() -> None:
    """Measure what folders were given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=Path)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--most", type=int, default=96, help="files taken of each folder, evenly spread")
    given = parser.parse_args()
    from smearscan.local import start_process

    start_process()
    from smearscan.crops import shipped_segmenter
    from smearscan.detect import create_detector
    from smearscan.judge import load_judge
    from smearscan.ready_made import classify_pictures
    from smearscan.screening import screen
    from smearscan.settings import load_settings
    from smearscan.spotting import agreed_scales, spot_leukocytes
    from smearscan.store.location import find_location
    from smearscan.store.state import open_state
    from smearscan.submission import gather, list_inputs

    settings = load_settings("default")
    detector, judge = create_detector(settings.detect.detector, settings.detect), load_judge(settings.classify)
    floor = Floor.of(detector, judge, shipped_segmenter())
    quiet = type("Quiet", (), {"update": staticmethod(lambda *a: None)})()

    def taken(folder: Path) -> list[Path]:
        paths = list_inputs([folder])
        return [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, given.most).round().astype(int))]

    def spot(paths: list[Path]) -> None:
        shared = agreed_scales(paths, settings)
        for path in paths:
            spot_leukocytes(path, settings, None, shared)

    def screened(paths: list[Path]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            state = open_state(find_location(str(Path(folder) / "state")))
            screen(gather(paths), settings, Path(folder), "default", 1, quiet, state)

    figures: dict[str, Any] = {}
    if given.fields:
        fields = taken(given.fields)
        screened(fields[:2])  # everything loaded
        figures["n_fields"] = len(fields)
        figures["detect"] = measured(lambda: spot(fields), floor.decode, floor.detect)
        figures["screen"] = measured(lambda: screened(fields), floor.decode, floor.detect, floor.classify, floor.mask)
        figures["ultralytics_s"] = plain_detector(fields)
    if given.pictures:
        pictures = taken(given.pictures)
        list(classify_pictures(pictures[:2], settings))
        figures["n_pictures"] = len(pictures)
        asked = floor.decode, floor.classify, floor.mask
        figures["classify"] = measured(lambda: list(classify_pictures(pictures, settings)), *asked)
        figures["classify_scale_given"] = measured(
            lambda: list(classify_pictures(pictures, settings, um_per_px=0.1)), *asked
        )
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
