"""A synthetic smear is the same however it is asked for, and its truth says what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.classes import COUNTED, CellClass
from smearscan.geometry import Box
from smearscan.synth import Smear, SmearOptions, draw_smear, find_laboratory, list_laboratories

SMEAR = Smear(700, 500, 3, SmearOptions("meadow", cells_per_mm2=900, blast_fraction=0.3, n_variants=6))
WHOLE = SMEAR.paint(Box(0, 0, 700, 500))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 650), st.integers(0, 450), st.integers(1, 300), st.integers(1, 300))
def test_any_rectangle_shows_what_the_whole_smear_shows_there(x: int, y: int, width: int, height: int) -> None:
    box = Box(x, y, min(width, 700 - x), min(height, 500 - y))
    assert np.array_equal(SMEAR.paint(box), WHOLE[box.y : box.bottom, box.x : box.right])


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 699), st.integers(1, 499))
def test_rectangles_that_tile_the_smear_share_its_cells_out(x: int, y: int) -> None:
    parts = [Box(0, 0, x, y), Box(x, 0, 700 - x, y), Box(0, y, x, 500 - y), Box(x, y, 700 - x, 500 - y)]
    shared = [cell for part in parts for cell in SMEAR.true_cells(part)]
    whole = SMEAR.true_cells(Box(0, 0, 700, 500))
    key = lambda cell: (cell.box.x, cell.box.y, cell.box.width, cell.cell_class)  # noqa: E731
    assert sorted(map(key, shared)) == sorted(map(key, whole))


def test_the_seed_alone_decides_what_is_drawn() -> None:
    once, cells = draw_smear(200, 150, 5, laboratory="riverside", n_variants=4)
    again, same_cells = draw_smear(200, 150, 5, laboratory="riverside", n_variants=4)
    other, _ = draw_smear(200, 150, 6, laboratory="riverside", n_variants=4)
    assert np.array_equal(once, again)
    assert cells == same_cells
    assert not np.array_equal(once, other)


def test_every_true_box_lies_on_the_image_and_on_something_stained() -> None:
    density = -np.log(np.maximum(WHOLE.astype(float), 1) / find_laboratory("meadow").background).mean(axis=2)
    cells = SMEAR.true_cells(Box(0, 0, 700, 500))
    assert len(cells) > 20
    for cell in cells:
        box = cell.box
        assert box.x >= 0 and box.y >= 0 and box.right <= 700 and box.bottom <= 500
        assert density[box.y : box.bottom, box.x : box.right].mean() > 0.08, cell


def test_blasts_make_up_the_share_that_was_asked_for() -> None:
    smear = Smear(
        8000, 8000, 1, SmearOptions("meadow", cells_per_mm2=400, blast_fraction=0.25, layout="field", n_variants=2)
    )
    placed = smear._painter.placement.leukocytes(0, 0, 2000, 2000)
    classes = smear._painter.placement.recipe.shares()[0]
    counted = [classes[i] for i in placed.class_index if classes[i] in COUNTED]
    assert len(counted) > 1200
    share = counted.count(CellClass.BLAST) / len(counted)
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / len(counted)) ** 0.5


def test_leukocytes_are_as_many_per_area_as_asked_for() -> None:
    smear = Smear(8000, 8000, 2, SmearOptions("meadow", cells_per_mm2=500, layout="field", uncounted={}, n_variants=2))
    placed = smear._painter.placement.leukocytes(0, 0, 2000, 2000)
    assert abs(len(placed.x_um) / 4 - 500) < 50


def test_a_smear_has_glass_a_thick_head_and_a_monolayer() -> None:
    smear = Smear(12000, 6000, 4, SmearOptions("meadow", layout="smear", n_variants=3))
    film = smear._painter.placement.film
    x = np.linspace(0, 3000, 61)
    thickness = film.at(x, np.full_like(x, 750.0))
    assert thickness[0] == 0 and thickness[-1] == 0
    assert thickness.max() > 2
    assert ((thickness > 0.6) & (thickness < 1.4)).mean() > 0.3


@pytest.mark.parametrize("name", list_laboratories())
def test_each_laboratory_shows_nuclei_darker_than_red_cells_darker_than_glass(name: str) -> None:
    laboratory = find_laboratory(name)
    densities = laboratory.densities().sum(axis=1)
    assert densities[0] > 1.3 * densities[3] > 0
    pixels, _ = draw_smear(160, 120, 1, laboratory=name, mpp=0.5, n_variants=2)
    assert pixels.shape == (120, 160, 3) and pixels.dtype == np.uint8
    bright = np.percentile(pixels.reshape(-1, 3), 90, axis=0)
    assert np.all(np.abs(bright - laboratory.background) < 30)


def test_an_unknown_laboratory_and_an_impossible_share_are_refused() -> None:
    with pytest.raises(ValueError, match="northgate"):
        draw_smear(10, 10, 1, laboratory="nowhere")
    with pytest.raises(ValueError, match="between 0 and 1"):
        SmearOptions(blast_fraction=1.5)
    with pytest.raises(ValueError, match="positive"):
        Smear(0, 10, 1, SmearOptions())


def test_a_laboratory_that_is_not_named_is_drawn_from_the_seed() -> None:
    names = {Smear(64, 64, seed, SmearOptions(mpp=0.5)).laboratory.name for seed in range(40)}
    assert names == set(list_laboratories())
