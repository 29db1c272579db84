"""Optimisers, schedules and losses against the equations they are named after."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from smearscan.train.recipes.losses import recipe_loss, symmetric_cross_entropy
from smearscan.train.recipes.optimisers import centralise, make_optimiser
from smearscan.train.recipes.recipe import LossPart, OptimiserPart, SchedulePart
from smearscan.train.recipes.schedules import Schedule


def _layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def _steps(part: OptimiserPart, n: int, gradient: float = 1.0) -> nn.Linear:
    layer = _layer()
    optimiser = make_optimiser(layer.parameters(), part)
    for _ in range(n):
        layer.weight.grad = torch.full_like(layer.weight, gradient)
        layer.bias.grad = torch.full_like(layer.bias, gradient)
        optimiser.step()
    return layer


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_centralised_gradients_have_no_mean_over_what_a_unit_sees_and_vectors_stay(seed: int) -> None:
    gradient = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    assert centralise(gradient).mean((1, 2, 3)).abs().max() < 1e-6
    assert torch.equal(centralise(gradient[0, 0, 0]), gradient[0, 0, 0])


def test_ranger_does_not_move_a_matrix_along_a_constant_gradient_but_moves_the_bias() -> None:
    start, after = _layer(), _steps(OptimiserPart(name="ranger", rate=0.01), 12)
    assert torch.allclose(start.weight, after.weight)
    assert (after.bias < start.bias - 1e-4).all()


def test_ranger_goes_half_way_back_at_every_sixth_step() -> None:
    part = OptimiserPart(name="ranger", rate=0.01)
    start, five, six = _layer().bias, _steps(part, 5).bias, _steps(part, 6).bias
    # The slow weights are laid down at the first sixth step, so the first look ahead leaves them where they are.
    twelve, eleven = _steps(part, 12).bias, _steps(part, 11).bias
    assert (six < five).all() and (five < start).all()
    assert (twelve > eleven).all(), "the twelfth step ends half way back to the sixth's"


@pytest.mark.parametrize("name", ["sgd", "adam", "radam"])
def test_the_other_optimisers_go_down_a_constant_slope(name: str) -> None:
    start, after = _layer(), _steps(OptimiserPart(name=name, rate=0.01), 10)
    assert (after.weight < start.weight).all()


def _rates(part: SchedulePart, steps_per_epoch: int, n_epochs: int) -> np.ndarray:
    optimiser = make_optimiser(_layer().parameters(), OptimiserPart(name="sgd", rate=1.0))
    schedule = Schedule(optimiser, part, 1.0, steps_per_epoch, n_epochs)
    return np.array([schedule.before_step(i) for i in range(steps_per_epoch * n_epochs)])


def test_lius_rate_warms_up_over_two_epochs_and_falls_by_a_twentieth_every_two() -> None:
    rates = _rates(SchedulePart(kind="step", factor=0.95, every_epochs=2, warmup_epochs=2), 10, 8)
    assert np.allclose(rates[:20], np.arange(1, 21) / 20)
    assert np.allclose(rates[20:40], 1.0)
    assert np.allclose(rates[40:60], 0.95)
    assert np.allclose(rates[60:80], 0.95**2)


def test_a_polynomial_rate_warms_up_and_ends_near_nothing() -> None:
    rates = _rates(SchedulePart(kind="polynomial", power=0.9, warmup_epochs=1), 10, 5)
    assert (np.diff(rates[:10]) > 0).all() and (np.diff(rates[11:]) < 0).all()
    assert rates[-1] < 0.1


def test_the_rate_of_a_step_does_not_depend_on_the_steps_asked_for_before() -> None:
    part = SchedulePart(kind="polynomial", warmup_epochs=1)
    optimiser = make_optimiser(_layer().parameters(), OptimiserPart(name="sgd", rate=1.0))
    assert Schedule(optimiser, part, 1.0, 10, 5).before_step(33) == _rates(part, 10, 5)[33]


def test_a_plateau_halves_the_rate_and_its_state_can_be_taken_up() -> None:
    part = SchedulePart(kind="plateau", factor=0.5, patience=2)
    optimiser = make_optimiser(_layer().parameters(), OptimiserPart(name="sgd", rate=1.0))
    schedule = Schedule(optimiser, part, 1.0, 10, 9)
    for _ in range(3):
        schedule.after_epoch(1.0)
    again = make_optimiser(_layer().parameters(), OptimiserPart(name="sgd", rate=1.0))
    other = Schedule(again, part, 1.0, 10, 9)
    other.load(schedule.state())
    other.after_epoch(1.0)
    assert other.before_step(40) == 0.5


@given(st.integers(0, 500))
@settings(deadline=None, max_examples=20)
def test_symmetric_cross_entropy_is_the_sum_of_both_directions(seed: int) -> None:
    draw = np.random.default_rng(seed)
    logits, labels = draw.normal(0, 2, (5, 3)), draw.integers(0, 3, 5)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    right = p[np.arange(5), labels]
    # log 0 is -4, log 1 is 0: what is reversed is four times the probability of the wrong classes
    wanted = -np.log(right).mean() + 4 * (1 - right).mean()
    targets = torch.from_numpy(np.eye(3)[labels])
    assert float(symmetric_cross_entropy(torch.from_numpy(logits), targets)) == pytest.approx(wanted, rel=1e-5)


def test_every_stream_counts_alike() -> None:
    logits = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    targets = torch.eye(2)[[0, 1, 1, 0]]
    parts = [float(recipe_loss(one[None], targets, LossPart())) for one in logits]
    assert float(recipe_loss(logits, targets, LossPart())) == pytest.approx(np.mean(parts), rel=1e-5)
