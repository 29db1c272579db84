"""Does the corrected 95 % interval cover? Simulated patients of known fraction, as docs/statistics.md reports.

    python benchmarks/coverage.py [--patients 1000] [--seed 1]

In every scenario a validation is drawn again and again (groups with rates of their own), so that its own
uncertainty is part of it; against each, one new patient of every true fraction, whose rates are drawn from the
same distribution as the groups'.

Compared on the same draws: `groups` is what smearscan prints; `pooled` is Lang & Reiczigel (2014), which
takes validation cells as independent; `count` is the exact interval of the raw fraction.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from smearscan.aggregate.correct import correct_fraction
from smearscan.aggregate.differential import Tally
from smearscan.aggregate.intervals import clopper_pearson
from smearscan.aggregate.validation import Validation, ValidationGroup

FRACTIONS = (0.0, 0.005, 0.01, 0.05, 0.20, 0.50)
Draw = Callable[[np.random.Generator, int], np.ndarray]


def beta_rates(mean: float, sd: float) -> Draw:
    """Rates as the method supposes them."""
    size = mean * (1 - mean) / sd**2 - 1
    return lambda rng, n: rng.beta(mean * size, (1 - mean) * size, n)


def logit_normal_rates(centre: float, sd: float) -> Draw:
    """Rates of another shape than the method supposes."""
    shift = np.log(centre / (1 - centre))
    return lambda rng, n: 1 / (1 + np.exp(-(shift + sd * rng.standard_normal(n))))


def two_kinds(usual: float, odd: float, share: float) -> Draw:
    """Most groups alike, some quite different: the shape that fits a beta worst."""
    return lambda rng, n: np.where(rng.random(n) < share, odd, usual)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A classifier, the validation it had, and the patients it meets."""

    name: str
    sensitivity: Draw
    false_alarms: Draw
    n_groups: int
    cells_per_group: int
    n_leukocytes: int
    judged: float


GOOD = beta_rates(0.93, 0.05), beta_rates(0.03, 0.03)
SCENARIOS = (
    Scenario("4 groups", *GOOD, 4, 200, 500, 0.5),
    Scenario("10 groups", *GOOD, 10, 200, 500, 0.5),
    Scenario("30 groups", *GOOD, 30, 200, 500, 0.5),
    Scenario("30 groups, 5000 cells", *GOOD, 30, 200, 5000, 0.3),
    Scenario("specificity 0.80", beta_rates(0.95, 0.03), beta_rates(0.20, 0.08), 15, 100, 1000, 0.5),
    Scenario("rare alarms", beta_rates(0.90, 0.08), beta_rates(0.005, 0.008), 15, 300, 1000, 0.4),
    Scenario("logit-normal rates", logit_normal_rates(0.95, 1.0), logit_normal_rates(0.02, 1.0), 15, 200, 500, 0.5),
    Scenario("one group in ten odd", two_kinds(0.95, 0.6, 0.1), two_kinds(0.02, 0.2, 0.1), 15, 200, 500, 0.5),
)


