"""The fraction of blasts corrected for the classifier's errors, with all of its uncertainty.

A raw fraction is a false-alarm machine: at a specificity of 0.80 a healthy patient reads 20 %. Blasts are
judged among mononuclear cells while the denominator is all leukocytes, so the correction is made in
the stratum that was judged and rescaled: with a fraction μ of the leukocytes judged, called with
sensitivity s and false-alarm rate f, a blast fraction π reads q = π s + (μ − π) f.

The interval inverts the exact binomial test, as Clopper and Pearson do, averaged over where this
patient's own s and f may lie (`rates`): counting error, the finite validation and the differences
between patients in one. With a perfect classifier it is the Clopper–Pearson interval, and no blasts in n cells
never give an upper limit below that of n cells.

References
----------
Rogan & Gladen 1978, doi:10.1093/oxfordjournals.aje.a112510 (the estimate). Lang & Reiczigel 2014,
doi:10.1016/j.prevetmed.2013.09.015 (an interval with uncertain sensitivity and specificity; theirs takes
validation cells as independent, see docs/statistics.md for what that costs). Read 2002,
doi:10.1088/0954-3899/28/10/313 (tails relative to the blank, CLs).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincc

from smearscan.aggregate.differential import Tally
from smearscan.aggregate.intervals import clopper_pearson
from smearscan.aggregate.rates import RateModel, fit_rate
from smearscan.aggregate.validation import Validation
from smearscan.records import Interval

#: Confidence with which blasts are held to be no more than the mononuclear cells, beyond the interval's own.
_STRATUM_CONFIDENCE = 0.999
#: Where a reading contradicts the validation it is compared with others, each beyond the last by a seventh.
_READINGS_A_STEP = 7


@dataclass(frozen=True, slots=True)
class Correction:
    """A corrected fraction of all counted leukocytes.

    Attributes
    ----------
    interval
        Estimate clipped to 0–1 and its interval, fit to print.
    unclipped
        The estimate before clipping: may lie below 0 or above 1, and is the one without bias.
    is_possible
        False where the validation is missing or calls no more blasts than others: the estimate is then
        the raw fraction, the interval 0 to 1, and `why_not` says so.
    """

    interval: Interval
    unclipped: float
    is_possible: bool = True
    why_not: str = ""


def correct_fraction(counts: Tally, validation: Validation | None, confidence: float = 0.95) -> Correction:
    """Correct the fraction of blasts among all counted leukocytes.

    Parameters
    ----------
    counts
        Leukocytes, mononuclear cells and cells called blast.
    validation
        What was measured of the classifier; None where nothing was.
    confidence
        Of the interval.
    """
    raw = counts.n_blasts / counts.n_leukocytes if counts.n_leukocytes else 0.0
    why_not = _why_impossible(validation)
    if why_not or validation is None or not counts.n_leukocytes:
        return Correction(Interval(raw, 0.0, 1.0), raw, False, why_not or "no leukocytes were counted")
    sensitivity, false_alarms = fit_rate(validation.called_of_blasts), fit_rate(validation.called_of_others)
    unclipped = rogan_gladen(counts, sensitivity, false_alarms)
    estimate = min(1.0, max(0.0, unclipped))
    low, high = predictive_interval(counts, sensitivity, false_alarms, confidence)
    # The estimate rests on mean rates, the interval on their whole distribution: keep one inside the other.
    return Correction(Interval(estimate, min(low, estimate), max(high, estimate)), unclipped)


def rogan_gladen(counts: Tally, sensitivity: RateModel, false_alarms: RateModel) -> float:
    """The corrected fraction of all leukocytes, not clipped.

    The ratio's own bias, of the order of the validation's variance, is taken off (Taylor, second order).
    """
    if not counts.n_leukocytes:
        return 0.0
    gain = sensitivity.mean - false_alarms.mean
    read, judged = counts.n_blasts / counts.n_leukocytes, counts.n_mononuclear / counts.n_leukocytes
    fraction = (read - judged * false_alarms.mean) / gain
    bias = (fraction * (sensitivity.variance + false_alarms.variance) - judged * false_alarms.variance) / gain**2
    return fraction - bias


def predictive_interval(
    counts: Tally, sensitivity: RateModel, false_alarms: RateModel, confidence: float
) -> tuple[float, float]:
    """Fractions of all leukocytes that this reading does not contradict, lowest and highest.

    One more blast never lowers a limit (by more than a few thousandths, see `_readings`). Among readings that
    contradict the validation it could: fewer calls than blanks give may come of a patient without false alarms, a few
    more no longer. So there the upper limit is the highest of this reading and of those below it, and likewise at the
    other end.
    """
    k, judged, tail = counts.n_blasts, counts.n_mononuclear, (1 - confidence) / 2
    limits = _Limits(counts.n_leukocytes, judged, sensitivity.allowing(1.0), false_alarms.allowing(0.0), tail)
    # Beyond twice what the validation expects no reading contradicts it from this side.
    below = _readings(k) if k < 2 * judged * false_alarms.mean else [k]
    above = [judged - j for j in _readings(judged - k)] if judged - k < 2 * judged * (1 - sensitivity.mean) else [k]
    # From this reading, which mostly decides: of those that do not move the limit no root is sought.
    low, high = limits.ceiling, 0.0
    for j in above[::-1]:
        low = limits.low(j, low)
    for j in below[::-1]:
        high = limits.high(j, high)
    return low, high


def _readings(last: int) -> list[int]:
    """Whole numbers from 0 to `last`: all small ones, then some, for limits move little from one to the next."""
    found, reading = [], 0
    while reading < last:
        found.append(reading)
        reading += 1 + reading // _READINGS_A_STEP
    return [*found, last]


@dataclass(frozen=True, slots=True)
class _Limits:
    """Limits of the fraction, by the number of cells called blast.

    A reading below what blanks give is luck, not proof of a smaller fraction: each tail is taken relative to its value
    at the end of the scale (CLs), so that no blasts in n cells never say more than n cells can.
    """

    n: int
    n_judged: int
    sensitivity: RateModel
    false_alarms: RateModel
    tail: float

    def low(self, k: int, at_most: float) -> float:
        """The least fraction of which so many calls or more are not too unlikely, or `at_most` if that is less."""
        if not k:
            return 0.0
        so_many = self._chance(tabulate_tail(lambda q: betainc(k, self.n - k + 1, q), k, self.n))
        tail = self.tail * so_many(self.ceiling)
        return root_or_end(lambda fraction: so_many(fraction) - tail, 0.0, at_most)

    def high(self, k: int, at_least: float) -> float:
        """The largest of which so few are not, or `at_least` if that is more."""
        if k >= self.n:
            return self.ceiling
        so_few = self._chance(tabulate_tail(lambda q: betaincc(k + 1, self.n - k, q), k, self.n))
        tail = self.tail * so_few(0.0)
        return root_or_end(lambda fraction: so_few(fraction) - tail, self.ceiling, at_least)

    @property
    def ceiling(self) -> float:
        """No more blasts are believed in than cells that could be blasts."""
        return clopper_pearson(self.n_judged, self.n, _STRATUM_CONFIDENCE).high

    def _chance(self, binomial_tail: Callable[[np.ndarray], np.ndarray]) -> Callable[[float], float]:
        """A tail by the true fraction, averaged over where this patient's own rates may lie."""
        reads = reading(self.n_judged / self.n, self.sensitivity, self.false_alarms)
        weights = np.outer(self.sensitivity.weights, self.false_alarms.weights)
        return lambda fraction: float((weights * binomial_tail(reads(fraction))).sum())


