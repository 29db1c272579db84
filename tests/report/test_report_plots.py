"""Drawings: well-formed, in place, spoken for those who do not see them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from fake_results import fake_patient, fake_run, fake_slide
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.records import Interval
from smearscan.report import plots
from smearscan.report.content import Thumbnail, build_content
from smearscan.report.slide_map import choose_maps, draw_map
from smearscan.settings import Settings

THRESHOLDS = (0.05, 0.20)
FRACTION = st.floats(0, 1)


@settings(deadline=None, max_examples=60)
@given(
    FRACTION,
    FRACTION,
    FRACTION,
    st.sampled_from([0.0, 0.012, 0.3, 1.0, float("nan")]),
    st.sampled_from([plots.WIDE, plots.NARROW]),
)
def test_marks_and_texts_of_the_number_line_stay_inside_it(
    low: float, middle: float, high: float, blank: float, layout: plots.LineLayout
) -> None:
    low, middle, high = sorted((low, middle, high))
    raw, corrected = Interval(middle, low, high), Interval(low, low, high)
    svg = plots.number_line(raw, corrected, THRESHOLDS, blank, "counted leukocytes", layout)
    root = ET.fromstring(svg)
    width = float(root.attrib["viewBox"].split()[2])
    for element in root.iter():
        for key in ("x", "x1", "x2", "cx"):
            if key in element.attrib:
                assert 0 <= float(element.attrib[key]) <= width
    assert ("limit of blank" in svg) == (blank < 1)


def test_the_number_line_says_its_numbers_denominator_and_thresholds() -> None:
    svg = plots.number_line(
        Interval(0.094, 0.067, 0.126), Interval(0.075, 0.03, 0.1), THRESHOLDS, 0.012, "counted leukocytes"
    ).replace("\u202f", " ")
    root = ET.fromstring(svg)
    assert root.attrib["role"] == "img" and "9.4 %" in root.attrib["aria-label"]
    for words in ("9.4 %  (6.7–12.6 %)", "work-up ≥ 5 %", "acute-leukaemia range ≥ 20 %", "% of counted leukocytes"):
        assert words in svg


def test_a_fraction_above_a_threshold_is_drawn_to_its_right() -> None:
    svg = plots.number_line(Interval(0.051, 0.04, 0.06), Interval(0.049, 0.04, 0.06), THRESHOLDS, 0.01, "x")
    line = float(re.search(r'class="threshold" x1="([\d.]+)"', svg)[1])  # type: ignore[index]
    raw = float(re.search(r'class="mark" cx="([\d.]+)"', svg)[1])  # type: ignore[index]
    corrected = float(re.search(r'class="mark" d="M([\d.]+)', svg)[1])  # type: ignore[index]
    assert corrected < line < raw


def test_a_number_that_is_none_is_said_not_drawn() -> None:
    nothing = Interval(float("nan"), 0.0, 1.0)
    svg = plots.number_line(nothing, nothing, THRESHOLDS, float("nan"), "counted leukocytes")
    assert svg.count(">no number<") == 2 and "nan" not in svg
    assert "nan" not in plots.mini_line(nothing, THRESHOLDS)
    one = Interval(0.1, 0, 0.2), None, THRESHOLDS, 0.1, "counted leukocytes"
    assert plots.number_line(*one).count(">no number<") == 1
    assert "Corrected: no number" in plots.number_line(*one, layout=plots.NARROW)


def test_no_name_of_a_row_begins_left_of_the_drawing() -> None:
    root = ET.fromstring(plots.number_line(Interval(0.1, 0, 0.2), None, THRESHOLDS, 0.1, "counted leukocytes"))
    names = [e for e in root.iter("text") if e.attrib["text-anchor"] == "end"]
    assert {e.text for e in names} == {"As counted", "Corrected"}
    # The browser's letters are at most two thirds as wide as the text is high, 15 px.
    assert all(float(e.attrib["x"]) >= 10 * len(e.text or "") for e in names)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(FRACTION, st.booleans()), max_size=50))
def test_the_histogram_holds_every_cell_once(judged: list[tuple[float, bool]]) -> None:
    root = ET.fromstring(plots.probability_histogram(judged))
    texts = [e.text or "" for e in root if e.tag == "text" and e.attrib["text-anchor"] == "middle"]
    assert sum(int(t) for t in texts[: len(texts) - 6]) == len(judged)
    assert f"of {len(judged)} counted mononuclear" in root.attrib["aria-label"]


def test_a_denominator_cannot_break_out_of_the_drawing() -> None:
    svg = plots.number_line(Interval(0.1, 0, 1), Interval(0.1, 0, 1), THRESHOLDS, 0.1, '"><script>x')
    ET.fromstring(svg)
    assert "<script>" not in svg


@pytest.mark.parametrize("name", ["octagon", "triangle", "eye", "question", "tick"])
def test_icons_are_well_formed_and_hidden_from_screen_readers(name: str) -> None:
    assert ET.fromstring(plots.icon(name)).attrib["aria-hidden"] == "true"


def test_a_cell_is_a_dot_at_its_place_on_the_thumbnail_and_links_to_its_card() -> None:
    patient = fake_patient(slides=[fake_slide()])
    cards = build_content(patient, fake_run(), Settings()).cards
    import numpy as np

    thumbnail = Thumbnail(np.zeros((600, 900, 3), np.uint8), 900 / 24_000)
    view = draw_map(patient.slides[0], "", thumbnail, "data:,", cards, 10_000)
    root = ET.fromstring(view.svg)
    pins = {e.attrib["data-cell"]: e for e in root.iter("a")}
    assert set(pins) == {str(card.rank) for card in cards}
    for card in cards[:5]:
        pin, centre = pins[str(card.rank)], card.numbered.cell.detection.box.centre
        circle = pin.findall("circle")[-1]
        assert float(circle.attrib["cx"]) == pytest.approx(centre.x * 900 / 24_000, abs=0.06)
        assert pin.attrib["href"] == f"#cell-{card.rank}" and pin.attrib["id"] == f"dot-{card.rank}"
        assert pin.find("title") is not None
    n_dots = sum(e.attrib["d"].count("M") for e in root.iter("path"))
    assert n_dots == len(patient.slides[0].cells)


def test_a_map_of_very_many_cells_is_cut_with_a_word() -> None:
    import numpy as np

    view = draw_map(fake_slide(), "", Thumbnail(np.zeros((6, 9, 3), np.uint8), 1e-3), "data:,", [], 100)
    assert view.svg.count("h0") == 100 and "100 are drawn" in view.note


def test_fields_with_blasts_are_pictured_first() -> None:
    fields = tuple(f"f{n}.jpg" for n in range(30))
    content = build_content(fake_patient(slides=[fake_slide(fields=fields)]), fake_run(), Settings())
    wanted = choose_maps(content.cards, 4)
    n_blasts = [sum(c.is_blast and c.numbered.cell.field_name == name for c in content.cards) for _, name in wanted]
    assert len(wanted) == 4 and n_blasts == sorted(n_blasts, reverse=True) and n_blasts[0] >= 2
