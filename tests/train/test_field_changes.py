"""What training does to whole fields: the same for the same seed, in range, and never nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.models.cards import InputCard
from smearscan.train.field_changes import Changes, change_fields

CARD = InputCard(window_um=106.0, um_per_px=106.0 / 64, side_px=64, background="kept", takes="image")
STILL = Changes(zoom=0, mix=0, gain=0, offset=0, common=0, recoded=0)


def _fields(n: int, height: int, width: int) -> np.ndarray:
    draw = np.random.default_rng(0)
    small = draw.integers(90, 255, (n, 8, 8, 3))
    return np.repeat(np.repeat(small, height // 8, 1), width // 8, 2).astype(np.uint8)


@given(st.integers(0, 10_000), st.sampled_from([(64, 64), (96, 128), (224, 224)]))
@settings(max_examples=15, deadline=None)
def test_changed_fields_are_pictures_and_the_same_for_the_same_seed(seed: int, size: tuple[int, int]) -> None:
    fields = _fields(3, *size)
    one, two = (change_fields(fields, CARD, Changes(), np.random.default_rng(seed)) for _ in range(2))
    assert one.shape == (3, 3, 64, 64) and one.dtype == torch.float32
    assert float(one.min()) >= 0 and float(one.max()) <= 1
    assert torch.equal(one, two)


def test_another_seed_changes_otherwise_and_the_fields_given_stay_as_they_are() -> None:
    fields = _fields(2, 96, 96)
    kept = fields.copy()
    one, two = (change_fields(fields, CARD, Changes(), np.random.default_rng(seed)) for seed in (1, 2))
    assert not torch.allclose(one, two, atol=0.05)
    assert np.array_equal(fields, kept)


@pytest.mark.parametrize("what", ["mix", "gain", "common"])
def test_each_change_of_stain_moves_the_mean_colour_more_than_none_does(what: str) -> None:
    fields = _fields(16, 64, 64)
    mean = torch.from_numpy(fields).float().div(255).mean((1, 2))

    def moved(changes: Changes) -> float:
        made = change_fields(fields, CARD, changes, np.random.default_rng(3))
        return float((made.mean((2, 3)) - mean).abs().mean())

    assert moved(Changes(**{**dict.fromkeys(STILL.__slots__, 0.0), what: 0.3})) > 1.5 * moved(STILL)
