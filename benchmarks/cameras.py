"""What a poor camera, lamp or stain does to finding leukocytes.

    python benchmarks/cameras.py --fields DIR [--part val] [--every 3] [--only NAME]

The fields of `benchmarks/detection.py`, each changed in one way, as a phone at an eyepiece, a lamp nobody balanced, a
weak stain or a file packed too hard change it. Two figures a change: with the scale of the labelled red cells, and with
that of red cells measured on the changed image itself (on fewer cells than screening asks for).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from detection import Tally, corners, measured_scale

from smearscan.detect import create_detector, detect_image
from smearscan.settings import DetectSettings
from smearscan.train.detector_fields import RED_CELL_UM, LabelledField, read_yolo_fields, red_cell_diameters

Change = Callable[[LabelledField, float], LabelledField]


def _pixels(change: Callable[[np.ndarray, float], np.ndarray]) -> Change:
    """A change of the image, RGB float32 in 0–1 and µm/px, that moves nothing."""

    def apply(field: LabelledField, um_per_px: float) -> LabelledField:
        image = change(field.rgb.astype(np.float32) / 255, um_per_px)
        return replace(field, rgb=(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))

    return apply


def _blurred(um: float) -> Change:
    return _pixels(lambda image, um_per_px: cv2.GaussianBlur(image, (0, 0), um / um_per_px))


def _lit(*white: float) -> Change:
    return _pixels(lambda image, _: image * np.array(white, np.float32))


def _dyed(*density: float) -> Change:
    return _pixels(lambda image, _: image ** np.array(density, np.float32))


def _packed(quality: int) -> Change:
    def change(image: np.ndarray, _: float) -> np.ndarray:
        code = [cv2.IMWRITE_JPEG_QUALITY, quality]
        packed = cv2.imencode(".jpg", (image[..., ::-1] * 255 + 0.5).astype(np.uint8), code)[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32) / 255

    return _pixels(change)


def _noisy(image: np.ndarray, _: float) -> np.ndarray:
    return image + np.random.default_rng(0).normal(0, 0.06, image.shape).astype(np.float32)


def _sharpened(image: np.ndarray, um_per_px: float) -> np.ndarray:
    return image + 1.5 * (image - cv2.GaussianBlur(image, (0, 0), 0.25 / um_per_px))


def _grey(image: np.ndarray, _: float) -> np.ndarray:
    return np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


def _shaded(image: np.ndarray, _: float) -> np.ndarray:
    """Bright in one corner, at a third of that in the one across."""
    height, width = image.shape[:2]
    slope = np.linspace(0, 1, width)[None] / 2 + np.linspace(0, 1, height)[:, None] / 2
    return image * (1 - 0.67 * slope[..., None]).astype(np.float32)


def _framed(field: LabelledField, _: float) -> LabelledField:
    """In a black frame, as a phone sees an eyepiece: a disc that just holds the field."""
    height, width = field.rgb.shape[:2]
    radius = int(np.hypot(height, width) / 2) + 2
    top, left = radius - height // 2, radius - width // 2
    rgb = np.zeros((2 * radius, 2 * radius, 3), np.uint8)
    middle = tuple(int(v) for v in np.median(field.rgb.reshape(-1, 3), 0))
    cv2.circle(rgb, (radius, radius), radius, middle, -1)
    rgb[top : top + height, left : left + width] = field.rgb
    shift = np.array([left, top, left, top], np.float32)
    return replace(field, rgb=rgb, leukocytes=field.leukocytes + shift, red_cells=field.red_cells + shift)


CHANGES: dict[str, Change] = {
    "as it is": lambda field, _: field,
    "blur 0.5 µm": _blurred(0.5),
    "blur 1 µm": _blurred(1.0),
    "sharpened": _pixels(_sharpened),
    "JPEG 20": _packed(20),
    "noise": _pixels(_noisy),
    "yellow lamp": _lit(1, 0.85, 0.6),
    "blue lamp": _lit(0.7, 0.85, 1),
    "half the light": _lit(0.5, 0.5, 0.5),
    "too much light": _lit(1.3, 1.3, 1.3),
    "haze": _pixels(lambda image, _: 0.45 + 0.5 * image),
    "uneven light": _pixels(_shaded),
    "stained half as strongly": _dyed(0.5, 0.5, 0.5),
    "stained twice as strongly": _dyed(2, 2, 2),
    "pinker": _dyed(0.6, 1.2, 1.0),
    "bluer": _dyed(1.5, 1.1, 0.6),
    "grey": _pixels(_grey),
    "a phone at the eyepiece": _framed,
}


def main() -> None:
    """Print one line a change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--part", default="val")
    parser.add_argument("--every", type=int, default=1, help="take each n-th field only")
    parser.add_argument("--only", default="", help="changes whose name holds this")
    arguments = parser.parse_args()
    fields = read_yolo_fields(arguments.fields, arguments.part)[:: arguments.every]
    scales = [RED_CELL_UM / diameter for diameter in red_cell_diameters(fields)]
    detector = create_detector("yolo", DetectSettings())
    for name, change in CHANGES.items():
        if arguments.only not in name:
            continue
        known, measured, n_measured = Tally(), Tally(), 0
        for field, scale in zip(fields, scales, strict=True):
            changed = change(field, scale)
            known.add(changed.leukocytes, corners(detect_image(changed.rgb, detector, scale)))
            found_scale, relative_sd = measured_scale(changed)
            n_measured += found_scale is not None
            measured.add(changed.leukocytes, corners(detect_image(changed.rgb, detector, found_scale, relative_sd)))
        print(f"{name}: known {known}; measured on {n_measured} of {len(fields)} {measured}", flush=True)


if __name__ == "__main__":
    main()
