"""Scales of images that say none: what found cells say of a scale, for one image and for several together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from drawn_film import draw_film
from hypothesis import given
from hypothesis import strategies as st

from smearscan.detect import create_detector, detect_image
from smearscan.detect.base import FloatBox
from smearscan.detect.evidence import again, log_likelihood
from smearscan.detect.ladder import SCALES, STEP, SURE, UNSURE, climb
from smearscan.detect.pooled_scale import pool_scale
from smearscan.settings import DetectSettings
from smearscan.train.detector_fields import read_yolo_fields

Cells = list[tuple[FloatBox, float]]


def _cells(*scores: float, side: float = 13.0, x: float = 0.0) -> Cells:
    """Cells in a row, apart from one another."""
    return [(FloatBox(x + 50.0 * i, 0.0, side, side), score) for i, score in enumerate(scores)]


class Scripted:
    """A detector that finds what it was told at each scale, and remembers at which it was asked."""

    name = "scripted"

    def __init__(self, at: dict[int, Cells]) -> None:
        self._at, self.asked = at, []

    def detect(self, rgb: np.ndarray, um_per_px: float) -> Cells:
        self.asked.append(um_per_px)
        return self._at.get(round(math.log(um_per_px / SCALES[0]) / math.log(STEP)), [])


def _leukocyte(step: int, reach: int = 2) -> dict[int, Cells]:
    """One sure leukocyte, 13 µm wide at this step of the ladder and found at those around it too."""
    side = 13.0 / SCALES[step]
    return {k: _cells(0.88 - 0.03 * abs(k - step), side=side) for k in range(step - reach, step + reach + 1)}


RGB = np.zeros((4, 4, 3), np.uint8)


def test_a_sure_cell_of_the_usual_size_speaks_for_a_scale_and_doubtful_ones_against() -> None:
    sure, doubtful = _cells(0.88), _cells(0.4, 0.35, 0.45, 0.4)
    assert log_likelihood(sure, 1.0, [sure, sure]) > 1
    assert log_likelihood(doubtful, 1.0, [doubtful]) < 0
    assert log_likelihood([], 1.0, [sure]) == 0


@given(st.floats(0.6, 0.95), st.floats(-1.2, 1.2))
def test_no_size_is_likelier_than_about_the_usual_one(score: float, off: float) -> None:
    def of(size_um: float) -> float:
        cells = _cells(score, side=size_um)
        return log_likelihood(cells, 1.0, [cells])

    best = max(of(13.0 * math.exp(x)) for x in (-0.2, -0.1, 0.0, 0.1, 0.2))
    assert of(13.0 * math.exp(off)) <= best + 0.05


def test_a_cell_that_no_scale_beside_finds_says_less() -> None:
    cells = _cells(0.85)
    assert log_likelihood(cells, 1.0, [cells, cells]) > log_likelihood(cells, 1.0, [cells, []])


def test_twenty_cells_say_more_than_one_but_not_twenty_times_as_much() -> None:
    one, many = _cells(0.85), _cells(*[0.85] * 20)
    says = log_likelihood(one, 1.0, [one])
    assert says < log_likelihood(many, 1.0, [many]) < 10 * says


def test_the_score_elsewhere_is_that_of_the_box_that_overlaps() -> None:
    found, beside = _cells(0.9, 0.8, 0.7), [*_cells(0.6, x=50.0), *_cells(0.3, x=107.0)]
    assert again(found, beside).tolist() == [0.0, 0.6, 0.0]
    assert again(found, []).tolist() == [0.0, 0.0, 0.0] and again([], beside).shape == (0,)


@pytest.mark.parametrize("step", [1, 4, 8, 11, 13])
def test_one_leukocyte_outweighs_a_crowd_of_doubtful_ones_at_a_coarser_scale(step: int) -> None:
    crowd = {k: _cells(*[0.65] * 12, side=13.0 / SCALES[k]) for k in range(step + 4, len(SCALES))}
    found = detect_image(RGB, Scripted({**_leukocyte(step), **crowd}))
    assert len(found) == 1 and found[0][0].width == pytest.approx(13.0 / SCALES[step])


def test_a_cell_that_only_one_scale_shows_is_left_out() -> None:
    at = _leukocyte(5)
    at[5] = [*at[5], *_cells(0.5, side=30.0, x=900.0)]
    assert len(detect_image(RGB, Scripted(at))) == 1


def test_a_given_scale_is_the_only_one_searched_whatever_is_found() -> None:
    detector = Scripted({8: _cells(0.3, 0.3, 0.3, side=40.0)})
    assert len(detect_image(RGB, detector, SCALES[8])) == 3
    assert detector.asked == [SCALES[8]]


def test_a_measured_scale_stands_if_what_is_found_at_it_looks_right() -> None:
    for relative_sd in (SURE / 2, (SURE + UNSURE) / 2):
        detector = Scripted(_leukocyte(5))
        assert len(detect_image(RGB, detector, SCALES[5], relative_sd)) == 1
        assert detector.asked == [SCALES[5]]


def test_where_what_is_found_looks_odd_an_unsure_scale_gives_way_and_a_sure_one_only_to_those_beside() -> None:
    odd = {**_leukocyte(5), 10: _cells(0.6, side=20.0), 11: _cells(0.4, 0.3, side=30.0)}
    unsure, sure = Scripted(odd), Scripted(odd)
    found = detect_image(RGB, unsure, SCALES[11], (SURE + UNSURE) / 2)
    assert [box.width for box, _ in found] == pytest.approx([13.0 / SCALES[5]])
    assert all(box.width in (20.0, 30.0) for box, _ in detect_image(RGB, sure, SCALES[11], SURE / 2))
    assert len(unsure.asked) == len(sure.asked) == len(SCALES)


def test_where_nothing_is_found_a_sure_scale_stands_and_an_unsure_one_does_not() -> None:
    sure, unsure = Scripted(_leukocyte(5)), Scripted(_leukocyte(5))
    assert detect_image(RGB, sure, SCALES[11], SURE / 2) == []
    assert len(detect_image(RGB, unsure, SCALES[11], (SURE + UNSURE) / 2)) == 1


@pytest.mark.parametrize("relative_sd", [SURE / 2, (SURE + UNSURE) / 2, UNSURE + 0.03])
def test_where_scales_look_alike_the_measured_one_is_taken_however_unsure(relative_sd: float) -> None:
    alike = {k: _cells(0.6, side=11.0 / SCALES[k]) for k in range(len(SCALES))}
    for step in (3, 9):
        found = detect_image(RGB, Scripted(alike), SCALES[step], relative_sd)
        assert [box.width for box, _ in found] == pytest.approx([11.0 / SCALES[step]])


def test_a_scale_that_rests_on_next_to_nothing_is_not_even_tried() -> None:
    detector = Scripted(_leukocyte(5))
    assert detect_image(RGB, detector, 0.77, UNSURE) == detect_image(RGB, Scripted(_leukocyte(5)))
    assert detector.asked == list(SCALES)


def test_an_image_of_red_cells_alone_holds_nothing_though_nobody_knows_its_scale() -> None:
    rgb, _ = draw_film(70, 70, [], 0.2)
    assert detect_image(rgb, create_detector("yolo", DetectSettings())) == []


def test_the_ladder_names_about_the_scale_a_film_was_drawn_at() -> None:
    rgb, _ = draw_film(75, 75, [(20.0, 22.0), (52.0, 30.0), (33.0, 60.0)], 0.2)
    rungs = climb(rgb, create_detector("yolo", DetectSettings()))
    best = max(rungs, key=lambda rung: rung.log_likelihood)
    assert 0.2 / 1.6 < best.um_per_px < 0.2 * 1.6


def _look(step: float, sureness: float = 2.0) -> np.ndarray:
    chances = np.exp(-sureness * np.abs(np.arange(len(SCALES)) - step))
    return np.log(0.95 * chances / chances.sum() + 0.05 / len(SCALES))


@given(
    st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=12),
    st.integers(1, 11),
    st.randoms(use_true_random=False),
)
def test_images_of_one_scale_share_one_whatever_their_order(offs: Sequence[float], step: int, random: object) -> None:
    looks = [_look(step + off) for off in offs]
    pooled = pool_scale(looks)
    assert pooled is not None and pooled.n_images == len(offs)
    where = math.log(pooled.mpp / SCALES[0]) / math.log(STEP)
    assert step + min(offs) - 1 <= where <= step + max(offs) + 1
    random.shuffle(looks)  # type: ignore[attr-defined]
    assert pool_scale(looks) == pooled


def test_the_peak_is_read_between_the_steps() -> None:
    pooled = pool_scale([_look(5), _look(6), _look(5), _look(6)])
    assert pooled is not None and SCALES[5] * 1.1 < pooled.mpp < SCALES[6] / 1.1


def test_two_magnifications_or_one_image_or_images_that_say_nothing_share_no_scale() -> None:
    assert pool_scale([_look(3)] * 4 + [_look(8)] * 4) is None
    assert pool_scale([_look(5)]) is None and pool_scale([]) is None
    assert pool_scale([np.full(len(SCALES), -math.log(len(SCALES)))] * 6) is None


def test_one_odd_image_among_several_changes_nothing() -> None:
    with_it, without = pool_scale([_look(5)] * 6 + [_look(11)]), pool_scale([_look(5)] * 6)
    assert with_it is not None and without is not None
    assert with_it.mpp == pytest.approx(without.mpp, rel=0.1)
    assert "7 images of this size" in with_it.note


@pytest.mark.slow
def test_real_fields_without_any_scale_give_their_leukocytes_and_little_else(shared_data: Path) -> None:
    fields = read_yolo_fields(shared_data / "txl_pbc", "val")[::58]
    detector = create_detector("yolo", DetectSettings())
    n_found, n_right, n_labels = 0, 0, 0
    for field in fields:
        found = detect_image(field.rgb, detector)
        labels = [(FloatBox(x0, y0, x1 - x0, y1 - y0), 1.0) for x0, y0, x1, y1 in field.leukocytes.tolist()]
        n_found, n_labels = n_found + len(found), n_labels + len(labels)
        n_right += int((again(labels, found) > 0).sum())
    assert n_right >= n_labels - 1 and n_found <= n_right + 1
