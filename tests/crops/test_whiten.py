"""Whitening takes a cell's own stain out and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.crops.whiten import whiten_cell


def _cell(seed: int, side: int = 48) -> np.ndarray:
    """A disc of cytoplasm with a darker nucleus on black, (side, side, 3) uint8."""
    rng = np.random.default_rng(seed)
    axis = np.arange(side) - side / 2
    radius = np.hypot(axis[None], axis[:, None])
    density = np.where(radius[..., None] < side / 5, [0.5, 0.8, 0.3], [0.15, 0.3, 0.1]) + rng.normal(
        0, 0.02, (side, side, 3)
    )
    rgb = np.clip(255 * 10.0**-density, 1, 255)
    return np.where((radius < side / 3)[..., None], rgb, 0).astype(np.uint8)


def test_black_stays_black_and_the_cell_lies_around_the_middle() -> None:
    """Outside the cell is 0, inside it the mean is that of the middle grey."""
    out = whiten_cell(_cell(0))
    inside = out.max(axis=2) > 0
    assert not inside[0].any()
    assert abs(out[inside].mean() - 128) < 2


@given(gain=st.floats(0.6, 1.6), offset=st.floats(0.0, 0.15))
def test_a_stronger_or_tinted_stain_gives_nearly_the_same_picture(gain: float, offset: float) -> None:
    """Scaling all densities and tinting the whole cell changes the whitened picture by a few levels at most."""
    cell = _cell(1)
    lit = cell.max(axis=2) > 0
    density = -np.log10(np.maximum(cell, 1) / 255) * gain + offset * np.array([1.0, 0.3, 0.6])
    other = np.where(lit[..., None], np.clip(255 * 10.0**-density, 9, 255), 0).astype(np.uint8)
    difference = np.abs(whiten_cell(cell).astype(int) - whiten_cell(other).astype(int))
    assert difference.mean() < 6


def test_an_empty_picture_gives_an_empty_picture() -> None:
    """Where no cell was found nothing is made up."""
    assert whiten_cell(np.zeros((32, 32, 3), np.uint8)).max() == 0


@pytest.mark.parametrize("seed", [2, 3])
def test_the_input_is_not_changed(seed: int) -> None:
    """The picture handed in is the caller's."""
    cell = _cell(seed)
    before = cell.copy()
    whiten_cell(cell)
    assert np.array_equal(cell, before)
