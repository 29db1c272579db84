"""Ensembles: sums, votes, stacks, and how far members disagree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from smearscan.models.ensemble import (
    disagreement,
    fit_stack,
    fit_weights,
    merge_classes,
    vote,
    weighted_sum,
)


def _members(n_members: int, n: int, n_classes: int, seed: int) -> np.ndarray:
    return softmax(np.random.default_rng(seed).normal(0, 2, (n_members, n, n_classes)), axis=2).astype(np.float32)


def _cross_entropy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return -float(np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-7)).mean())


def _one_good_two_noisy(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    evidence = (2 * labels - 1)[None] * np.array([[2.0], [0.0], [0.0]]) + rng.normal(0, 1, (3, n))
    return softmax(np.stack([-evidence, evidence], axis=2), axis=2), labels


def test_the_papers_weights_give_its_sum() -> None:
    members = np.array([[[0.9, 0.1]], [[0.2, 0.8]]])
    assert np.allclose(weighted_sum(members, [0.7, 0.3]), [[0.69, 0.31]])


@given(n_members=st.integers(1, 4), n_classes=st.integers(2, 4), seed=st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_every_combination_is_a_probability(n_members: int, n_classes: int, seed: int) -> None:
    members = _members(n_members, 6, n_classes, seed)
    for combined in (weighted_sum(members), vote(members)):
        assert combined.shape == (6, n_classes)
        assert np.allclose(combined.sum(1), 1, atol=1e-5)
        assert combined.min() >= 0


@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_the_order_of_members_does_not_matter(seed: int) -> None:
    members = _members(3, 5, 3, seed)
    assert np.allclose(weighted_sum(members[::-1]), weighted_sum(members), atol=1e-6)
    assert np.allclose(vote(members[::-1]), vote(members), atol=1e-6)


def test_the_majority_wins_over_one_loud_member() -> None:
    members = np.array([[[0.55, 0.45]], [[0.6, 0.4]], [[0.0, 1.0]]])
    assert weighted_sum(members).argmax() == 1
    assert np.allclose(vote(members), [[0.575, 0.425]])


def test_a_tied_vote_goes_to_the_larger_sum() -> None:
    members = np.array([[[0.6, 0.4]], [[0.1, 0.9]]])
    assert np.allclose(vote(members), [[0.1, 0.9]])


def test_members_that_agree_have_no_disagreement_and_opposites_the_most() -> None:
    same = np.array([[[0.3, 0.7]], [[0.3, 0.7]]])
    opposite = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    assert np.allclose(disagreement(same), 0)
    assert np.allclose(disagreement(opposite), 0.5)


@pytest.mark.parametrize("weights", [[1.0], [0.5, -0.5], [0.0, 0.0]])
def test_impossible_weights_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        weighted_sum(_members(2, 3, 2, 0), weights)


def test_subtypes_become_blast_or_not() -> None:
    subtype = np.array([[0.1, 0.2, 0.3, 0.4]])
    groups = {"other": ["Benign"], "blast": ["Early", "Pre", "Pro"]}
    assert np.allclose(merge_classes(subtype, ["Benign", "Early", "Pre", "Pro"], groups), [[0.1, 0.9]])


@pytest.mark.parametrize(
    "groups",
    [
        {"other": ["Benign"], "blast": ["Early", "Pre"]},
        {"other": ["Benign", "Early"], "blast": ["Early", "Pre", "Pro"]},
        {"other": [], "blast": ["Benign", "Early", "Pre", "Pro"]},
        {"other": ["Normal"], "blast": ["Early", "Pre", "Pro"]},
    ],
)
def test_groups_that_lose_or_double_a_class_are_refused(groups: dict[str, list[str]]) -> None:
    with pytest.raises(ValueError, match="share out"):
        merge_classes(np.full((1, 4), 0.25), ["Benign", "Early", "Pre", "Pro"], groups)


def test_fitted_weights_find_the_member_that_knows() -> None:
    members, labels = _one_good_two_noisy(400, seed=0)
    weights = fit_weights(members, labels)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.8
    fitted, plain = weighted_sum(members, weights.tolist()), weighted_sum(members)
    assert _cross_entropy(fitted, labels) < _cross_entropy(plain, labels)


def test_a_stack_is_better_than_the_mean_on_cells_it_has_not_seen() -> None:
    members, labels = _one_good_two_noisy(400, seed=0)
    unseen, truth = _one_good_two_noisy(400, seed=1)
    stack = fit_stack(members, labels)
    assert np.allclose(stack(unseen).sum(1), 1, atol=1e-5)
    assert _cross_entropy(stack(unseen), truth) < _cross_entropy(weighted_sum(unseen), truth)


def test_a_stack_of_one_cell_stays_near_the_mean_of_logarithms() -> None:
    members = _members(3, 50, 2, seed=0)
    stack = fit_stack(members[:, :1], np.array([0]), penalty=1e3)
    stack = type(stack)(stack.matrix, stack.offset * 0)
    assert np.allclose(stack(members), softmax(np.log(members).mean(0), axis=1), atol=0.01)


def test_labels_of_other_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        fit_weights(_members(2, 5, 2, 0), np.zeros(4, int))
