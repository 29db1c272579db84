"""All slides of a patient become one number with its limits, a flag and the reasons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smearscan.aggregate.adaptive import count_until_clear, more_cells_would_tell, side_of
from smearscan.aggregate.adequacy import is_without_scale, list_shortfalls
from smearscan.aggregate.correct import Correction, correct_fraction
from smearscan.aggregate.differential import Tally, count_cells, tally
from smearscan.aggregate.doubt import list_doubts
from smearscan.aggregate.heterogeneity import heterogeneity
from smearscan.aggregate.intervals import clopper_pearson
from smearscan.aggregate.limits import limit_of_blank, limit_of_detection
from smearscan.aggregate.triage import judge
from smearscan.aggregate.validation import Validation
from smearscan.records import CellPrediction, PatientResult, SlideResult
from smearscan.settings import AggregateSettings


def aggregate_patient(
    patient_id: str, slides: Sequence[SlideResult], settings: AggregateSettings, validation: Validation | None
) -> PatientResult:
    """Pool the cells of a patient's slides and say what they show.

    Cells are pooled, not percentages; the order of the slides does not matter to any number. Failed slides
    add no cells and are named in the reasons.

    Parameters
    ----------
    patient_id
        Whose slides these are.
    slides
        All of them, failed ones too.
    settings
        Where the lines are drawn.
    validation
        What was measured of the classifier: of its card, or better of this laboratory; None if nothing was.
    """
    cells, confidence, notes = _cells_to_count(slides, validation, settings)
    differential = count_cells(cells)
    counts = tally(differential)
    raw = clopper_pearson(counts.n_blasts, counts.n_leukocytes, settings.confidence)
    correction = correct_fraction(counts, validation, confidence)
    blank = limit_of_blank(counts, validation)
    p = heterogeneity([tally(count_cells(s.cells)) for s in slides if s.status == "done"])
    wbc, disagreement = _white_count(slides)
    shortfalls = list_shortfalls(slides, differential, settings)
    doubts = list_doubts(cells, validation)
    few_left, some_left = _left_out(slides, settings)
    failures = _failures(slides) + few_left + [s.source.mix_up for s in slides if s.source.mix_up]
    flag, reasons = judge(raw, correction, blank, shortfalls, failures, settings, doubts)
    reasons += notes + _would_more_help(counts, validation, correction, settings)
    reasons += _disagreement(p, settings) + disagreement + some_left
    return PatientResult(
        patient_id=patient_id,
        slides=tuple(slides),
        differential=differential,
        raw=raw,
        corrected=correction.interval,
        limit_of_blank=blank,
        limit_of_detection=limit_of_detection(counts, validation),
        flag=flag,
        reasons=tuple(reasons),
        is_transferable=correction.is_possible and validation is not None and validation.is_local,
        heterogeneity_p=p,
        # An uncorrected fraction would be printed as what the classifier's errors were taken off.
        absolute_blasts_10e9_per_l=wbc * correction.interval.estimate
        if wbc is not None and correction.is_possible
        else None,
    )


def _cells_to_count(
    slides: Sequence[SlideResult], validation: Validation | None, settings: AggregateSettings
) -> tuple[list[CellPrediction], float, list[str]]:
    """The cells, the confidence of the corrected interval, and what is to be told."""
    done = sorted((s for s in slides if s.status == "done"), key=lambda s: s.source.slide_id)
    cells = [cell for slide in done for cell in slide.cells]
    if settings.counting == "whole_smear":
        return cells, settings.confidence, []
    # Cells come sorted by their place on the film; a fixed shuffle makes any first part a fair sample.
    shuffled = [cells[i] for i in np.random.default_rng(0).permutation(len(cells))]
    stop = count_until_clear(shuffled, validation, settings)
    notes = []
    if stop.n_cells < len(cells):
        notes.append(f"counting stopped at {stop.n_leukocytes} leukocytes, {stop.side} the threshold")
    if stop.confidence != settings.confidence:
        notes.append(f"the corrected interval is one of {stop.confidence:.2%}: the cells were looked at several times")
    return shuffled[: stop.n_cells], stop.confidence, notes


def _failures(slides: Sequence[SlideResult]) -> list[str]:
    failed = [s for s in slides if s.status == "failed" and not is_without_scale(s)]
    return [f"slide {s.source.slide_id} failed: {s.reason}" for s in failed]


def _left_out(slides: Sequence[SlideResult], settings: AggregateSettings) -> tuple[list[str], list[str]]:
    """What to say of images that could not be used: of slides that lost too many to be called clear, and of others.

    Copies are no loss: what is on them was counted.
    """
    many: list[str] = []
    some: list[str] = []
    for slide in slides:
        n_lost = len(slide.left_out) - len(slide.source.repeated)
        if slide.status == "done" and n_lost > 0:
            n = n_lost + len(slide.fields)
            is_much = n_lost > settings.max_unusable_images * n
            said = f"slide {slide.source.slide_id}: {n_lost} of its {n} images could not be used"
            (many if is_much else some).append(said)
    return many, some


def _would_more_help(
    counts: Tally, validation: Validation | None, correction: Correction, settings: AggregateSettings
) -> list[str]:
    line = settings.work_up_fraction
    if not correction.is_possible or side_of(correction.interval, line) != "open":
        return []
    if more_cells_would_tell(counts, validation, settings):
        return [f"the interval spans {line:.0%}: another smear of this patient could decide it"]
    return [f"the interval spans {line:.0%} by the classifier's own errors: more cells would not decide it"]


def _disagreement(p: float | None, settings: AggregateSettings) -> list[str]:
    if p is None or p >= settings.heterogeneity_level:
        return []
    return [f"the slides differ by more than counting error (p = {p:.2g}): the interval is too narrow"]


def _white_count(slides: Sequence[SlideResult]) -> tuple[float | None, list[str]]:
    """The analyser's count in 10⁹/l, where the worksheet gives one, and one only."""
    counts = sorted({s.source.wbc_10e9_per_l for s in slides if s.source.wbc_10e9_per_l is not None})
    if len(counts) > 1:
        return None, [f"the worksheet gives {len(counts)} white counts, so no absolute count is made"]
    return (counts[0] if counts else None), []
