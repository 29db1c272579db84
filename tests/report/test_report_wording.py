"""Numbers and words: never across a threshold, never unreadable."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.report import wording

THRESHOLDS = (0.05, 0.20)


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.0037, "0.37 %"),
        (0.114, "11.4 %"),
        (0.04996, "4.996 %"),
        (0.05, "5.0 %"),
        (0.19999, "19.999 %"),
        (float("nan"), "–"),
    ],
)
def test_a_fraction_is_printed_with_as_many_decimals_as_it_needs(fraction: float, shown: str) -> None:
    assert wording.percent(fraction, THRESHOLDS).replace("\u202f", " ") == shown


@settings(deadline=None, max_examples=60)
@given(st.floats(0, 1), st.sampled_from(THRESHOLDS))
def test_a_printed_fraction_lies_on_the_same_side_of_a_threshold(fraction: float, line: float) -> None:
    shown = float(wording.percent(fraction, THRESHOLDS).removesuffix("\u202f%"))
    assert (shown >= 100 * line) == (fraction >= line) or abs(fraction - line) < 1e-8


def test_an_interval_names_its_unit_once() -> None:
    assert wording.interval(0.016, 0.113) == "1.6–11.3\u202f%"


def test_each_flag_differs_in_word_and_icon() -> None:
    assert len({w.title for w in wording.FLAGS.values()}) == len({w.icon for w in wording.FLAGS.values()}) == 5
    assert sorted(wording.FLAGS, key=lambda f: wording.FLAGS[f].urgency) == [
        "acute_range",
        "work_up",
        "review",
        "insufficient",
        "clear",
    ]


def test_hidden_characters_of_a_name_are_shown_and_spaces_are_kept() -> None:
    assert wording.printable("a\u202eb\x00c\udcff\u202fd") == "a\\u202eb\\x00c\\udcff\u202fd"
    assert wording.printable("🧬 Müller") == "🧬 Müller"


def test_a_reason_is_printed_as_one_sentence() -> None:
    assert wording.sentence("slide  S1\n failed: x") == "Slide S1 failed: x"


def test_per_cent_stands_apart_from_its_number_but_not_in_a_name() -> None:
    assert wording.sentence("read 20.3% (9.1% to 33%)") == "Read 20.3\u202f% (9.1\u202f% to 33\u202f%)"
    assert wording.sentence("slide 50%.tif failed") == "Slide 50%.tif failed"


@given(st.text(max_size=30))
def test_no_text_ends_the_string_of_a_style_sheet(text: str) -> None:
    inside = wording.css_string(text)[1:-1]
    assert not set(inside) & set('"<>\n;{}')
