"""Groups dealt to folds: whole, the same each time, as near to what is asked for as they allow."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.datasets.folds import deal
from smearscan.datasets.groups import group_ids
from smearscan.datasets.samples import Sample
from smearscan.geometry import Box


@given(st.lists(st.integers(1, 400), min_size=7, max_size=40), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_no_move_of_a_single_group_brings_the_folds_nearer(sizes: list[int], k: int) -> None:
    counts = np.array(sizes, float)[:, None]
    folds = deal(counts, np.ones((k, 1)))
    assert (folds == deal(counts, np.ones((k, 1)))).all()

    def cost(chosen: np.ndarray) -> float:
        return float(((np.bincount(chosen, counts[:, 0], k) - counts.sum() / k) ** 2).sum())

    best = cost(folds)
    for group in range(len(sizes)):
        for fold in range(k):
            moved = folds.copy()
            moved[group] = fold
            assert cost(moved) >= best - 1e-6 * counts.sum() ** 2


def test_counts_that_can_be_met_are_met() -> None:
    counts = np.array([[50, 0], [30, 0], [20, 0], [0, 10], [0, 5], [0, 5]])
    folds = deal(counts, np.array([[50, 10], [50, 10]]))
    assert np.bincount(folds, counts[:, 0]).tolist() == [50, 50]
    assert np.bincount(folds, counts[:, 1]).tolist() == [10, 10]


def test_of_equal_counts_the_wanted_number_of_subjects_decides() -> None:
    counts = np.array([[4], [2], [2], [4], [1], [1], [1], [1]])
    wanted = np.array([[2], [6]])
    folds = deal(counts, np.array([[8], [8]]), np.ones_like(counts), wanted)
    assert np.bincount(folds).tolist() == [2, 6]


def test_likeness_joins_subjects_through_others() -> None:
    samples = [Sample(f"{i}.png", "x", s) for i, s in enumerate(("a", "b", "c", "d"))]
    assert group_ids(samples).tolist() == [0, 1, 2, 3]
    groups = group_ids(samples, [("0.png", "1.png"), ("1.png", "3.png", "gone.png")]).tolist()
    assert groups[0] == groups[1] == groups[3] != groups[2]


def test_boxes_of_one_picture_are_one_group_whatever_subject_they_name() -> None:
    samples = [Sample("p.png", "x", "a", box=Box(0, 0, 1, 1)), Sample("p.png", "y", "b", box=Box(2, 2, 1, 1))]
    assert group_ids(samples).tolist() == [0, 0]
