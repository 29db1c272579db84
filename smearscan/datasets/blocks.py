"""Blocks of neighbouring file numbers for sets without subjects: neighbours look like one patient.

Whole stretches of numbers are held back, and a gap on either side of each is left out of training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from smearscan.datasets.class_folders import places_of
from smearscan.datasets.samples import Sample

Ranges = tuple[tuple[int, int], ...]

#: Taleqani's stretches that nothing here was ever trained on.
TALEQANI_TEST: Mapping[str, Ranges] = MappingProxyType(
    {
        "Benign": ((1, 45), (409, 453)),
        "Early": ((1, 70), (400, 460), (817, 886)),
        "Pre": ((1, 70), (400, 460), (797, 866)),
        "Pro": ((1, 60), (330, 390), (664, 723)),
    }
)
GAP = 50
#: Between training and validation, which only chooses an epoch, half of it does.
VALIDATION_GAP = 25
_VALIDATION_SHARE = 0.18
#: Where the stretches of other sets lie, as shares of a class's numbers.
_SHARES = ((0.0, 0.07), (0.465, 0.535), (0.93, 1.0))
#: A small class cannot afford gaps of fifty: at most this share of its numbers each.
_GAP_SHARE = 0.05

SIDES = ("train", "validation", "test", "left_out")


def sides_by_blocks(samples: Sequence[Sample], test: Mapping[str, Ranges] | None = None) -> list[str]:
    """Side of each sample: `train`, `validation`, `test` or `left_out` (inside a gap).

    Parameters
    ----------
    samples
        Labelled, of a set without subjects.
    test
        File numbers held back by class, first and last included; None takes a stretch at both ends and in the
        middle of each class, 21 % of its numbers.
    """
    sides = [""] * len(samples)
    for label in sorted({sample.label for sample in samples}):
        at = [i for i, sample in enumerate(samples) if sample.label == label]
        places = places_of([Path(samples[i].path) for i in at], is_numbered=test is not None)
        first, last = min(places), max(places)
        span = last - first + 1
        ranges = (
            test[label] if test else tuple((first + round(a * span), first + round(b * span) - 1) for a, b in _SHARES)
        )
        gap = GAP if test else min(GAP, round(_GAP_SHARE * span))
        side_of = _sides(first, last, ranges, gap)
        for i, place in zip(at, places, strict=True):
            sides[i] = side_of[place]
    return sides


def _sides(first: int, last: int, test: Ranges, gap: int) -> dict[int, str]:
    """Side of every number. Validation is the beginning of each stretch left for training."""
    near = {n for low, high in test for n in range(low - gap, high + gap + 1)}
    side = dict.fromkeys(range(first, last + 1), "left_out")
    side |= {n: "test" for low, high in test for n in range(low, high + 1)}
    for stretch in _stretches([n for n in range(first, last + 1) if n not in near]):
        n_validation = round(_VALIDATION_SHARE * len(stretch))
        n_gap = min(VALIDATION_GAP, round(gap / GAP * VALIDATION_GAP))
        for i, n in enumerate(stretch):
            side[n] = "validation" if i < n_validation else "left_out" if i < n_validation + n_gap else "train"
    return side


def _stretches(numbers: list[int]) -> list[list[int]]:
    out: list[list[int]] = []
    for n in numbers:
        if out and n == out[-1][-1] + 1:
            out[-1].append(n)
        else:
            out.append([n])
    return out
