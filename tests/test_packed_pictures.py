"""Pictures of cells come back as they were stored, and what is black around them takes no room."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from smearscan.cut_cells import CutCells
from smearscan.geometry import Box
from smearscan.records import Detection
from smearscan.stages.encode import dump_cells, load_cells
from smearscan.stages.packed import PackedPictures, pack, unpack


@st.composite
def _pictures(draw: st.DrawFn) -> np.ndarray:
    """Pictures with any pixels lit, in any channel, or none."""
    n, side = draw(st.integers(0, 4)), draw(st.integers(1, 9))
    return draw(arrays(np.uint8, (n, side, side, 3), fill=st.just(0)))


@given(_pictures())
def test_pictures_come_back_as_they_were(pictures: np.ndarray) -> None:
    packed = pack(pictures)
    assert np.array_equal(unpack(packed), pictures)
    assert packed.pixels.nbytes <= pictures.nbytes


def test_the_black_around_a_cell_is_not_stored() -> None:
    pictures = np.zeros((2, 64, 64, 3), np.uint8)
    pictures[0, 10:30, 20:50, 1] = 7
    assert pack(pictures).pixels.shape == (20 * 30, 3)


@pytest.mark.parametrize("n_pixels", [599, 601])
def test_pixels_that_are_not_those_of_the_rectangles_are_refused(n_pixels: int) -> None:
    rectangles = np.array([[10, 30, 20, 50]], np.int32)
    with pytest.raises(ValueError):
        unpack(PackedPictures(np.zeros((n_pixels, 3), np.uint8), rectangles, 64))


def test_a_rectangle_that_sticks_out_is_refused() -> None:
    with pytest.raises(ValueError, match="sticks out"):
        unpack(PackedPictures(np.zeros((600, 3), np.uint8), np.array([[10, 30, 50, 80]], np.int32), 64))


def test_cut_cells_with_two_kinds_of_pictures_come_back() -> None:
    rng = np.random.default_rng(0)
    pictures = {key: rng.integers(0, 256, (1, side, side, 3), np.uint8) for key, side in (("a", 64), ("b", 96))}
    pictures["a"][:, :20] = 0
    cells = CutCells("x.png", (Detection(Box(1, 2, 3, 4), 0.9),), ({"n_lobes": 1.0},), (50.0,), (0.5,), pictures)
    found = load_cells(dump_cells(cells))
    assert found.detections == cells.detections and found.measures == cells.measures
    assert found.pictures.keys() == pictures.keys()
    assert all(np.array_equal(found.pictures[key], pictures[key]) for key in pictures)
