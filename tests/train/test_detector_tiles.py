"""Training tiles: boxes stay on their cells through every change, and tile `i` is always the same."""

from __future__ import annotations

import numpy as np
import pytest

from smearscan.detect.base import FloatBox
from smearscan.train.detector_fields import (
    BASE_UM_PER_PX,
    LabelledField,
    red_cell_diameters,
    to_training_fields,
    training_field,
)
from smearscan.train.detector_labels import clean_labels, label_field, purple_density
from smearscan.train.detector_look import vary_dye
from smearscan.train.detector_tiles import TileMaker, TileRecipe

NUCLEUS = (98, 52, 138)


def _field(side: int = 160, um_per_px: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Pale film with two square purple cells, 10 µm wide, and their boxes."""
    rgb = np.full((side, side, 3), (225, 205, 205), np.uint8)
    boxes = np.array([(20, 30, 60, 70), (90, 84, 130, 124)], np.float32)
    for left, top, right, bottom in boxes.astype(int):
        rgb[top:bottom, left:right] = NUCLEUS
    return rgb, boxes


def _maker(seed: int = 3, **changes: float) -> TileMaker:
    rgb, boxes = _field()
    return TileMaker({"a": [training_field(rgb, boxes, 0.25, "a")]}, {}, TileRecipe(**changes), seed)  # type: ignore[arg-type]


def test_a_tile_of_a_seed_is_always_the_same_and_another_tile_is_not() -> None:
    (first, boxes), (again, boxes_again), (other, _) = _maker()(7), _maker()(7), _maker()(8)
    assert np.array_equal(first, again) and np.array_equal(boxes, boxes_again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("index", range(12))
def test_every_box_lies_on_a_cell_though_fields_of_several_heights_stand_side_by_side(index: int) -> None:
    rgb, boxes = _field()
    fields = [training_field(rgb, boxes, scale, "a") for scale in (0.15, 0.25, 0.6)]
    tile, boxes = TileMaker({"a": fields}, {}, TileRecipe(p_dirt=0, p_sparse=0), 3)(index)
    assert tile.shape == (256, 256, 3) and tile.dtype == np.uint8
    assert len(boxes) and boxes.min() >= 0 and boxes.max() <= 256
    darkness = 255 - tile[..., 1].astype(float)
    film = np.percentile(darkness, 30)
    for left, top, right, bottom in np.round(boxes).astype(int):
        middle = darkness[
            (top + bottom) // 2 - 1 : (top + bottom) // 2 + 2, (left + right) // 2 - 1 : (left + right) // 2 + 2
        ]
        assert middle.mean() > film + 8


def test_fields_are_brought_to_one_scale_by_their_red_cells() -> None:
    rgb, boxes = _field()
    red_cells = np.array([(10 * i + 5, 8, 10 * i + 25, 28) for i in range(6)], np.float32)  # 20 px: 0.375 µm/px
    field = LabelledField("f", rgb, boxes, red_cells, "camera")
    assert red_cell_diameters([field]) == [20.0]
    (scaled,) = to_training_fields([field])
    assert scaled.rgb.shape[:2] == (240, 240)
    assert np.allclose(scaled.boxes, boxes * 0.375 / BASE_UM_PER_PX)


class _Teacher:
    name = "teacher"

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self._boxes = boxes

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        return [(FloatBox(*box), 0.5) for box in self._boxes]


def test_a_teacher_is_believed_where_the_stain_agrees_and_what_it_missed_is_added() -> None:
    rgb, boxes = _field()
    assert purple_density(rgb)[50, 40] > 0.15 > 0.05 > purple_density(rgb)[5, 5]
    labels = label_field(rgb, 0.25, _Teacher((20, 30, 40, 40), (100, 10, 40, 40)))
    assert len(labels) == 2
    assert np.abs(labels[labels[:, 0].argsort()] - boxes).max() < 6


def test_slips_among_human_labels_are_taken_out() -> None:
    rgb, boxes = _field()
    slips = np.array([(100, 5, 140, 45), (21, 31, 60, 70)], np.float32)  # bare film; the first cell again
    assert np.array_equal(clean_labels(rgb, np.concatenate([boxes, slips]), 0.25, _Teacher()), boxes)


def test_a_film_that_took_up_more_dye_is_darker_and_clear_glass_stays_white() -> None:
    rgb, _ = _field()
    rgb[:8] = 255
    changed = [vary_dye(np.random.default_rng(seed), rgb) for seed in range(30)]
    assert all((film[:8] == 255).all() for film in changed)
    darkness = np.array([255 - film[50, 40].mean() for film in changed])
    assert darkness.min() < 255 - rgb[50, 40].mean() < darkness.max()
    assert all(film[50, 40].mean() < film[9, 5].mean() for film in changed)  # a nucleus stays darker than the film
