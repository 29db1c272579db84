"""Cells are carried to laboratories that nobody has been to, and stay the cells they are."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from smearscan.crops.mask import CellSegmenter
from smearscan.models.cards import InputCard
from smearscan.train.cells import SOURCES, CellTable
from smearscan.train.coarse_copies import coarse_copies, shared, worsened
from smearscan.train.foreign import Foreigner, ForeignLook, resampled, sharpened
from smearscan.train.stain_maps import StainMaps, covariance, transport
from smearscan.train.type_batches import TrainingRows, TypeBatches

_CARD = InputCard(
    window_um=24.0,
    um_per_px=0.25,
    side_px=96,
    background="black",
    coarsest_um_per_px=0.62,
    stain="cell",
    mean=(0.5,) * 3,
    sd=(0.157,) * 3,
)


class _Blind:
    """A mask network that finds nothing."""

    def chances(self, windows: np.ndarray) -> np.ndarray:
        return np.zeros((*windows.shape[:3], 2), np.float32)


def _window(seed: int, side: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """A drawn cell, (side, side, 3) uint8, and its mask: 1 cytoplasm, 2 nucleus."""
    rng = np.random.default_rng(seed)
    axis = np.arange(side) - (side - 1) / 2
    radius = np.hypot(axis[None], axis[:, None])
    mask = (radius < side * 0.25).astype(np.uint8) + (radius < side * 0.15)
    colours = np.array([[230, 215, 220], [180, 160, 200], [90, 50, 140]]) + rng.integers(-15, 16, (3, 3))
    return np.clip(colours[mask] + rng.normal(0, 8, (side, side, 3)), 0, 255).astype(np.uint8), mask


def _five(seed: int = 0) -> torch.Tensor:
    """Masked RGB, mask and nucleus of two cells, (2, 5, 96, 96) uint8."""
    found = []
    for i in range(2):
        window, mask = _window(seed + i, 96)
        lit = (mask > 0).astype(np.uint8)
        found.append(np.dstack([window * lit[..., None], lit * 255, (mask == 2) * np.uint8(255)]))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


def _abroad(look: ForeignLook, seed: int = 5) -> torch.Tensor:
    return Foreigner(seed).abroad(
        _five(), look, torch.ones(2), torch.eye(3).repeat(2, 1, 1), torch.tensor([True, False])
    )


def _table(n: int) -> CellTable:
    cells = [_window(i) for i in range(n)]
    return CellTable(
        windows=np.stack([c[0] for c in cells]),
        masks=np.stack([c[1] for c in cells]),
        sources=np.full(n, SOURCES.index("pbc")),
        types=np.array(["lymphocyte"] * n),
        readings=np.ones(n, int),
        blocks=np.zeros(n, int),
        orders=np.arange(n),
        stains=np.full(n, -1),
        measures=np.full((n, 5), 12.0, np.float32),
    )


def _batches(seed: int) -> TypeBatches:
    n = 6
    given_rows = TrainingRows(np.arange(n), np.arange(n) % 2, np.full(n, 1 / n), np.ones(n, bool), np.ones(n))
    return TypeBatches(_table(n), given_rows, _CARD, cast(CellSegmenter, _Blind()), 9, seed, 1 / 3)


@given(seed=st.integers(0, 10_000))
def test_a_transported_stain_has_the_covariance_aimed_at_but_for_its_spread(seed: int) -> None:
    """The direction of colour is the other laboratory's, how strongly it varies stays the cell's own."""
    rng = np.random.default_rng(seed)
    source, target = (m @ m.T + 0.1 * np.eye(3) for m in rng.normal(size=(2, 3, 3)))
    full = transport(source, target)
    mapped = full @ source @ full.T
    assert mapped / np.trace(mapped) == pytest.approx(target / np.trace(target), abs=1e-6)
    assert np.trace(mapped) == pytest.approx(np.trace(source))
    assert transport(source, source) == pytest.approx(np.eye(3), abs=1e-6)


def test_maps_are_drawn_for_the_share_asked_and_only_between_stains_that_are_known() -> None:
    """A laboratory of too few round cells keeps its own colours."""
    pictures = _five().permute(0, 2, 3, 1).numpy()[..., :4][np.arange(31) % 2].copy()
    pictures[15:, ..., 0] //= 2
    groups = np.array(["a"] * 15 + ["b"] * 15 + ["few"])
    maps = StainMaps(pictures, groups, np.ones(31, bool))
    assert maps.names == ("a", "b")
    assert np.array_equal(maps.draw(np.arange(31), 0.0, np.random.default_rng(0)), np.tile(np.eye(3), (31, 1, 1)))
    drawn = maps.draw(np.arange(31), 1.0, np.random.default_rng(0))
    assert np.array_equal(drawn[30], np.eye(3))
    assert np.abs(drawn[:30] - np.eye(3)).max() > 0.01


def test_the_covariance_is_that_of_the_inside_alone() -> None:
    """What lies outside the mask, whatever its colour, is no stain."""
    picture = _five().permute(0, 2, 3, 1).numpy()[:1, ..., :4].copy()
    before = covariance(picture)
    picture[picture[..., 3] == 0] = (200, 10, 10, 0)
    assert np.array_equal(covariance(picture), before)


def test_a_foreign_look_repeats_with_its_seed_and_leaves_the_outside_as_whitening_does() -> None:
    """A training run can be repeated; the corners show no cell."""
    first = _abroad(ForeignLook())
    assert torch.equal(first, _abroad(ForeignLook()))
    assert not torch.equal(first, _abroad(ForeignLook(), seed=6))
    assert torch.all(first[..., :4, :4] == -3.2)


def test_chromatin_is_clumped_in_the_nuclei_of_round_cells_alone() -> None:
    """A basophil is told by its granules: they must not be drawn into it, nor into anybody's cytoplasm."""
    looks = [replace(ForeignLook(), clumps=amount) for amount in (0.0, 0.35)]
    smooth, clumped = (_abroad(look) for look in looks)
    assert torch.equal(smooth[1], clumped[1])
    assert not torch.equal(smooth[0], clumped[0])
    density, nucleus = torch.full((1, 3, 96, 96), 0.5), torch.zeros(1, 1, 96, 96)
    nucleus[..., 30:60, 30:60] = 1
    drawn = Foreigner(1)._clumped(density, nucleus, torch.tensor([0.35]))
    assert torch.equal(drawn[..., :30, :], density[..., :30, :])
    assert drawn[..., 30:60, 30:60].std() > 0.01
    assert drawn.min() >= 0


