"""Find leukocytes on an image whose scale nobody knows: try several, keep the likeliest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.detect.base import Detector, FloatBox
from smearscan.detect.evidence import again, log_likelihood

#: Scales tried where nothing is known, µm/px: every camera on every objective from 10× to 100×, and pictures of the
#: finest that were enlarged since.
STEP = 1.3
SCALES = tuple(0.04 * STEP**step for step in range(-2, 13))
#: Relative error of a measured scale below which it holds where nothing is found, and from which on it is not even
#: tried: it rests on a single cell, which is as often something else.
SURE, UNSURE = 0.05, 0.1
#: What is found at a measured scale must say this much for it: a third of what one sure leukocyte of usual size does.
_CONVINCING = 0.5
#: So many images look best at a scale that is not theirs, and so many measurements count as of something else: sure
#: ones, those of a few cells and those of one, which settle what the leukocytes leave open and no more.
_WRONG_LOOKS, _WRONG_SURE, _WRONG_FEW, _WRONG_ONE = 0.05, 0.2, 0.75, 0.9
#: What a right one is off by all the same, natural logarithm: patients differ, and a step is 0.26.
_MEASURE_SD = 0.15


@dataclass(frozen=True, slots=True)
class Rung:
    """What was found at one scale, boxes in px of the image, and the logarithm of the scale's likelihood by it."""

    um_per_px: float
    found: tuple[tuple[FloatBox, float], ...]
    log_likelihood: float


def detect_image(
    rgb: np.ndarray, detector: Detector, um_per_px: float | None = None, relative_sd: float = 0.0
) -> list[tuple[FloatBox, float]]:
    """Leukocytes of one image, whether or not its scale is known; it never refuses.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.
    um_per_px
        Its scale, None where unknown.
    relative_sd
        How unsure that is; 0 where it is given and no guess.

    Returns
    -------
    Boxes in px of `rgb` with scores, sorted by top, then left. Where no scale is known, or what is found at a measured
    one hardly speaks for it, those at the likeliest of a ladder of scales that a scale beside it finds too; scales near
    the measured one are likelier than others, the more so if it is sure.
    """
    begun = None
    if um_per_px is not None and relative_sd < UNSURE:
        found = detector.detect(rgb, um_per_px)
        if relative_sd == 0 or _is_convincing(found, um_per_px, relative_sd):
            return found
        begun = um_per_px, found
    rungs = climb(rgb, detector, begun)
    chances = look(rungs)
    if um_per_px is not None:
        chances = chances + _measured(rungs, um_per_px, relative_sd)
    return _confirmed(rungs, int(np.argmax(chances)))


def _is_convincing(found: Sequence[tuple[FloatBox, float]], um_per_px: float, relative_sd: float) -> bool:
    return log_likelihood(found, um_per_px, []) >= _CONVINCING if found else relative_sd < SURE


def climb(
    rgb: np.ndarray, detector: Detector, begun: tuple[float, Sequence[tuple[FloatBox, float]]] | None = None
) -> list[Rung]:
    """Search an image (H, W, 3) uint8 RGB at each of `SCALES`.

    A search already made, µm/px and what it found, is not made again: the scales are moved so that it is one of them.
    """
    scales, known = (SCALES, {}) if begun is None else (_through(begun[0]), {begun[0]: begun[1]})
    found = [known[scale] if scale in known else detector.detect(rgb, scale) for scale in scales]
    return [
        Rung(scale, tuple(found[i]), log_likelihood(found[i], scale, _beside(found, i)))
        for i, scale in enumerate(scales)
    ]


def _through(um_per_px: float) -> list[float]:
    """`SCALES` moved by half a step at most, so that one of them is this, if it is about as large as any."""
    step = math.log(um_per_px / SCALES[0]) / math.log(STEP)
    return [um_per_px * STEP ** (i - round(step)) for i in range(len(SCALES))]


def look(rungs: Sequence[Rung]) -> np.ndarray:
    """Logarithm of the probability of each scale by the cells found, (N,) float64, no scale being preferred.

    A small share is left to every scale, so that one odd image among several never outweighs them.
    """
    raw = np.array([rung.log_likelihood for rung in rungs])
    chances = np.exp(raw - raw.max())
    return np.log((1 - _WRONG_LOOKS) * chances / chances.sum() + _WRONG_LOOKS / len(raw))


def _measured(rungs: Sequence[Rung], um_per_px: float, relative_sd: float) -> np.ndarray:
    """Logarithm of the probability of each scale by a measurement that may be of something else, (N,) float64."""
    wrong = _WRONG_SURE if relative_sd < SURE else _WRONG_FEW if relative_sd < UNSURE else _WRONG_ONE
    near = np.exp(-0.5 * (np.log([rung.um_per_px / um_per_px for rung in rungs]) / _MEASURE_SD) ** 2)
    return np.log((1 - wrong) * near / max(near.sum(), 1e-9) + wrong / len(near))


def _beside(found: Sequence[Sequence[tuple[FloatBox, float]]], i: int) -> list[Sequence[tuple[FloatBox, float]]]:
    return [found[k] for k in (i - 1, i + 1) if 0 <= k < len(found)]


def _confirmed(rungs: Sequence[Rung], i: int) -> list[tuple[FloatBox, float]]:
    """Cells of one scale that a scale beside it finds too: what is no leukocyte mostly comes and goes."""
    found, beside = rungs[i].found, _beside([rung.found for rung in rungs], i)
    if not beside:
        return list(found)
    is_seen = np.max([again(found, other) for other in beside], axis=0) > 0
    return [cell for cell, is_kept in zip(found, is_seen, strict=True) if is_kept]
