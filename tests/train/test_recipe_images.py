"""Copies, augmentations and rivals: what an epoch shows."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.datasets.samples import Sample
from smearscan.errors import SettingsError
from smearscan.train.recipes.balance import copied, rows_of
from smearscan.train.recipes.looks import batch_changes, grid, image_changes, standardised_changes
from smearscan.train.recipes.recipe import AugmentPart, BalancePart
from smearscan.train.recipes.seeds import torch_seed

DERS = BalancePart(kind="ders", copies={"hem": 7, "all": 4}, draw=20_000)


def _samples(n_hem: int, n_all: int) -> list[Sample]:
    return [Sample(f"hem/{i}", "hem", f"H{i}") for i in range(n_hem)] + [
        Sample(f"all/{i}", "all", f"{i}") for i in range(n_all)
    ]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 100))
@settings(max_examples=50)
def test_ders_shows_as_many_of_each_class_each_copy_at_most_once(n_hem: int, n_all: int, draw: int) -> None:
    rows = rows_of(_samples(n_hem, n_all), ("hem", "all"), DERS.model_copy(update={"draw": draw}), seed=3)
    counts = Counter(row.sample.label for row in rows)
    assert counts["hem"] == counts["all"] == min(draw, 7 * n_hem, 4 * n_all)
    assert len(set(rows)) == len(rows)


def test_ders_copies_are_those_the_paper_names() -> None:
    rows = rows_of(_samples(4, 7), ("hem", "all"), DERS, seed=0)
    made = {label: {row.copy for row in rows if row.sample.label == label} for label in ("hem", "all")}
    assert made["all"] == {"as_is", "flip_lr", "rot90", "transpose"}
    assert made["hem"] == {"as_is", "flip_lr", "flip_ud", "rot90", "rot180", "rot270", "transpose"}


def test_copies_multiply_a_class_and_an_unknown_class_is_refused() -> None:
    part = BalancePart(kind="copies", copies={"hem": 4, "all": 2})
    counts = Counter(row.sample.label for row in rows_of(_samples(3, 5), ("hem", "all"), part, 0))
    assert counts == {"hem": 12, "all": 10}
    with pytest.raises(SettingsError, match="hem"):
        rows_of([], ("a", "b"), part, 0)


def test_the_eight_fixed_copies_of_an_image_all_differ_and_keep_its_pixels() -> None:
    image = np.random.default_rng(0).integers(0, 255, (5, 5, 3), np.uint8)
    names = ("as_is", "flip_lr", "flip_ud", "rot90", "rot180", "rot270", "transpose", "antitranspose")
    made = {copied(image, name).tobytes() for name in names}
    assert len(made) == 8
    assert all(np.array_equal(np.sort(copied(image, name).ravel()), np.sort(image.ravel())) for name in names)


@pytest.mark.parametrize("rival", ["randaugment", "augmix"])
def test_a_rival_of_images_changes_them_the_same_way_for_the_same_seed(rival: str) -> None:
    image = torch.randint(0, 255, (3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    change = image_changes(AugmentPart(), rival)
    made = []
    for place in (0, 0, 1, 2, 3):
        with torch_seed(7, place):
            made.append(change(image))
    assert torch.equal(made[0], made[1])
    assert any(not torch.equal(image, one) for one in made)
    assert all(one.shape == image.shape and one.dtype == torch.uint8 for one in made)


@pytest.mark.parametrize("rival", ["random_erasing", "cutout", "gridmask"])
def test_a_rival_that_takes_out_sets_some_of_the_standardised_image_to_nothing(rival: str) -> None:
    image, change, shares = torch.ones(3, 40, 40), standardised_changes(rival), []
    for place in range(40):
        with torch_seed(1, place):
            shares.append(float((change(image.clone()) == 0).float().mean()))
    assert 0.05 < np.mean(shares) < 0.6
    if rival == "cutout":
        assert np.allclose(shares, 0.25, atol=0.03)


@pytest.mark.parametrize("rival", ["mixup", "cutmix"])
def test_a_rival_that_mixes_gives_targets_that_sum_to_one(rival: str) -> None:
    change = batch_changes(rival, 3)
    assert change is not None
    with torch_seed(0, 0):
        images, targets = change(torch.rand(6, 3, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2]))
    assert images.shape == (6, 3, 16, 16) and torch.allclose(targets.sum(1), torch.ones(6))
    assert ((targets > 0) & (targets < 1)).any()


@given(st.floats(0.2, 0.6), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0.3, 0.8))
@settings(max_examples=30, deadline=None)
def test_gridmask_keeps_more_than_the_square_of_what_is_not_kept(
    unit: float, x: float, y: float, turn: float, keep: float
) -> None:
    kept = grid(96, keep, {"unit": unit, "at": [x, y], "turn": turn}).float().mean()
    assert abs(float(kept) - (1 - (1 - keep) ** 2)) < 0.25


def test_seeding_leaves_torchs_own_generator_as_it_was() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    with torch_seed(1, 2, 3):
        torch.rand(10)
    assert torch.equal(torch.rand(3), wanted)
