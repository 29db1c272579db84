"""The classical detector: azure contrast, watershed, the box grown to the cytoplasm. Needs no network."""

from __future__ import annotations

import numpy as np

from smearscan.detect.azure import azure_density, film_mask, nuclear_threshold, white_point
from smearscan.detect.base import FloatBox, resize_to_scale
from smearscan.detect.nuclei import Nucleus, find_nuclei

#: Cytoplasm looked for beyond the nucleus on each side, µm: a compact nucleus fills its cell, a lobed one does not.
_MARGIN_UM, _LOBED_MARGIN_UM = 2.5, 3.0
_LEAST_UM, _LOBED_LEAST_UM = 1.0, 2.0
#: A column beside the nucleus belongs to the cell while this share of it is not glass.
_MIN_FILM = 0.3
#: Nuclei larger than this are heaps of deposit or film folds, µm².
_MAX_NUCLEUS_UM2 = 900.0


class ClassicalDetector:
    """Finds leukocytes by their nuclei.

    Parameters
    ----------
    um_per_px
        Scale it works at.
    min_score
        Detections below it are not reported.
    """

    name = "classical"

    def __init__(self, um_per_px: float, min_score: float) -> None:
        self._um_per_px = um_per_px
        self._min_score = min_score

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        """Leukocytes of one image of known scale; (H, W, 3) uint8 RGB. Sorted by top, then left."""
        image, ratio = resize_to_scale(rgb, um_per_px, self._um_per_px)
        white = white_point(image)
        azure = azure_density(image, white)
        threshold = nuclear_threshold(azure)
        if threshold is None:
            return []
        film = film_mask(image, white)
        found = []
        for nucleus in find_nuclei(azure, threshold, self._um_per_px):
            score = _score(nucleus, threshold)
            if score >= self._min_score and nucleus.area_um2 <= _MAX_NUCLEUS_UM2:
                found.append((self._cell_box(nucleus, film, ratio), score))
        return found

    def _cell_box(self, nucleus: Nucleus, film: np.ndarray, ratio: tuple[float, float]) -> FloatBox:
        reach = round((_LOBED_MARGIN_UM if nucleus.n_lobes > 1 else _MARGIN_UM) / self._um_per_px)
        least = round((_LOBED_LEAST_UM if nucleus.n_lobes > 1 else _LEAST_UM) / self._um_per_px)
        top, bottom, left, right = (int(v) for v in (nucleus.top, nucleus.bottom, nucleus.left, nucleus.right))
        rows, columns = film[top:bottom], film[:, left:right]
        left, right = (
            left - _grown(rows[:, :left][:, ::-1], least, reach),
            right + _grown(rows[:, right:], least, reach),
        )
        top, bottom = (
            top - _grown(columns[:top][::-1].T, least, reach),
            bottom + _grown(columns[bottom:].T, least, reach),
        )
        return FloatBox(left * ratio[0], top * ratio[1], (right - left) * ratio[0], (bottom - top) * ratio[1])


def _grown(beyond: np.ndarray, least: int, reach: int) -> int:
    """How many columns of film follow the nucleus without a break, at least `least`, at most `reach`."""
    is_film = beyond[:, :reach].mean(0) > _MIN_FILM
    is_film[:least] = True
    return int(len(is_film) if is_film.all() else np.argmin(is_film))


def _score(nucleus: Nucleus, threshold: float) -> float:
    """0–1: size as a nucleus has it, and how far its stain stands above the line."""
    size = min(1.0, nucleus.area_um2 / 30.0)
    stain = nucleus.contrast / max(threshold, 0.05)
    return float(np.clip(size * (0.5 + stain), 0.0, 1.0))
