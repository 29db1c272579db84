"""Intervals draw subjects, not images; they agree with weighing by hand and cover what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from small_world import scores

from smearscan.evaluate.bootstrap import intervals, weighted_auroc
from smearscan.evaluate.metrics import METRICS, Scored, measure


@given(st.integers(0, 10_000), st.integers(6, 40), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_the_weighted_area_is_scikit_learns(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.integers(0, levels, n) / levels  # with ties
    positive = np.r_[True, False, rng.uniform(size=n - 2) < 0.5]
    weights = rng.integers(0, 3, (4, n)).astype(float)
    weights[:, :2] += 1
    found = weighted_auroc(positive, score, weights)
    expected = [roc_auc_score(positive, score, sample_weight=row) for row in weights]
    assert found == pytest.approx(expected)


def test_a_side_that_weighs_nothing_has_no_area() -> None:
    weights = np.array([[1.0, 0.0], [1.0, 1.0]])
    assert np.isnan(weighted_auroc(np.array([True, False]), np.array([0.9, 0.1]), weights)[0])


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=15, deadline=None)
def test_each_interval_holds_draws_around_the_figure(seed: int, n_classes: int) -> None:
    scored = scores(np.random.default_rng(seed), 120, n_classes, n_subjects=20)
    spans, found = intervals(scored, n_draws=200), measure(scored)
    assert tuple(spans) == METRICS
    for name in ("accuracy", "sensitivity", "weighted_f1", "auroc"):
        low, high = spans[name]
        assert 0 <= low <= high <= 1
        assert low - 0.05 <= found[name] <= high + 0.05


def test_the_same_seed_gives_the_same_interval() -> None:
    scored = scores(np.random.default_rng(1))
    assert intervals(scored, n_draws=100) == intervals(scored, n_draws=100)
    assert intervals(scored, n_draws=100) != intervals(scored, n_draws=100, seed=1)


def test_images_of_one_subject_count_as_one_draw() -> None:
    """The same images are less certain as those of few persons than as those of many."""
    rng = np.random.default_rng(0)
    right = np.repeat(rng.uniform(size=20) < 0.7, 30)
    labels = np.tile([0, 1], 300)
    shares = np.where((right == (labels == 1))[:, None], [[0.2, 0.8]], [[0.8, 0.2]])
    few = Scored(labels, shares, np.repeat([f"p{i}" for i in range(20)], 30), ("a", "b"))
    many = Scored(labels, shares, np.array([f"p{i}" for i in range(600)]), ("a", "b"))
    widths = [np.diff(intervals(one, n_draws=300)["accuracy"])[0] for one in (few, many)]
    assert widths[0] > 3 * widths[1]


def test_a_subject_alone_in_its_class_is_drawn_with_the_largest() -> None:
    """Three subjects hold class c, only one of them mostly: there is an interval all the same."""
    labels = np.array([0] * 9 + [1] * 9 + [2] * 5)
    subjects = np.array(list("pppqqqrrr") + list("sssttt") + list("uuu") + list("wwwps"))
    shares = np.eye(3)[labels] * 0.7 + 0.1
    spans = intervals(Scored(labels, shares, subjects, ("a", "b", "c")), n_draws=100)
    assert spans["accuracy"] == (1.0, 1.0)


def test_one_subject_of_a_class_gives_no_interval() -> None:
    scored = scores(np.random.default_rng(0), 40, 2, n_subjects=1)
    assert all(np.isnan(low) and np.isnan(high) for low, high in intervals(scored).values())


@pytest.mark.slow
def test_intervals_of_accuracy_cover_what_they_should() -> None:
    """Subjects differ (beta-binomial): 95 % intervals of 30 subjects hold the truth in nine of ten worlds or more."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        skill = rng.beta(7, 3, 30)
        right = np.concatenate([rng.uniform(size=15) < p for p in skill])
        labels = np.repeat(np.arange(30) % 2, 15)
        shares = np.where((right == (labels == 1))[:, None], [[0.2, 0.8]], [[0.8, 0.2]])
        scored = Scored(labels, shares, np.repeat([f"p{i}" for i in range(30)], 15), ("a", "b"))
        low, high = intervals(scored, n_draws=300)["accuracy"]
        held += low <= 0.7 <= high
    assert held >= 180
