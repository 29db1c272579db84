"""The weights by which found cells name a scale: what the fit must bring out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.detect.evidence import WEIGHTS
from smearscan.detect.ladder import SCALES
from smearscan.train.scale_evidence import fit_weights, nearness


@given(st.integers(0, len(SCALES) - 1))
def test_the_true_scale_gets_most_and_all_get_one_together(step: int) -> None:
    near = nearness(SCALES[step] * 1.05)
    assert near.sum() == pytest.approx(1) and int(near.argmax()) == step


def test_a_term_that_marks_the_true_scale_gets_weight_and_noise_hardly_any() -> None:
    rng = np.random.default_rng(3)
    steps = rng.integers(0, len(SCALES), 60)
    wanted = np.array([nearness(SCALES[step]) for step in steps])
    shown = rng.normal(0, 1, (60, len(SCALES), 3))
    shown[np.arange(60), steps, 0] += 4
    shown[np.arange(60), steps, 1] -= 4
    weights = fit_weights(shown, wanted)
    assert weights[0] > 0.15 and weights[1] < -0.15 and abs(weights[2]) < 0.1
    named = (shown @ weights).argmax(1)
    assert (named == steps).mean() > 0.9


def test_there_are_as_many_weights_as_terms_and_a_sure_cell_says_more_than_a_doubtful_one() -> None:
    first, second = WEIGHTS[:2]
    assert len(WEIGHTS) == 6
    assert first * 0.25 + second * 0.25**2 > 1 > 0 > -first * 0.2 + second * 0.2**2
