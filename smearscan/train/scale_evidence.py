"""Fit what a found cell says of the scale it was found at: the weights of `smearscan.detect.evidence`.

    python -m smearscan.train.scale_evidence --fields DIR [--part train] [--most 100] [--without 575x575]

`--fields` holds images/<part> and labels/<part> in YOLO text (0 leukocyte, 1 red cell); a field's true scale is that of
its labelled red cells. Every field is searched at all scales of the ladder; the weights are those of a conditional
logit model, which makes the true scale the likeliest.

References
----------
McFadden 1974, Conditional logit analysis of qualitative choice behavior, in: Frontiers in Econometrics, 105-142
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smearscan.detect import create_detector
from smearscan.detect.base import Detector
from smearscan.detect.evidence import terms
from smearscan.detect.ladder import SCALES, climb
from smearscan.settings import DetectSettings
from smearscan.train.detector_fields import RED_CELL_UM, LabelledField, read_yolo_fields, red_cell_diameters

#: Scales this near to the true one, natural logarithm, do as well: cells are found the same.
_NEAR = 0.2
#: Penalty on the squares of standardised weights.
_RIDGE = 0.01


def field_terms(field: LabelledField, detector: Detector) -> np.ndarray:
    """What each scale of the ladder shows of each term, (scales, terms) float64."""
    found = [rung.found for rung in climb(field.rgb, detector)]
    return np.array(
        [
            terms(found[i], scale, [found[k] for k in (i - 1, i + 1) if 0 <= k < len(found)])
            for i, scale in enumerate(SCALES)
        ]
    )


def nearness(true_um_per_px: float) -> np.ndarray:
    """How much of one belongs to each scale of the ladder, (scales,) float64, sum 1."""
    weight = np.exp(-0.5 * (np.log(np.array(SCALES) / true_um_per_px) / _NEAR) ** 2)
    return weight / weight.sum()


def fit_weights(shown: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Weights (terms,) float64 that make the wanted scales likeliest.

    Parameters
    ----------
    shown
        (fields, scales, terms) float64.
    wanted
        (fields, scales) float64, each row with sum 1.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    spread = shown.reshape(-1, shown.shape[2]).std(0) + 1e-6
    standard = shown / spread

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        chances = log_softmax(standard @ weights, axis=1)
        gradient = ((np.exp(chances) - wanted)[:, :, None] * standard).sum((0, 1)) / len(shown)
        return -(wanted * chances).sum() / len(shown) + _RIDGE * weights @ weights / 2, gradient + _RIDGE * weights

    return minimize(loss, np.zeros(shown.shape[2]), jac=True, method="L-BFGS-B").x / spread


def fit(fields: Sequence[LabelledField], scales: Sequence[float], detector: Detector) -> np.ndarray:
    """Weights by these fields of known scale, µm/px."""
    shown = np.array([field_terms(field, detector) for field in fields])
    return fit_weights(shown, np.array([nearness(scale) for scale in scales]))


def main() -> None:
    """Print the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--part", default="train")
    parser.add_argument("--most", type=int, default=100, help="fields of every fourth, drawn at random")
    parser.add_argument("--without", action="append", default=[], help="a source left out, such as 575x575")
    arguments = parser.parse_args()
    settings = DetectSettings()
    fields = read_yolo_fields(arguments.fields, arguments.part)
    chosen = [
        (field, RED_CELL_UM / diameter)
        for field, diameter in zip(fields, red_cell_diameters(fields), strict=True)
        if field.source not in arguments.without
    ][::4]
    drawn = np.random.default_rng(5).permutation(len(chosen))[: arguments.most]
    chosen = [chosen[i] for i in drawn]
    weights = fit([f for f, _ in chosen], [s for _, s in chosen], create_detector(settings.detector, settings))
    print(f"{len(chosen)} fields:", tuple(float(w) for w in weights.round(2)))


if __name__ == "__main__":
    main()
