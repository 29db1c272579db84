"""Focus falls with blur, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.geometry import Box
from smearscan.slide import open_slide
from smearscan.slide.focus import focus_score, judge_focus

#: Folder, file pattern, approximate µm per pixel: five cameras.
SOURCES = {
    "taleqani/Benign": 0.5,
    "taleqani/Pro": 0.5,
    "txl_pbc/images/val": 0.08,
    "pbc/neutrophil": 0.1,
    "segmentation_wbc/dataset2": 0.08,
}


def discs(um_per_px: float, blur_um: float = 0.0, contrast: float = 0.5, light: float = 230.0) -> np.ndarray:
    """Red-cell-like discs of 7.5 µm on an even background, 60 µm wide."""
    fine = 0.08
    side = round(60 / fine)
    image = np.zeros((side, side), np.float32)
    for y in range(90, side, 140):
        for x in range(90, side, 140):
            cv2.circle(image, (x, y), round(3.75 / fine), 1.0, -1)
    image = cv2.GaussianBlur(image, (0, 0), np.hypot(0.25, blur_um) / fine)
    out = round(60 / um_per_px)
    image = cv2.resize(image, (out, out), interpolation=cv2.INTER_AREA)
    green = light * (1 - contrast * image)
    return np.repeat(green[..., None], 3, axis=2).astype(np.uint8)


@settings(max_examples=8, deadline=None)
@given(
    contrast=st.floats(0.15, 0.8),
    light=st.floats(120, 250),
    um=st.sampled_from([0.08, 0.1, 0.16, 0.25, 0.4]),
)
def test_stain_light_and_scale_leave_the_score_as_it_is(contrast: float, light: float, um: float) -> None:
    for blur, expected in ((0.0, 1.0), (1.0, focus_score(discs(0.1, 1.0), 0.1)), (3.0, 0.0)):
        assert focus_score(discs(um, blur, contrast, light), um) == pytest.approx(expected, abs=0.12)


def test_the_score_falls_with_every_blur() -> None:
    scores = [focus_score(discs(0.1, blur), 0.1) for blur in (0, 0.5, 1, 1.5, 2)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 0.8


def test_glass_has_no_focus(picture: np.ndarray) -> None:
    glass = np.full((200, 200, 3), 240, np.uint8)
    assert judge_focus(glass, 0.25) is None
    assert focus_score(glass, 0.25) == 0.0
    assert focus_score(glass[:1, :1], 0.25) == 0.0


def test_real_fields_of_five_cameras_are_sharp_alike_and_blurred_alike(shared_data: Path) -> None:
    medians: dict[float, list[float]] = {0.0: [], 1.0: [], 2.0: []}
    for folder, um in SOURCES.items():
        files = sorted(path for path in (shared_data / folder).iterdir() if not path.stem.endswith("_mask"))
        fields = [np.asarray(read(path)) for path in files[:: max(1, len(files) // 8)][:8]]
        for blur, collected in medians.items():
            blurred = [cv2.GaussianBlur(field, (0, 0), blur / um) if blur else field for field in fields]
            collected.append(float(np.median([focus_score(field, um) for field in blurred])))
    assert min(medians[0.0]) > 0.6
    assert min(medians[1.0]) > 0.2
    assert max(medians[1.0]) < 0.4
    assert max(medians[2.0]) < 0.15


def read(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return slide.read(Box(0, 0, *slide.info.size))
