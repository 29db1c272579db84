"""Temperature scaling finds the temperature that was put in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from smearscan.models.calibrate import MAX_TEMPERATURE, MIN_TEMPERATURE, fit_temperature


def _cells(n: int, temperature: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are too sharp by `temperature`, and labels drawn from the true probabilities."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, (n, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(true, axis=1)])
    return true * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_comes_out(temperature: float) -> None:
    logits, labels = _cells(4000, temperature, seed=1)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.1)


@given(seed=st.integers(0, 99), temperature=st.floats(0.3, 5))
@settings(max_examples=20, deadline=None)
def test_no_temperature_nearby_is_better(seed: int, temperature: float) -> None:
    logits, labels = _cells(200, temperature, seed)

    def loss(t: float) -> float:
        return -float(np.take_along_axis(log_softmax(logits / t, axis=1), labels[:, None], 1).mean())

    best = fit_temperature(logits, labels)
    assert loss(best) <= min(loss(best * 0.97), loss(best * 1.03)) + 1e-9


def test_cells_that_are_all_right_or_all_wrong_stay_within_bounds() -> None:
    logits = np.eye(2)[[0, 1, 0]] * 5
    assert MIN_TEMPERATURE <= fit_temperature(logits, np.array([0, 1, 0])) < 0.5
    assert fit_temperature(logits, np.array([1, 0, 1])) == pytest.approx(MAX_TEMPERATURE)


def test_a_cell_of_weight_two_counts_as_two() -> None:
    logits, labels = _cells(50, 2.0, seed=3)
    twice = np.concatenate([np.arange(50), np.arange(10)])
    weights = np.where(np.arange(50) < 10, 2.0, 1.0)
    assert fit_temperature(logits, labels, weights) == pytest.approx(
        fit_temperature(logits[twice], labels[twice]), rel=1e-4
    )


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((0, 2)), np.zeros(0, int)),
        (np.zeros((3, 2)), np.zeros(2, int)),
        (np.full((3, 2), np.nan), np.zeros(3, int)),
    ],
)
def test_what_does_not_belong_together_is_refused(logits: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"belong together|finite"):
        fit_temperature(logits, labels)