def test_without_hue_all_channels_are_one() -> None:
    """Grey cells teach shape and texture."""
    grey = _abroad(replace(ForeignLook(), grey=1.0))
    assert torch.allclose(grey[:, :1].expand_as(grey), grey, atol=1e-4)
    coloured = _abroad(replace(ForeignLook(), grey=0.0))
    assert (coloured[:, 0] - coloured[:, 1]).abs().max() > 0.1


def test_sampling_down_takes_detail_and_sharpening_adds_it() -> None:
    """The mean stays nearly as it was; what varies from pixel to pixel shrinks or grows."""
    picture = _five()[:, :4].float().div(255)

    def detail(x: torch.Tensor) -> float:
        return float((x[:, :3, 40:56, 40:55] - x[:, :3, 40:56, 41:56]).abs().mean())

    coarse, sharp = resampled(picture, 2.0), sharpened(picture, 1.0)
    assert detail(coarse) < 0.7 * detail(picture) < 0.7 * detail(sharp)
    assert float(coarse.mean()) == pytest.approx(float(picture.mean()), rel=0.02)
    assert torch.all(sharp[:, :3][picture[:, 3:].expand(-1, 3, -1, -1) == 0] == 0)


def test_an_outline_of_something_else_is_not_taken() -> None:
    """Where the mask network loses the cell on the worse picture, the sharp outline stays."""
    table = _table(2)
    copies, outlines = coarse_copies(table.windows, table.masks, cast(CellSegmenter, _Blind()), 0)
    assert np.array_equal(outlines, table.masks)
    assert copies.shape == table.windows.shape
    assert not np.array_equal(copies, table.windows)


def test_a_worse_copy_shows_the_same_cell_with_less_detail() -> None:
    """Nucleus darker than cytoplasm, noise of single pixels smoothed; the same again from the same generator."""
    window, mask = _window(3)
    worse = worsened(window, np.random.default_rng(1))
    assert np.array_equal(worse, worsened(window, np.random.default_rng(1)))
    assert worse[mask == 2].mean() < worse[mask == 1].mean() - 30
    assert cv2.Laplacian(worse, cv2.CV_64F).std() < cv2.Laplacian(window, cv2.CV_64F).std()


def test_masks_share_all_nothing_or_a_part() -> None:
    """Intersection over union; two empty masks share nothing."""
    a = np.zeros((3, 4, 4), bool)
    b = a.copy()
    a[:2, :2], b[0, :2], b[1, 1:3] = True, True, True
    assert shared(a, b) == pytest.approx([1.0, 1 / 3, 0.0])


def test_batches_repeat_and_hold_the_labels_of_the_cells_drawn() -> None:
    """Equal seeds give equal training, whatever was drawn elsewhere."""
    images, labels = _batches(0)(np.random.default_rng(1))
    again, _ = _batches(0)(np.random.default_rng(1))
    assert images.shape == (9, 3, 96, 96)
    assert torch.equal(images, again)
    cells = np.random.default_rng(1).choice(6, 9, p=np.full(6, 1 / 6))
    assert labels.tolist() == (cells % 2).tolist()
