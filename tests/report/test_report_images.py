"""Pictures: within their budget, of the right shape, attention where it was given."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from smearscan.report import images


def _decoded(uri: str) -> np.ndarray:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def _noise(n: int, side: int = 120) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(0)
    return {i: rng.integers(0, 256, (side, side, 3), dtype=np.uint8) for i in range(n)}


def test_a_picture_keeps_its_colours_and_shape() -> None:
    rgb = np.full((300, 450, 3), (200, 120, 60), np.uint8)
    read = _decoded(images.data_uri(images.encode_jpeg(rgb, 150, 90)))
    assert read.shape == (100, 150, 3)
    assert np.abs(read.astype(int) - (200, 120, 60)).max() <= 4


def test_a_small_picture_is_not_enlarged() -> None:
    assert _decoded(images.data_uri(images.encode_jpeg(np.zeros((20, 30, 3), np.uint8), 450, 90))).shape == (20, 30, 3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 8), st.integers(500, 300_000))
def test_pictures_never_exceed_their_budget_and_those_left_out_are_counted(n: int, budget: int) -> None:
    pictures = _noise(n)
    uris, n_left_out = images.encode_within(pictures, list(pictures), budget)
    assert sum(map(len, uris.values())) <= budget
    assert len(uris) + n_left_out == n and list(uris) == list(range(len(uris)))


def test_pictures_that_fit_are_all_of_one_quality_and_full_size() -> None:
    pictures = _noise(3)
    uris, n_left_out = images.encode_within(pictures, [0, 1, 2], 10**7)
    assert n_left_out == 0 and {_decoded(u).shape for u in uris.values()} == {(120, 120, 3)}


def test_a_tight_budget_makes_all_smaller_before_it_leaves_one_out() -> None:
    pictures = _noise(10)
    uris, n_left_out = images.encode_within(pictures, list(pictures), 40_000)
    assert n_left_out == 0 and max(_decoded(u).shape[0] for u in uris.values()) < 120


def test_keys_without_a_picture_are_passed_over() -> None:
    pictures = _noise(2)
    uris, n_left_out = images.encode_within(pictures, [1, 7, 0], 10**6)
    assert list(uris) == [1, 0] and n_left_out == 0


def test_attention_colours_the_place_it_names_and_leaves_the_rest() -> None:
    grey = np.full((90, 90, 3), 128, np.uint8)
    attention = np.zeros((9, 9))
    attention[2, 6] = 0.3
    overlay = images.overlay_attention(grey, attention)
    assert overlay.shape == grey.shape and overlay.dtype == np.uint8
    hot, cold = overlay[25, 65].astype(int), overlay[75, 15].astype(int)
    assert hot[0] > 200 and hot[2] < 90
    assert np.abs(cold - 128).max() <= 3


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_attention_without_a_peak_changes_nothing(value: float) -> None:
    grey = np.full((40, 40, 3), 90, np.uint8)
    assert np.array_equal(images.overlay_attention(grey, np.full((4, 4), value)), grey)


def test_a_pair_shows_the_cell_untouched_on_the_left() -> None:
    rgb = _noise(1)[0]
    pair = images.attention_pair(rgb, np.ones((4, 4)))
    assert np.array_equal(pair[:, :120], rgb) and pair.shape == (120, 242, 3)
    assert not np.array_equal(pair[:, -120:], rgb)
