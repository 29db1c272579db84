"""What a report says before it is drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_results import COUNTS, fake_cell, fake_patient, fake_run, fake_slide

from smearscan.classes import COUNTED, CellClass
from smearscan.geometry import Mpp
from smearscan.records import Differential, Interval, Scale
from smearscan.report.content import Content, build_content
from smearscan.report.model_cards import view_card
from smearscan.settings import Settings


def _content(**changes: object) -> Content:
    return build_content(replace(fake_patient(), **changes), fake_run(), Settings())  # type: ignore[arg-type]


def test_the_shares_of_the_differential_add_up_to_its_named_denominator() -> None:
    content = _content()
    assert sum(row.n for row in content.counted) == content.n_leukocytes
    assert sum(row.share.estimate for row in content.counted if row.share) == pytest.approx(1)
    assert content.denominator == "counted leukocytes"


def test_every_cell_is_either_counted_or_listed_beside() -> None:
    content = _content()
    n_cells = sum(COUNTS.values())
    assert sum(r.n for r in content.counted) + sum(r.n for r in content.not_counted) == n_cells
    blurred = next(row for row in content.not_counted if row.title == "Leukocyte out of focus")
    assert blurred.n > 0
    assert {r.key for r in content.not_counted} >= {c.value for c in CellClass if c not in COUNTED}


def test_an_insufficient_number_is_kept_but_not_headlined() -> None:
    content = _content(flag="insufficient")
    assert not content.is_headlined and content.n_blasts == 38


def test_a_measured_scale_is_marked_with_its_uncertainty() -> None:
    slide = fake_slide(scale=Scale(Mpp(0.12, 0.12), "estimated", 0.064, 143))
    (row,) = build_content(fake_patient(slides=[slide]), fake_run(), Settings()).slides
    assert row.is_estimated
    assert row.scale.replace("\u202f", " ") == "0.1200 µm/px ± 13 % (95 %), measured on 143 red cells"


def test_a_failed_slide_stands_first_among_what_was_left_out() -> None:
    content = _content()
    assert content.left_out[0][0] == "S-0417-b" and "truncated" in content.left_out[0][1]
    assert any("too thick" in text for _, text in content.left_out)


def test_a_fields_own_failure_is_named() -> None:
    slide = replace(fake_slide(fields=("a.jpg", "b.jpg")), left_out=("c.jpg is no image",))
    content = build_content(fake_patient(slides=[slide]), fake_run(), Settings())
    assert ("S-0417-a", "C.jpg is no image") in content.left_out


def test_only_counted_mononuclear_cells_stand_in_the_histogram() -> None:
    cells = [
        fake_cell(),
        fake_cell(CellClass.LYMPHOCYTE, x=1, blast_probability=0.2),
        fake_cell(CellClass.NEUTROPHIL, x=2),
    ]
    cells += [fake_cell(x=3, is_in_focus=False)]
    content = build_content(fake_patient(slides=[fake_slide(cells=cells)]), fake_run(), Settings())
    assert sorted(content.judged_probabilities) == [(0.2, False), (0.9, True)]


def test_a_correction_measured_elsewhere_is_said_to_be() -> None:
    assert any("may not transfer" in s for s in _content().sentences)
    assert not any("may not transfer" in s for s in _content(is_transferable=True).sentences)


def test_a_fraction_that_could_not_be_corrected_is_not_shown_as_corrected() -> None:
    assert _content(corrected=Interval(0.094, 0.0, 1.0)).corrected is None
    assert _content(corrected=Interval(0.0, 0.0, 0.02)).corrected == Interval(0.0, 0.0, 0.02)


def test_limits_that_are_not_known_are_said_not_to_be() -> None:
    assert "not known" in _content(limit_of_blank=1.0).sentences[0]
    assert "no fraction is detected" in _content(limit_of_detection=1.0).sentences[0]


def test_a_count_that_stopped_early_is_said_to_have() -> None:
    half = Differential({c: n // 2 for c, n in COUNTS.items()})
    assert any("counting stopped" in s for s in _content(differential=half).sentences)


def test_hundreds_of_slides_and_notes_are_cut_with_a_word() -> None:
    slides = [fake_slide(f"S{n}", cells=[]) for n in range(250)]
    content = build_content(fake_patient(slides=slides), fake_run(), Settings())
    assert len(content.slides) == 200 and content.n_slides_hidden == 50
    assert len(content.left_out) == 41 and "slides.csv" in content.left_out[-1][1]


def test_a_card_pools_its_validation_groups_and_names_units() -> None:
    groups = [
        {"name": "a", "n_blasts": 10, "n_called_of_blasts": 9, "n_others": 20, "n_called_of_others": 1},
        {"name": "b", "n_blasts": 5, "n_called_of_blasts": 5, "n_others": 0, "n_called_of_others": 0},
    ]
    card = {
        "name": "blast",
        "validation": {"groups": groups, "note": "n"},
        "input": {"window_um": 29.0},
        "summary": "S",
    }
    lines = dict(view_card(card).lines)
    assert lines["validation"] == (
        "2 groups of cells not trained on: 14 of 15 blasts called blast, 1 of 20 other mononuclear cells called blast"
    )
    assert lines["input"] == "window 29 µm" and next(iter(lines)) == "summary"


def test_an_absolute_count_is_said_with_what_it_was_made_from_and_its_interval() -> None:
    patient = fake_patient()
    slides = tuple(replace(s, source=replace(s.source, wbc_10e9_per_l=50.0)) for s in patient.slides)
    corrected = Interval(0.2, 0.1, 0.3)
    said = " ".join(_content(slides=slides, corrected=corrected, absolute_blasts_10e9_per_l=10.0).sentences)
    assert "white count of 50.00 × 10⁹/L" in said and "10.00 × 10⁹/L blasts (interval 5.00–15.00" in said