def reading(judged: float, sensitivity: RateModel, false_alarms: RateModel) -> Callable[[float], np.ndarray]:
    """The raw fraction that a true one gives, at every pair of rates: fraction to (K, K) float64."""
    s, f = sensitivity.nodes[:, None], false_alarms.nodes[None, :]

    def at(fraction: float) -> np.ndarray:
        others = max(judged, fraction) - fraction
        return np.clip(fraction * s + others * f, 0.0, 1.0)

    return at


def tabulate_tail(tail: Callable[[np.ndarray], np.ndarray], k: int, n: int) -> Callable[[np.ndarray], np.ndarray]:
    """A binomial tail as a function of the raw fraction, evaluated some 400 times and interpolated in its logarithm.

    The table is dense within 12 standard deviations of k / n and towards 0 and 1: relative error below 1 %,
    which moves a limit by less than a thousandth of the interval's width.
    """
    centre, sd = np.arcsin(np.sqrt((k + 0.5) / (n + 1))), 0.5 / np.sqrt(n + 1)
    to_end = np.geomspace(1e-8, np.pi / 4, 60)
    angles = np.concatenate([to_end, np.pi / 2 - to_end, centre + sd * np.linspace(-12, 12, 241), [0.0, np.pi / 2]])
    angles = np.unique(angles.clip(0, np.pi / 2))
    logarithm = np.log(np.maximum(tail(np.sin(angles) ** 2), 1e-300))
    return lambda q: np.exp(np.interp(np.arcsin(np.sqrt(q)), angles, logarithm))


def root_or_end(function: Callable[[float], float], start: float, end: float) -> float:
    """Where a function that rises on the way from `start` to `end` crosses 0, or the end that it does not reach."""
    from scipy.optimize import brentq  # a quarter of a second of imports, for those who aggregate alone

    if function(start) >= 0:
        return start
    if function(end) <= 0:
        return end
    return float(brentq(function, start, end, xtol=1e-6, rtol=1e-6))


def _why_impossible(validation: Validation | None) -> str:
    if validation is None or not validation.groups:
        return (validation and validation.why_none) or "the classifier's errors were not measured"
    if not validation.called_of_blasts:
        return "the validation holds no blasts, so the sensitivity is unknown"
    if not validation.called_of_others:
        return "the validation holds no other cells, so the specificity is unknown"
    sensitivity, false_alarms = fit_rate(validation.called_of_blasts), fit_rate(validation.called_of_others)
    if sensitivity.mean <= false_alarms.mean:
        return "in the validation blasts were called no more often than other cells"
    return ""
