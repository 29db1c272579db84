"""Every figure agrees with scikit-learn's, and says nothing where there is nothing to say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from small_world import scores

from smearscan.evaluate.metrics import METRICS, N_BINS, Scored, by_class, confusion, ece, measure, reliability


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(12, 80))
@settings(max_examples=50, deadline=None)
def test_figures_are_those_of_scikit_learn(seed: int, n_classes: int, n: int) -> None:
    scored = scores(np.random.default_rng(seed), n, n_classes)
    found, truth, called = measure(scored), scored.labels, scored.predicted
    assert tuple(found) == METRICS
    average = "binary" if n_classes == 2 else "macro"
    rest = {"zero_division": 0, "labels": list(range(n_classes))}
    if average == "binary":
        rest = {"zero_division": 0}
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, called))
    assert found["sensitivity"] == pytest.approx(sk.recall_score(truth, called, average=average, **rest))
    assert found["precision"] == pytest.approx(sk.precision_score(truth, called, average=average, **rest))
    assert found["f1"] == pytest.approx(sk.f1_score(truth, called, average=average, **rest))
    assert found["weighted_f1"] == pytest.approx(sk.f1_score(truth, called, average="weighted", zero_division=0))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(truth, called, average="macro", zero_division=0))
    shares = scored.probabilities
    area = sk.roc_auc_score(truth, shares[:, 1] if n_classes == 2 else shares, multi_class="ovr")
    assert found["auroc"] == pytest.approx(area)
    assert (confusion(scored) == sk.confusion_matrix(truth, called, labels=range(n_classes))).all()


def test_of_two_classes_the_last_is_the_positive() -> None:
    shares = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    found = measure(Scored(np.array([0, 0, 1, 1]), shares, np.array(list("abcd")), ("hem", "all")))
    assert (found["sensitivity"], found["specificity"], found["precision"]) == (0.5, 0.5, 0.5)
    assert found["auroc"] == 0.75


def test_classes_without_an_image_are_left_out_of_means() -> None:
    labels = np.array([0, 1, 1, 0])
    shares = np.eye(3)[[0, 1, 2, 0]]
    found = measure(Scored(labels, shares, np.array(list("abcd")), ("a", "b", "c")))
    assert found["accuracy"] == 0.75
    assert found["sensitivity"] == pytest.approx((1 + 0.5) / 2)
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["auroc"] == pytest.approx((1 + 0.75) / 2)


def test_nothing_to_score_gives_no_figure() -> None:
    empty = Scored(np.zeros(0, int), np.zeros((0, 2)), np.zeros(0, str), ("a", "b"))
    assert all(np.isnan(value) for value in measure(empty).values())
    one = Scored(np.array([1]), np.array([[0.2, 0.8]]), np.array(["s"]), ("a", "b"))
    assert np.isnan(measure(one)["auroc"])
    assert np.isnan(measure(one)["specificity"])
    assert measure(one)["accuracy"] == 1


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_calibration_error_is_the_mean_distance_of_the_bins(seed: int) -> None:
    scored = scores(np.random.default_rng(seed), 70, 3)
    confidence, hit = scored.probabilities.max(1), scored.predicted == scored.labels
    expected = 0.0
    for i in range(N_BINS):
        held = (confidence >= i / N_BINS) & ((confidence < (i + 1) / N_BINS) | (i == N_BINS - 1))
        if held.any():
            expected += held.mean() * abs(hit[held].mean() - confidence[held].mean())
    assert float(ece(reliability(scored))) == pytest.approx(expected)


def test_calibrated_predictions_have_little_error_and_overconfident_ones_much() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 20_000)
    labels = (rng.uniform(size=p.size) < p).astype(int)
    subjects = np.full(p.size, "s")
    honest = Scored(labels, np.stack([1 - p, p], 1), subjects, ("a", "b"))
    vain = Scored(labels, np.stack([0 * p + 0.001, 0 * p + 0.999], 1), subjects, ("a", "b"))
    assert measure(honest)["ece"] < 0.02
    assert measure(vain)["ece"] == pytest.approx(0.249, abs=0.01)


def test_a_row_a_class_counts_it_against_the_rest() -> None:
    scored = scores(np.random.default_rng(3), 60, 4)
    for i, row in enumerate(by_class(scored)):
        one, called = scored.labels == i, scored.predicted == i
        assert row["accuracy"] == pytest.approx(sk.accuracy_score(one, called))
        assert row["precision"] == pytest.approx(sk.precision_score(one, called, zero_division=0))
        assert row["recall"] == pytest.approx(sk.recall_score(one, called))
        assert row["support"] == one.sum()


def test_labels_outside_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        Scored(np.array([2]), np.array([[0.5, 0.5]]), np.array(["s"]), ("a", "b"))
    with pytest.raises(ValueError, match="do not belong together"):
        Scored(np.array([0, 1]), np.array([[0.5, 0.5]]), np.array(["s"]), ("a", "b"))
