"""One box a cell: whatever the tiles, the order and the sharing-out over processes."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from smearscan.detect import merge_detections
from smearscan.detect.boxes import whole_box
from smearscan.geometry import Box
from smearscan.records import Detection

boxes = st.builds(Box, st.integers(-50, 400), st.integers(-50, 400), st.integers(1, 90), st.integers(1, 90))
detections = st.builds(Detection, boxes, st.sampled_from([0.3, 0.5, 0.5001, 0.9]))


@st.composite
def films(draw: st.DrawFn) -> list[Box]:
    """Cells that lie apart or touch, one a place of a grid."""
    places = draw(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), unique=True, max_size=20))
    sizes = st.integers(24, 40)
    return [Box(40 * x, 40 * y, draw(sizes), draw(sizes)) for x, y in places]


@given(st.lists(detections, max_size=30), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_detections_arrive_changes_nothing(found, random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert merge_detections(shuffled, 0.5) == merge_detections(found, 0.5)


@given(st.lists(detections, max_size=30))
@settings(max_examples=40, deadline=None)
def test_merging_again_changes_nothing(found) -> None:
    once = merge_detections(found, 0.5)
    assert merge_detections(once, 0.5) == once
    assert merge_detections(found + found, 0.5) == once


@given(st.lists(detections, max_size=30))
@settings(max_examples=40, deadline=None)
def test_everything_found_is_kept_or_lies_on_something_kept(found) -> None:
    kept = merge_detections(found, 0.5)
    assert set(kept) <= set(found)
    for detection in found:
        assert detection in kept or any(detection.box.intersection(other.box) for other in kept)


def _sightings(cell: Box, rng: np.random.Generator) -> list[Detection]:
    """A cell as several tiles see it: two pixels off at most, and never so far apart that it looks like two."""
    seen: list[Detection] = []
    for dx, dy, dw, dh in rng.integers(-2, 3, (int(rng.integers(1, 5)), 4)).tolist():
        box = Box(cell.x + dx, cell.y + dy, cell.width + dw, cell.height + dh)
        if all(box.iou(other.box) > 0.5 for other in seen):
            seen.append(Detection(box, float(rng.uniform(0.3, 1))))
    return seen


@given(films(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
@example([Box(0, 0, 24, 24), Box(0, 40, 24, 24)], 1809)
def test_cells_that_several_tiles_saw_a_little_differently_are_counted_once_each(cells, seed) -> None:
    rng = np.random.default_rng(seed)
    seen = [detection for cell in cells for detection in _sightings(cell, rng)]
    merged = merge_detections(seen, 0.5)
    assert len(merged) == len(cells)
    for cell in cells:
        assert max(cell.iou(detection.box) for detection in merged) > 0.6


@given(films())
@settings(max_examples=60, deadline=None)
def test_cells_that_only_touch_stay_apart(cells) -> None:
    merged = merge_detections([Detection(cell, 0.8) for cell in cells], 0.5)
    assert sorted(d.box.x * 1000 + d.box.y for d in merged) == sorted(c.x * 1000 + c.y for c in cells)


def test_a_half_cut_by_a_tile_gives_way_to_the_whole_cell() -> None:
    whole, half = Detection(Box(100, 100, 40, 40), 0.8), Detection(Box(100, 100, 18, 40), 0.7)
    assert merge_detections([half, whole], 0.5) == [whole]


def test_the_best_score_wins_and_equal_scores_are_settled_by_place() -> None:
    a, b, c = (Detection(Box(x, 10, 30, 30), s) for x, s in ((12, 0.5), (10, 0.5), (11, 0.4)))
    assert merge_detections([a, b, c], 0.5) == [b]


def test_nothing_merges_to_nothing() -> None:
    assert merge_detections([], 0.5) == []


def test_a_box_in_fractions_of_a_pixel_is_covered_by_whole_ones() -> None:
    assert whole_box(1.5, 2.0, 3.2, 4.0) == Box(1, 2, 3, 2)
    assert whole_box(5.0, 5.0, 5.0, 5.0) == Box(5, 5, 1, 1)
