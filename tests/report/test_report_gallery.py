"""Which cells a report shows, and whose attention it draws."""

from __future__ import annotations

from dataclasses import replace

from fake_results import COUNTS, fake_cell, fake_patient, fake_slide
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.classes import CellClass
from smearscan.report.content import choose_gallery
from smearscan.settings import ReportSettings


def test_every_class_is_shown_and_every_blast_where_there_is_room() -> None:
    choice = choose_gallery(fake_patient(), ReportSettings())
    shown = [c.cell.cell_class for c in choice.cells]
    assert len(shown) == 200 and choice.n_candidates == sum(COUNTS.values())
    assert shown.count(CellClass.BLAST) == COUNTS[CellClass.BLAST]
    assert set(shown) == set(CellClass)


def test_the_gallery_runs_from_the_highest_blast_probability_down() -> None:
    choice = choose_gallery(fake_patient(), ReportSettings())
    probabilities = [c.cell.blast_probability for c in choice.cells]
    assert probabilities == sorted(probabilities, reverse=True)


def test_many_blasts_leave_room_for_the_other_classes() -> None:
    counts = [fake_cell(x=i, blast_probability=0.99) for i in range(500)]
    counts += [fake_cell(CellClass.NEUTROPHIL, x=i, y=1, blast_probability=0.01) for i in range(500)]
    choice = choose_gallery(fake_patient(slides=[fake_slide(cells=counts)]), ReportSettings(max_gallery_cells=50))
    assert len(choice.cells) == 50
    assert sum(c.cell.cell_class is CellClass.NEUTROPHIL for c in choice.cells) == 6


def test_the_choice_does_not_depend_on_the_order_of_the_cells() -> None:
    patient = fake_patient()
    turned = replace(patient, slides=tuple(replace(s, cells=s.cells[::-1]) for s in patient.slides))
    assert choose_gallery(patient, ReportSettings()) == choose_gallery(turned, ReportSettings())


def test_attention_goes_to_sure_blasts_doubtful_blasts_and_near_misses() -> None:
    cells = [fake_cell(x=i, blast_probability=0.5 + i / 1000) for i in range(100)]
    cells += [fake_cell(CellClass.LYMPHOCYTE, x=i, y=1, blast_probability=0.4) for i in range(100)]
    cells += [fake_cell(CellClass.NEUTROPHIL, x=i, y=2, blast_probability=0.45) for i in range(100)]
    patient = fake_patient(slides=[fake_slide(cells=cells)])
    choice = choose_gallery(patient, ReportSettings(max_gallery_cells=400, max_attention_cells=24))
    drawn = {c.key: c.cell for c in choice.cells}
    chosen = [drawn[key] for key in choice.attention]
    blasts = sorted(c.blast_probability for c in chosen if c.cell_class is CellClass.BLAST)
    assert len(chosen) == 24 == len(set(choice.attention))
    assert blasts[:6] == [0.5 + i / 1000 for i in range(6)] and blasts[-1] == 0.599
    assert sum(c.cell_class is CellClass.LYMPHOCYTE for c in chosen) == 6
    assert all(c.cell_class is not CellClass.NEUTROPHIL for c in chosen)


def test_a_patient_without_cells_has_an_empty_gallery() -> None:
    choice = choose_gallery(fake_patient(slides=[]), ReportSettings())
    assert (choice.cells, choice.attention, choice.images, choice.n_candidates) == ((), (), (), 0)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(list(CellClass)), st.floats(0, 1)), max_size=60),
    st.integers(1, 30),
    st.integers(0, 12),
)
def test_the_limits_hold_and_attention_is_drawn_only_of_shown_cells(
    drawn: list[tuple[CellClass, float]], most: int, attention: int
) -> None:
    cells = [fake_cell(c, x=i, blast_probability=p) for i, (c, p) in enumerate(drawn)]
    limits = ReportSettings(max_gallery_cells=most, max_attention_cells=attention)
    choice = choose_gallery(fake_patient(slides=[fake_slide(cells=cells)]), limits)
    keys = [c.key for c in choice.cells]
    assert len(keys) == len(set(keys)) == min(most, len(cells))
    assert len(choice.attention) <= attention and set(choice.attention) <= set(keys)
