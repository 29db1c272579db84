"""What training shows a network is what run time shows it, but for the augmentation."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from smearscan.crops.prepare import softened
from smearscan.crops.whiten import LEVELS_PER_SD, whiten_cell
from smearscan.train.averages import blended
from smearscan.train.fit import Recipe, fit, soft_targets
from smearscan.train.restain import Restainer, Strength, to_density, whiten
from smearscan.train.restain import softened as trained_soft

_STRENGTH = Strength(scale=0.1, blur_px=1.0, mix=0.1, gain=0.2, offset=0.05)


def _picture(seed: int = 0, side: int = 64) -> np.ndarray:
    """A masked cell with its mask as fourth channel, (side, side, 4) uint8, area-averaged as in the cell table."""
    rng = np.random.default_rng(seed)
    axis = np.arange(2 * side) - side + 0.5
    radius = np.hypot(axis[None], axis[:, None])
    mask = (radius < side * 0.6).astype(np.uint8)
    base = np.where(radius[..., None] < side * 0.35, [90, 50, 140], [180, 160, 200])
    rgb = np.clip(base + rng.normal(0, 8, base.shape), 0, 255).astype(np.uint8) * mask[..., None]
    four = np.dstack([rgb, mask * 255])
    return cv2.resize(four, (side, side), interpolation=cv2.INTER_AREA)


def test_torch_whitening_is_that_of_run_time_inside_the_cell() -> None:
    """Away from the outline they differ by under 3 of 256 levels: the two count the outermost pixels differently."""
    picture = _picture()
    tensor = torch.from_numpy(picture[None]).permute(0, 3, 1, 2).float().div(255)
    trained = whiten(*to_density(tensor))[0].permute(1, 2, 0).numpy() * LEVELS_PER_SD + 128
    run_time = whiten_cell(np.ascontiguousarray(picture[..., :3])).astype(float)
    deep = cv2.erode((picture[..., 3] == 255).astype(np.uint8), np.ones((5, 5))) > 0
    assert np.abs(trained - run_time)[deep].mean() < 3.0
    assert np.abs(trained[0]).max() < 1e-3


def test_torch_softening_is_that_of_run_time() -> None:
    """The same cell, the same outline, hardly a level apart: no blast network sees in training what it will not see."""
    picture = _picture()
    tensor = torch.from_numpy(picture[None]).permute(0, 3, 1, 2).float().div(255)
    trained = whiten(*to_density(trained_soft(tensor, 1.2)))[0].permute(1, 2, 0).numpy() * LEVELS_PER_SD + 128
    rgb, share = np.ascontiguousarray(picture[..., :3]), np.ascontiguousarray(picture[..., 3])
    run_time = whiten_cell(softened(rgb, share, 1.2)).astype(float)
    assert ((run_time[..., 0] > 0) == (trained[..., 0] > 1)).all()
    assert np.abs(trained - run_time)[run_time > 0].mean() < 1.5


def test_the_same_seed_draws_the_same_augmentation() -> None:
    """A training run can be repeated."""
    images = torch.from_numpy(np.stack([_picture(1), _picture(2)])).permute(0, 3, 1, 2)
    first, again = Restainer(5)(images, _STRENGTH), Restainer(5)(images, _STRENGTH)
    assert torch.equal(first, again)
    assert not torch.equal(first, Restainer(6)(images, _STRENGTH))


def test_a_cell_that_is_to_shrink_shrinks_and_a_cut_rim_leaves_less_of_it() -> None:
    """Pictures without scale are imitated by size, another's outline by cutting the rim off."""
    still = Strength(scale=0.0, blur_px=0.0, mix=0.0, gain=0.0, offset=0.0)
    images = torch.from_numpy(np.stack([_picture()] * 2)).permute(0, 3, 1, 2)
    outside = Restainer(5)(images, still)[0].min()

    def areas(strength: Strength, shrinks: torch.Tensor | None) -> list[int]:
        return [int((picture[0] != outside).sum()) for picture in Restainer(5)(images, strength, shrinks)]

    whole, half = areas(still, torch.tensor([1.0, 2.0]))
    assert half == pytest.approx(whole / 4, rel=0.15)
    cut = areas(replace(still, rim=1.0), None)
    assert max(cut) < min(areas(still, None))


def test_soft_targets_are_probabilities_that_favour_the_label() -> None:
    """Rows sum to 1 and the label's column is the largest."""
    targets = soft_targets(np.array([0, 2]), 3)
    assert torch.allclose(targets.sum(1), torch.ones(2))
    assert targets.argmax(1).tolist() == [0, 2]


def test_blended_weights_lie_between_those_of_the_two() -> None:
    """The share is that of the network that is changed; the other stays as it was."""
    one, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    expected = 0.75 * one.weight.detach() + 0.25 * other.weight.detach()
    before = other.weight.detach().clone()
    assert torch.allclose(blended(one, other, 0.75).state_dict()["weight"], expected)
    assert torch.equal(other.weight, before)


def test_the_loop_learns_and_keeps_the_average_in_evaluation_mode() -> None:
    """A linear problem is solved in a few steps; the weights that are kept separate the classes."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 2))

    def draw(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        labels = rng.integers(0, 2, 32)
        images = rng.normal(size=(32, 3, 2, 2)) + (2 * labels[:, None, None, None] - 1)
        return torch.from_numpy(images).float(), soft_targets(labels, 2)

    kept = fit(model, draw, Recipe(steps=60, batch=32, rate=0.05, average=0.9))
    images, targets = draw(np.random.default_rng(9))
    assert not kept.training
    assert (kept(images).argmax(1) == targets.argmax(1)).float().mean() > 0.9
