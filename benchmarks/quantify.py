"""Would a quantifier on calibrated probabilities (Saerens, Latinne & Decaestecker 2002) do better than the correction?

    python benchmarks/quantify.py [--patients 200] [--seed 1]

Scores of others and blasts are normal, 3.3 standard deviations apart, and every group (a subject, a stain) moves
both by its own amount. Against a validation of 15 groups a patient is estimated three ways on the same cells:

- `correction`: cells called at the middle, counts of groups, as smearscan prints it;
- `EM, cells`: calibrated probabilities, prior found by EM, bootstrap over cells and validation groups;
- `EM, groups`: the same estimate, its interval from pseudo-patients put together of one validation group each.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

from smearscan.aggregate.correct import correct_fraction
from smearscan.aggregate.differential import Tally
from smearscan.aggregate.validation import Validation, ValidationGroup

FRACTIONS = (0.0, 0.01, 0.05, 0.20, 0.50)
DISTANCE, N_GROUPS, CELLS, PATIENT_CELLS, REPLICATES = 3.3, 15, 150, 300, 100


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of a validation: (groups, cells) of blasts and of others."""

    blasts: np.ndarray
    others: np.ndarray


def draw_validation(rng: np.random.Generator, shift: float) -> Scores:
    """Groups of one kind each, moved by their own amount."""
    moves = shift * rng.standard_normal((2, N_GROUPS, 1))
    cells = rng.standard_normal((2, N_GROUPS, CELLS)) + moves
    return Scores(cells[0] + DISTANCE, cells[1])


def calibrate(blasts: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Slope and offset of the log likelihood ratio, both kinds normal with the same spread."""
    spread = (blasts.var() + others.var()) / 2
    slope = (blasts.mean() - others.mean()) / spread
    return slope, -slope * (blasts.mean() + others.mean()) / 2


def find_prior(scores: np.ndarray, slope: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Fraction of blasts (R,) of each row of (R, cells): the fixed point of EM, reached by Newton's steps."""
    gain = np.exp(np.clip(slope[:, None] * scores + offset[:, None], -40, 40)) - 1
    prior = np.full(len(scores), 0.2)
    for _ in range(15):
        share = gain / (1 + prior[:, None] * gain)
        step = share.sum(axis=1) / (share**2).sum(axis=1)
        # Never more than half of the way to either end: the likelihood is flat there.
        prior = np.clip(prior + step, prior / 2, (1 + prior) / 2)
    return np.where(prior < 1e-4, 0.0, prior)


def em_over_cells(rng: np.random.Generator, validation: Scores, cells: np.ndarray) -> tuple[float, float]:
    """Bootstrap over the patient's cells and the validation's groups."""
    fits = np.array(
        [
            calibrate(*(kind[rng.integers(0, N_GROUPS, N_GROUPS)] for kind in (validation.blasts, validation.others)))
            for _ in range(REPLICATES)
        ]
    )
    drawn = cells[rng.integers(0, len(cells), (REPLICATES, len(cells)))]
    low, high = np.quantile(find_prior(drawn, fits[:, 0], fits[:, 1]), [0.025, 0.975])
    return float(low), float(high)


def em_over_groups(
    rng: np.random.Generator, validation: Scores, cells: np.ndarray, estimate: float
) -> tuple[float, float]:
    """Errors on pseudo-patients, each of one group of blasts and one of others, taken off the estimate."""
    slope, offset = calibrate(validation.blasts, validation.others)
    groups = rng.integers(0, N_GROUPS, (2, REPLICATES, 1))
    places = rng.integers(0, CELLS, (REPLICATES, len(cells)))
    is_blast = rng.random(places.shape) < estimate
    drawn = np.where(is_blast, validation.blasts[groups[0], places], validation.others[groups[1], places])
    errors = find_prior(drawn, np.full(REPLICATES, slope), np.full(REPLICATES, offset)) - estimate
    low, high = estimate - np.quantile(errors, [0.975, 0.025])
    return max(0.0, float(low)), min(1.0, float(high))


def count_groups(validation: Scores) -> Validation:
    """Cells called at the middle, as a card holds them."""
    groups = [ValidationGroup("b", CELLS, int((g > DISTANCE / 2).sum()), 0, 0) for g in validation.blasts]
    groups += [ValidationGroup("o", 0, 0, CELLS, int((g > DISTANCE / 2).sum())) for g in validation.others]
    return Validation(tuple(groups))


def simulate(shift: float, fraction: float, n_patients: int, seed: int) -> np.ndarray:
    """(patients, 3 methods, 3): whether it covers, width, error of the estimate."""
    rng, rows = np.random.default_rng(seed), []
    for _ in range(n_patients):
        validation = draw_validation(rng, shift)
        is_blast = rng.random(PATIENT_CELLS) < fraction
        moves = shift * rng.standard_normal(2)
        cells = rng.standard_normal(PATIENT_CELLS) + np.where(is_blast, DISTANCE + moves[0], moves[1])
        counts = Tally(PATIENT_CELLS, PATIENT_CELLS, int((cells > DISTANCE / 2).sum()))
        correction = correct_fraction(counts, count_groups(validation))
        slope, offset = calibrate(validation.blasts, validation.others)
        estimate = float(find_prior(cells[None], np.array([slope]), np.array([offset]))[0])
        limits = (
            (correction.interval.low, correction.interval.high, correction.unclipped),
            (*em_over_cells(rng, validation, cells), estimate),
            (*em_over_groups(rng, validation, cells, estimate), estimate),
        )
        rows.append([(low <= fraction <= high, high - low, at - fraction) for low, high, at in limits])
    return np.array(rows)


def main() -> None:
    """Print one Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print("| groups move by | true | correction | EM, cells | EM, groups |\n|---|---|---|---|---|")
    for shift in (0.0, 0.5):
        for fraction in FRACTIONS:
            found = simulate(shift, fraction, arguments.patients, arguments.seed)
            covers, widths, bias = found[:, :, 0].mean(0), np.median(found[:, :, 1], 0), found[:, :, 2].mean(0)
            cells = [f"{c:.3f}, {w:.3f}, {b:+.4f}" for c, w, b in zip(covers, widths, bias, strict=True)]
            print(f"| {shift} | {fraction:.0%} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
