"""Red cells are found alike on every run."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

import smearscan
from smearscan.slide.red_cells import _depths, _parted

#: Height, width and seed of a film with gaps in it.
films = st.tuples(st.integers(9, 60), st.integers(9, 60), st.integers(0, 10_000))


def _film(height: int, width: int, seed: int) -> np.ndarray:
    """(H, W) bool: blobs that touch, lie apart or hold nothing, with noise between them."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(0, 9))):
        middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.circle(image, middle, int(rng.integers(2, 9)), 1, -1)
    return (image > 0) ^ (rng.random(image.shape) < 0.01)


@given(films)
def test_distances_are_roots_of_whole_numbers_rounded_once(film: tuple[int, int, int]) -> None:
    mask = _film(*film)
    mask[0, 0] = False
    exact = np.sqrt(np.rint(distance_transform_edt(mask) ** 2).astype(np.float32))
    assert (_depths(mask.view(np.uint8)) == exact).all()
    assert _depths(np.ones(mask.shape, np.uint8)).max() < sum(mask.shape)  # no glass to be far from


@settings(max_examples=60, deadline=None)
@given(films)
def test_film_is_parted_as_a_watershed_of_all_of_it_parts_it(film: tuple[int, int, int]) -> None:
    """Its parts found by what scikit-image makes of the same heights; a pixel between two cells may be of either."""
    mask = cv2.morphologyEx(_film(*film).view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    padded = np.pad(mask, 1, mode="edge").view(np.uint8)
    depth = cv2.GaussianBlur(_depths(padded)[1:-1, 1:-1], (0, 0), 1.0) * mask
    steps = np.rint(depth * 256).astype(np.uint16)
    seed = (steps * np.float32(0.85)).astype(np.uint16)
    is_peak = (reconstruction(seed, steps) == seed) & (depth > 2)
    _, markers = cv2.connectedComponents(is_peak.view(np.uint8), connectivity=8)
    found, whole = _parted(mask), watershed(-depth, markers, mask=mask)
    assert set(np.unique(found)) == set(np.unique(whole))
    assert ((found > 0) == (whole > 0)).all()
    assert (found != whole).sum() <= 0.02 * mask.sum()


def test_no_root_is_left_to_opencv() -> None:
    """Its square roots differ in the last bit by where in memory they are put; a run must give the same bytes."""
    sources = {path: path.read_text("utf-8") for path in Path(smearscan.__file__).parent.rglob("*.py")}
    rooted = re.compile(r"cv2\.(magnitude|cartToPolar|sqrt|pow)\(|DIST_MASK_PRECISE")
    found = {(path.name, root) for path, text in sources.items() for root in rooted.findall(text)}
    assert len(sources) > 100
    assert found == {("red_cells.py", "")}  # the one whose squares are rounded
