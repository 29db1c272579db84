"""At which scale a field that says none is searched, when others of its size came with it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from smearscan import spotting
from smearscan.detect.base import FloatBox
from smearscan.detect.ladder import SCALES, SURE, UNSURE
from smearscan.geometry import Size
from smearscan.records import SharedScale
from smearscan.settings import Settings
from smearscan.slide.shared_scale import Reading
from smearscan.spotting import spot_leukocytes

SIDE = 120
SHARED = SharedScale(0.1, 0.03, 0.05, 10, 80)
#: Red cells are boxed wider than they are outlined: the detectors' scale is smaller by this.
BOXED = 1.08


class _Searched:
    """A detector that finds what it is told to, and the scales at which it was asked."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.found: list[tuple[FloatBox, float]] = []

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        self.at.append(um_per_px * BOXED)
        return self.found


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> _Searched:
    found = _Searched()
    monkeypatch.setattr(spotting, "create_detector", lambda *_: found)
    return found


def _search(own: Reading | None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "a.png"
    cv2.imwrite(str(path), np.full((SIDE, SIDE, 3), 200, np.uint8))
    monkeypatch.setattr(spotting, "_reading", lambda *_: own)
    spot_leukocytes(path, Settings(), None, {Size(SIDE, SIDE): SHARED})


@pytest.mark.parametrize("own", [None, Reading(0.1, 0.04, 20), Reading(0.11, 0.13, 1)])
def test_a_field_whose_red_cells_do_not_object_is_searched_at_the_shared_scale_alone(
    own: Reading | None, searched: _Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _search(own, tmp_path, monkeypatch)
    assert searched.at == [pytest.approx(SHARED.mpp)]


@pytest.mark.parametrize(
    ("own", "n_looks"), [(Reading(0.1, 0.04, 20), 1), (Reading(0.11, 0.13, 1), len(SCALES)), (None, len(SCALES))]
)
def test_a_doubtful_leukocyte_has_other_scales_tried_only_where_no_red_cell_speaks_for_the_shared_one(
    own: Reading | None, n_looks: int, searched: _Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched.found = [(FloatBox(10, 10, 90, 90), 0.3)]
    _search(own, tmp_path, monkeypatch)
    assert searched.at[0] == pytest.approx(SHARED.mpp) and len(searched.at) == n_looks


def test_a_field_whose_red_cells_object_is_searched_at_its_own_scale(
    searched: _Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _search(Reading(0.2, SURE / 2, 40), tmp_path, monkeypatch)
    assert searched.at == [pytest.approx(0.2)]


def test_a_single_odd_cell_does_not_outweigh_those_of_the_others_but_has_all_scales_tried_where_nothing_is_found(
    searched: _Searched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _search(Reading(0.5, UNSURE, 1), tmp_path, monkeypatch)
    assert searched.at[0] == pytest.approx(SHARED.mpp) and len(searched.at) == len(SCALES)
