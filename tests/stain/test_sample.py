"""Pixels to fit on: stained, from all tiles, always the same."""

from __future__ import annotations

import numpy as np

from smearscan.stain.sample import evenly, sample_stain


def _tiles(draw_slide) -> list[np.ndarray]:
    return [draw_slide(seed=seed).reshape(60, 100, 3) for seed in range(4)]


def test_the_sample_holds_stain_and_the_white_of_the_glass(draw_slide) -> None:
    sample = sample_stain(_tiles(draw_slide))
    assert np.abs(sample.background - (250, 240, 220)).max() <= 1
    assert 0.6 < len(sample.foreground) / 24_000 < 0.7
    assert sample.foreground.min(axis=1).max() < 230


def test_the_same_tiles_give_the_same_sample(draw_slide) -> None:
    first, second = sample_stain(_tiles(draw_slide)), sample_stain(iter(_tiles(draw_slide)))
    assert np.array_equal(first.foreground, second.foreground)


def test_no_more_pixels_than_asked_for_come_back_and_every_tile_gives_some(draw_slide) -> None:
    dark, pale = draw_slide(strength=1.4), draw_slide(strength=0.6)
    sample = sample_stain([dark.reshape(60, 100, 3), pale.reshape(60, 100, 3)], max_px=1000)
    assert len(sample.foreground) == 1000
    first, second = sample.foreground[:500].mean(), sample.foreground[500:].mean()
    assert first < second - 10


def test_no_tiles_and_blank_glass_give_an_empty_sample() -> None:
    assert sample_stain([]).foreground.shape == (0, 3)
    assert sample_stain([np.full((50, 50, 3), 240, np.uint8)]).foreground.shape == (0, 3)


def test_a_black_mask_is_no_stain() -> None:
    tile = np.full((50, 50, 3), 240, np.uint8)
    tile[:25] = 0
    assert len(sample_stain([tile]).foreground) == 0


def test_rows_are_taken_evenly_and_in_order() -> None:
    rows = np.arange(1000)
    taken = evenly(rows, 7)
    assert len(taken) == 7
    assert np.ptp(np.diff(taken)) <= 1
    assert np.array_equal(evenly(rows, 5000), rows)
