"""Where the next group's rate may lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from smearscan.aggregate.rates import RateModel, fit_rate


def _quantile(model: RateModel, probability: float) -> float:
    middles = np.cumsum(model.weights) - model.weights / 2
    return float(np.interp(probability, middles, model.nodes))


def test_many_groups_give_back_the_distribution_they_came_from() -> None:
    rng = np.random.default_rng(1)
    rates = rng.beta(18, 2, size=600)
    model = fit_rate(tuple((int(rng.binomial(400, rate)), 400) for rate in rates))
    assert model.mean == pytest.approx(0.9, abs=0.01)
    for probability in (0.025, 0.5, 0.975):
        assert _quantile(model, probability) == pytest.approx(beta.ppf(probability, 18, 2), abs=0.015)


def test_groups_that_agree_leave_little_room_for_the_next() -> None:
    agree = fit_rate(((90, 100),) * 40)
    differ = fit_rate(((100, 100), (80, 100)) * 20)
    assert agree.mean == pytest.approx(differ.mean)
    assert _quantile(agree, 0.975) - _quantile(agree, 0.025) < 0.08
    assert _quantile(differ, 0.975) - _quantile(differ, 0.025) > 0.25


def test_few_groups_leave_heavy_tails() -> None:
    widths = [
        _quantile(model, 0.975) - _quantile(model, 0.025)
        for model in (fit_rate(((19, 20), (95, 100), (48, 50)) * times) for times in (1, 4, 16))
    ]
    assert widths[0] > widths[1] > widths[2]


def test_one_group_alone_leaves_almost_everything_open() -> None:
    model = fit_rate(((950, 1000),))
    assert _quantile(model, 0.025) < 0.5
    assert model.variance > 0


def test_a_large_group_does_not_drown_the_others_when_groups_differ() -> None:
    model = fit_rate(((50, 100), (90, 100), (70, 100), (99_000, 100_000)))
    assert model.mean == pytest.approx((0.5 + 0.9 + 0.7 + 0.99) / 4, abs=0.02)


def test_the_weights_are_a_distribution_and_the_nodes_are_rates() -> None:
    model = fit_rate(((0, 50), (1, 60), (0, 10)))
    assert model.weights.sum() == pytest.approx(1)
    assert np.all(np.diff(model.nodes) >= 0)
    assert model.nodes[0] >= 0
    assert model.nodes[-1] <= 1


@pytest.mark.parametrize("counts", [(), ((0, 0),)])
def test_no_groups_or_no_cells_are_refused(counts: tuple) -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_rate(counts)
