"""What the blast members are shown: sharp and coarse, of known and unknown scale, the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smearscan.train import blast_cells
from smearscan.train.blast_cells import BlastCells, batches
from smearscan.train.cells import SOURCES, CellTable
from smearscan.train.windows import FINE_UM, WINDOW_PX, shrinks_without_scale

_N = 6


def _table(diameter_um: float) -> CellTable:
    """Round cells of one size with a darker nucleus and a grain; half of Taleqani's, half of PBC."""
    rng = np.random.default_rng(0)
    axis = np.arange(WINDOW_PX) - (WINDOW_PX - 1) / 2
    radius_um = np.hypot(axis[:, None], axis[None]) * FINE_UM
    mask = (radius_um < diameter_um / 2).astype(np.uint8) + (radius_um < diameter_um / 3)
    shades = np.array([(240, 235, 230), (150, 140, 210), (90, 60, 150)])[mask]
    windows = (shades[None] + rng.normal(0, 12, (_N, WINDOW_PX, WINDOW_PX, 1))).clip(0, 255).astype(np.uint8)
    return CellTable(
        windows=windows,
        masks=np.repeat(mask[None], _N, axis=0),
        sources=np.array([SOURCES.index("Pre"), SOURCES.index("pbc")] * (_N // 2)),
        types=np.full(_N, ""),
        readings=np.zeros(_N, int),
        blocks=np.zeros(_N, int),
        orders=np.arange(_N),
        stains=np.full(_N, -1),
        measures=np.tile(np.array([[diameter_um, diameter_um / 1.5, 0.4, 0.97, 0.3]], np.float32), (_N, 1)),
    )


_CELLS = BlastCells(np.arange(_N), np.array([1, 0] * (_N // 2)), np.full(_N, 1 / _N))


def test_a_batch_repeats_and_its_targets_are_those_of_the_cells_drawn() -> None:
    table = _table(10.0)
    images, targets = batches(table, _CELLS, 8, 3)(np.random.default_rng(5))
    again, same = batches(table, _CELLS, 8, 3)(np.random.default_rng(5))
    drawn = np.random.default_rng(5).choice(_N, 8, p=_CELLS.chances)
    assert torch.equal(images, again) and torch.equal(targets, same)
    assert images.shape == (8, 3, blast_cells.INPUT.side_px, blast_cells.INPUT.side_px)
    assert (targets.argmax(1).numpy() == _CELLS.labels[drawn]).all()


def test_without_scale_a_small_cell_is_shown_as_large_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def area(share: float) -> float:
        monkeypatch.setattr(blast_cells, "_WITHOUT_SCALE", share)
        images, _ = batches(_table(7.0), _CELLS, 32, 3)(np.random.default_rng(5))
        return float((images.mean(1) > -3.19).float().mean())  # black is 3.2 spreads below the middle

    assert area(1.0) / area(0.0) == pytest.approx((12 / 7) ** 2, rel=0.2)


def test_cells_of_a_sharp_camera_are_shown_no_sharper_than_those_of_a_soft_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else "sharp" means "no blast": all blasts there are to learn from come from one soft camera."""

    plain = _table(10.0)
    noise = np.random.default_rng(1).normal(0, 60, plain.windows.shape)
    grainy = (plain.windows + noise).clip(1, 255).astype(np.uint8)

    def grain(softened_um: float) -> float:
        card = blast_cells.INPUT.model_copy(update={"softened_um": softened_um})
        monkeypatch.setattr(blast_cells, "INPUT", card)
        sharp = dataclasses.replace(plain, windows=grainy)
        images, _ = batches(sharp, _CELLS, 32, 3)(np.random.default_rng(5))
        return float(images[:, :, 26:38, 26:38].diff(dim=3).std())

    shown = blast_cells.INPUT.softened_um
    assert shown > 0
    assert grain(shown) < 0.9 * grain(0.0)  # whitened and noisy either way


@given(st.floats(1, 40))
def test_no_cell_is_shrunk_or_enlarged_without_bounds(diameter_um: float) -> None:
    (shrink,) = shrinks_without_scale(np.array([diameter_um]))
    assert 0.4 <= shrink <= 2 and (shrink in (0.4, 2) or shrink * 12 == pytest.approx(diameter_um))
