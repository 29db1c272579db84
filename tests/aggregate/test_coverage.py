"""Simulated patients of known fraction: the corrected interval covers, the unclipped estimate has no bias.

The simulation is that of benchmarks/coverage.py, whose full table stands in docs/statistics.md.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

_SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    """The benchmark script as a module."""
    spec = importlib.util.spec_from_file_location("coverage_benchmark", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _check(coverage: ModuleType, name: str, n_patients: int, seed: int, has_even_errors: bool = True) -> None:
    scenario = next(s for s in coverage.SCENARIOS if s.name == name)
    found = coverage.simulate(scenario, n_patients, seed)
    covers = found.covers[:, :, 0].mean(axis=0)
    assert (covers >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / n_patients)).all(), covers
    if not has_even_errors:
        return
    errors = found.errors.mean(axis=0), found.errors.std(axis=0) / np.sqrt(n_patients)
    # The fractions share their validations and so their luck: three errors, not two, for six of them.
    assert (np.abs(errors[0]) <= 3 * errors[1]).all(), errors


@pytest.mark.parametrize("name", ["4 groups", "specificity 0.80"])
def test_the_corrected_interval_covers_and_the_estimate_has_no_bias(coverage: ModuleType, name: str) -> None:
    _check(coverage, name, n_patients=60, seed=11)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["10 groups", "rare alarms", "logit-normal rates"])
def test_it_covers_in_longer_runs_and_where_rates_are_of_another_shape(coverage: ModuleType, name: str) -> None:
    # Log-normal false alarms come so rarely high that a few hundred patients have no normal Monte Carlo error.
    _check(coverage, name, n_patients=150, seed=12, has_even_errors=name != "logit-normal rates")


def test_taking_cells_as_independent_would_not_cover(coverage: ModuleType) -> None:
    """What the groups are for: the same draws, cells of all groups pooled, fall short."""
    scenario = next(s for s in coverage.SCENARIOS if s.name == "30 groups")
    found = coverage.simulate(scenario, 50, 11)
    assert found.covers[:, :, 1].mean() < 0.85 < found.covers[:, :, 0].mean()
