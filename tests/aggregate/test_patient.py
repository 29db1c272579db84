"""A patient's slides become one number, one flag, and its reasons."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smearscan.aggregate import Validation, aggregate_patient
from smearscan.records import FieldResult, SlideResult
from smearscan.settings import AggregateSettings

SETTINGS = AggregateSettings()


def test_cells_are_pooled_not_percentages(make_slide, good: Validation) -> None:
    slides = [make_slide("a", blast=10, lymphocyte=90), make_slide("b", neutrophil=900)]
    patient = aggregate_patient("p", slides, SETTINGS, good)
    assert patient.raw.estimate == pytest.approx(0.01)
    assert patient.differential.n_leukocytes == 1000


def test_a_healthy_patient_is_clear_and_the_reason_says_why(make_slide, good: Validation) -> None:
    patient = aggregate_patient("p", [make_slide(neutrophil=700, lymphocyte=290, blast=1)], SETTINGS, good)
    assert patient.flag == "clear"
    assert "within the limit of blank" in patient.reasons[0]
    assert patient.corrected.high < 0.05


def test_a_false_alarm_machine_on_a_healthy_patient_raises_no_alarm(make_slide, weak: Validation) -> None:
    patient = aggregate_patient("p", [make_slide(neutrophil=300, lymphocyte=240, blast=60)], SETTINGS, weak)
    assert patient.raw.estimate == pytest.approx(0.1)
    assert patient.corrected.estimate < 0.03
    assert patient.flag in ("clear", "review")


@pytest.mark.parametrize(("n_blasts", "flag"), [(20, "review"), (80, "work_up"), (400, "acute_range")])
def test_the_flag_follows_the_corrected_fraction(make_slide, good: Validation, n_blasts: int, flag: str) -> None:
    slide = make_slide(neutrophil=600, lymphocyte=400 - n_blasts, blast=n_blasts)
    patient = aggregate_patient("p", [slide], SETTINGS, good)
    assert patient.flag == flag
    assert patient.reasons


def test_the_report_of_an_acute_range_says_that_lineage_needs_flow_cytometry(make_slide, good: Validation) -> None:
    patient = aggregate_patient("p", [make_slide(blast=400, lymphocyte=100)], SETTINGS, good)
    assert any("flow cytometry" in reason for reason in patient.reasons)


@pytest.mark.parametrize(
    ("counts", "quality", "reason"),
    [
        ({"neutrophil": 199}, {}, "fewer than 200"),
        ({"neutrophil": 300, "unidentified": 200}, {}, "unlike those the network knows"),
        ({"neutrophil": 300}, {"focus": 0.05}, "focus"),
        ({"neutrophil": 300}, {"stain_distance": 50.0}, "stain is out of range"),
    ],
)
def test_a_smear_that_cannot_carry_a_verdict_is_insufficient(
    make_slide, good: Validation, counts: dict, quality: dict, reason: str
) -> None:
    patient = aggregate_patient("p", [make_slide(quality=quality, **counts)], SETTINGS, good)
    assert patient.flag == "insufficient"
    assert reason in patient.reasons[0]
    assert patient.raw.high > 0


def test_too_little_monolayer_is_insufficient(make_slide, good: Validation) -> None:
    slides = [make_slide(name, neutrophil=300, quality={"searched_mm2": 0.4}) for name in ("a", "b")]
    asked = SETTINGS.model_copy(update={"min_searched_mm2": 1.0})
    assert aggregate_patient("p", slides, asked, good).flag == "insufficient"
    assert aggregate_patient("p", [*slides, slides[0]], asked, good).flag == "clear"


def test_mostly_blurred_cells_are_insufficient(make_slide, make_cells, good: Validation) -> None:
    slide = make_slide(neutrophil=300)
    blurred = replace(slide, cells=slide.cells + make_cells(is_in_focus=False, lymphocyte=400))
    patient = aggregate_patient("p", [blurred], SETTINGS, good)
    assert patient.flag == "insufficient"
    assert "400 of 700 leukocytes are out of focus" in patient.reasons[0]


def test_a_patient_whose_slides_all_failed_has_a_result_with_the_reasons(make_failed, good: Validation) -> None:
    patient = aggregate_patient("p", [make_failed("b", "b.tif is truncated")], SETTINGS, good)
    assert patient.flag == "insufficient"
    assert any("b.tif is truncated" in reason for reason in patient.reasons)
    assert (patient.raw.low, patient.raw.high) == (0.0, 1.0)
    assert (patient.corrected.low, patient.corrected.high) == (0.0, 1.0)


def test_one_slide_without_scale_makes_the_patient_insufficient(make_slide, make_failed, good: Validation) -> None:
    slides = [make_slide(neutrophil=900), make_failed("b", "b.tif shows too few red cells", "ScaleError")]
    patient = aggregate_patient("p", slides, SETTINGS, good)
    assert patient.flag == "insufficient"
    assert "slide b has no scale" in patient.reasons[0]


@pytest.mark.parametrize(("n_blasts", "flag"), [(1, "review"), (400, "acute_range")])
def test_a_slide_that_was_given_for_another_patient_too_is_named_and_forbids_clear(
    make_slide, good: Validation, n_blasts: int, flag: str
) -> None:
    slide = make_slide("a", neutrophil=600, lymphocyte=400, blast=n_blasts)
    mixed_up = replace(slide, source=replace(slide.source, given_for_too="patient Q"))
    patient = aggregate_patient("p", [mixed_up], SETTINGS, good)
    assert patient.flag == flag
    assert "slide a: the same scan was given for patient Q; it can be of one of them only" in patient.reasons


def test_a_failed_slide_is_named_and_forbids_clear(make_slide, make_failed, good: Validation) -> None:
    slides = [make_slide(neutrophil=900), make_failed("b", "b.tif is truncated")]
    patient = aggregate_patient("p", slides, SETTINGS, good)
    assert patient.flag == "review"
    assert any("slide b failed" in reason for reason in patient.reasons)


def _with_images(slide: SlideResult, n: int, n_lost: int, repeated: tuple[str, ...] = ()) -> SlideResult:
    assert slide.size is not None and slide.scale is not None
    fields = tuple(FieldResult(f"f{i}.png", f"f{i}.png", slide.size, slide.scale) for i in range(n - n_lost))
    left_out = (*repeated, *(f"lost{i}.png is truncated" for i in range(n_lost)))
    return replace(slide, fields=fields, left_out=left_out, source=replace(slide.source, repeated=repeated))


def test_an_image_of_many_that_could_not_be_used_is_named_and_costs_no_verdict(make_slide, good: Validation) -> None:
    patient = aggregate_patient("p", [_with_images(make_slide(neutrophil=900), 20, 1)], SETTINGS, good)
    assert "slide a: 1 of its 20 images could not be used" in patient.reasons
    assert patient.flag == "clear"


def test_a_slide_that_lost_many_of_its_images_is_never_clear(make_slide, good: Validation) -> None:
    patient = aggregate_patient("p", [_with_images(make_slide(neutrophil=900), 20, 3)], SETTINGS, good)
    assert "slide a: 3 of its 20 images could not be used" in patient.reasons
    assert patient.flag == "review"


def test_an_image_that_was_counted_elsewhere_is_no_loss(make_slide, good: Validation) -> None:
    slide = _with_images(make_slide(neutrophil=900), 4, 0, repeated=("b.png: the same image as a.png",))
    patient = aggregate_patient("p", [slide], SETTINGS, good)
    assert patient.flag == "clear"
    assert not any("could not be used" in reason for reason in patient.reasons)


def test_without_a_validation_no_absolute_count_is_made_and_no_limit_of_blank_is_told(make_slide) -> None:
    for counts in ({"neutrophil": 980, "blast": 20}, {"neutrophil": 1000}):
        patient = aggregate_patient("p", [make_slide(wbc=10.0, **counts)], SETTINGS, None)
        assert patient.absolute_blasts_10e9_per_l is None
        assert patient.flag == "review"
        assert not any("100.0%" in reason for reason in patient.reasons)


def test_slides_that_disagree_are_said_to(make_slide, good: Validation) -> None:
    slides = [make_slide("a", blast=100, neutrophil=400), make_slide("b", blast=20, neutrophil=480)]
    patient = aggregate_patient("p", slides, SETTINGS, good)
    assert patient.heterogeneity_p is not None
    assert patient.heterogeneity_p < 1e-6
    assert any("differ by more than counting error" in reason for reason in patient.reasons)


def test_an_open_question_says_whether_more_cells_would_answer_it(make_slide, good: Validation) -> None:
    few = aggregate_patient("p", [make_slide(neutrophil=270, lymphocyte=20, blast=10)], SETTINGS, good)
    assert any("another smear" in reason for reason in few.reasons)


def test_the_absolute_count_needs_the_analysers_white_count(make_slide, good: Validation) -> None:
    counts = {"neutrophil": 500, "lymphocyte": 300, "blast": 200}
    assert aggregate_patient("p", [make_slide(**counts)], SETTINGS, good).absolute_blasts_10e9_per_l is None
    patient = aggregate_patient("p", [make_slide(wbc=8.0, **counts)], SETTINGS, good)
    assert patient.absolute_blasts_10e9_per_l == pytest.approx(8.0 * patient.corrected.estimate)


def test_two_different_white_counts_give_no_absolute_count(make_slide, good: Validation) -> None:
    slides = [make_slide("a", wbc=8.0, neutrophil=500), make_slide("b", wbc=3.0, neutrophil=500)]
    patient = aggregate_patient("p", slides, SETTINGS, good)
    assert patient.absolute_blasts_10e9_per_l is None
    assert any("2 white counts" in reason for reason in patient.reasons)


def test_only_a_laboratorys_own_validation_is_transferable(make_slide, good: Validation) -> None:
    slides = [make_slide(neutrophil=900)]
    assert not aggregate_patient("p", slides, SETTINGS, good).is_transferable
    assert aggregate_patient("p", slides, SETTINGS, Validation(good.groups, is_local=True)).is_transferable


def test_without_a_validation_nothing_is_clear_and_many_blasts_still_alarm(make_slide) -> None:
    healthy = aggregate_patient("p", [make_slide(neutrophil=900)], SETTINGS, None)
    assert healthy.flag == "review"
    assert not healthy.is_transferable
    assert "could not be corrected" in healthy.reasons[0]
    assert aggregate_patient("p", [make_slide(blast=500, lymphocyte=400)], SETTINGS, None).flag == "acute_range"


def test_adaptive_counting_stops_early_and_says_so(make_slide, good: Validation) -> None:
    slides = [make_slide("a", neutrophil=2000, lymphocyte=1000), make_slide("b", neutrophil=1000)]
    adaptive = SETTINGS.model_copy(update={"counting": "adaptive"})
    patient = aggregate_patient("p", slides, adaptive, good)
    assert patient.differential.n_leukocytes == 200
    assert any("counting stopped at 200" in reason for reason in patient.reasons)
    assert patient == replace(aggregate_patient("p", slides[::-1], adaptive, good), slides=tuple(slides))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_of_slides_changes_no_number(make_slide, good: Validation, data: st.DataObject) -> None:
    counts = st.fixed_dictionaries({name: st.integers(0, 150) for name in ("blast", "lymphocyte", "neutrophil")})
    slides = [make_slide(name, **data.draw(counts)) for name in "abc"]
    shuffled = data.draw(st.permutations(slides))
    first, second = (aggregate_patient("p", some, SETTINGS, good) for some in (slides, shuffled))
    assert first == replace(second, slides=first.slides)