def draw_validation(rng: np.random.Generator, scenario: Scenario) -> Validation:
    """Groups of unequal size, half of them of blasts and half of others."""
    groups = []
    for kind, draw in (("b", scenario.sensitivity), ("o", scenario.false_alarms)):
        for i, rate in enumerate(draw(rng, scenario.n_groups)):
            n = int(rng.integers(scenario.cells_per_group // 4, 2 * scenario.cells_per_group))
            called = int(rng.binomial(n, rate))
            groups.append(ValidationGroup(f"{kind}{i}", *((n, called, 0, 0) if kind == "b" else (0, 0, n, called))))
    return Validation(tuple(groups))


def draw_patient(rng: np.random.Generator, scenario: Scenario, fraction: float) -> Tally:
    """Cells of a patient with rates of their own and this true fraction of blasts."""
    judged = max(scenario.judged, fraction)
    blasts, others, _ = rng.multinomial(scenario.n_leukocytes, [fraction, judged - fraction, 1 - judged])
    called = rng.binomial(blasts, scenario.sensitivity(rng, 1)[0])
    called += rng.binomial(others, scenario.false_alarms(rng, 1)[0])
    return Tally(scenario.n_leukocytes, int(blasts + others), int(called))


def pooled_interval(counts: Tally, validation: Validation) -> tuple[float, float]:
    """Lang & Reiczigel's interval within the judged stratum, rescaled, cells of all groups pooled."""
    z = float(norm.ppf(0.975))
    (called, blasts), (alarms, others) = (
        np.sum(c, axis=0) for c in (validation.called_of_blasts, validation.called_of_others)
    )
    judged = max(1, counts.n_mononuclear)
    s, f = (called + 1) / (blasts + 2), (alarms + 1) / (others + 2)
    q = (counts.n_blasts + z**2 / 2) / (judged + z**2)
    p = (q - f) / (s - f)
    variance = (
        q * (1 - q) / (judged + z**2) + (1 - p) ** 2 * f * (1 - f) / (others + 2) + p**2 * s * (1 - s) / (blasts + 2)
    )
    centre = p + 2 * z**2 * (p * s * (1 - s) / (blasts + 2) - (1 - p) * f * (1 - f) / (others + 2))
    half = z * np.sqrt(variance) / (s - f)
    scale = counts.n_mononuclear / counts.n_leukocytes
    low, high = (float(np.clip(x, 0, 1)) * scale for x in (centre - half, centre + half))
    return low, high


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one scenario gave: (patients, fractions, 3) for groups, pooled, count; errors (patients, fractions)."""

    covers: np.ndarray
    widths: np.ndarray
    errors: np.ndarray


def simulate(scenario: Scenario, n_patients: int, seed: int, fractions: tuple[float, ...] = FRACTIONS) -> Found:
    """Draw validations, and for each one new patient of every fraction."""
    rng = np.random.default_rng(seed)
    covers = np.zeros((n_patients, len(fractions), 3), bool)
    widths, errors = np.zeros(covers.shape), np.zeros(covers.shape[:2])
    for row in range(n_patients):
        validation = draw_validation(rng, scenario)
        for column, fraction in enumerate(fractions):
            counts = draw_patient(rng, scenario, fraction)
            corrected = correct_fraction(counts, validation)
            raw = clopper_pearson(counts.n_blasts, counts.n_leukocytes)
            own = corrected.interval.low, corrected.interval.high
            limits = np.array([own, pooled_interval(counts, validation), (raw.low, raw.high)])
            covers[row, column] = (limits[:, 0] <= fraction) & (fraction <= limits[:, 1])
            widths[row, column] = limits[:, 1] - limits[:, 0]
            errors[row, column] = corrected.unclipped - fraction
    return Found(covers, widths, errors)


def print_rows(scenario: Scenario, found: Found) -> None:
    """One Markdown row for every fraction."""
    n = len(found.covers)
    for column, fraction in enumerate(FRACTIONS):
        own, pooled, count = found.covers[:, column].mean(axis=0)
        width, bias = np.median(found.widths[:, column, 0]), found.errors[:, column].mean()
        error = found.errors[:, column].std() / np.sqrt(n)
        print(
            f"| {scenario.name} | {fraction:.1%} | {own:.3f} | {width:.3f} | {bias:+.4f} ± {error:.4f} |"
            f" {pooled:.3f} | {count:.3f} |",
            flush=True,
        )


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=1000, help="of each fraction in each scenario")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"{arguments.patients} patients a row, seed {arguments.seed}\n")
    print("| scenario | true | covers | median width | bias ± its error | pooled covers | count covers |")
    print("|---|---|---|---|---|---|---|")
    for scenario in SCENARIOS:
        print_rows(scenario, simulate(scenario, arguments.patients, arguments.seed))


if __name__ == "__main__":
    main()
