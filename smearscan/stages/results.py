"""Results read back from the state: slides' records, patients' numbers, a run's whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from pydantic import ValidationError
from sqlalchemy import Connection, Row, select, update

from smearscan.errors import OutputError
from smearscan.records import PatientResult, SlideResult, SlideSource
from smearscan.stages import encode
from smearscan.stages.job import read_source
from smearscan.store.artefacts import GoneError
from smearscan.store.schema import patients, slides
from smearscan.store.state import State

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunResults:
    """Slides in the order of submission, patients likewise, and the key of each patient's page."""

    slides: tuple[SlideResult, ...]
    patients: tuple[PatientResult, ...]
    reports: dict[str, str]


def patient_slides(state: State, patient_row: int | None) -> tuple[list[SlideResult], list[list[object]]]:
    """A patient's slides in order, and of each what decides the number and the page.

    That is its artefact, or why it has none, and what was said of it: an artefact may have been made for another
    submission, with another count of white cells or another date.
    """
    rows = _rows_of_patient(state, patient_row)
    return [_slide(state, row) for row in rows], [
        [row.result or f"{row.slide_id}: {row.reason}", row.source] for row in rows
    ]


def patient_stamps(state: State, patient_row: int | None) -> list[tuple[SlideSource, list[list[str | int]]]]:
    """The slides of a patient that were screened, and what their files were then."""
    rows = _rows_of_patient(state, patient_row)
    return [(read_source(row.source), row.stamp) for row in rows if row.result and row.stamp is not None]


def _rows_of_patient(state: State, patient_row: int | None) -> list[Row]:  # type: ignore[type-arg]
    with state.database.reading() as connection:
        return _slide_rows(connection, slides.c.patient_row == patient_row)


def patient_record(state: State, key: str, of: list[SlideResult]) -> PatientResult:
    """A patient's number with its slides put back: they are kept once, as slides."""
    return replace(_record(PatientResult, state, key), slides=tuple(of))


def run_results(state: State, run_id: int) -> RunResults:
    """Everything that a run gave so far, all cells in memory; patients that have no number yet are left out."""
    found = dict(slide_results(state, run_id))
    numbers, reports = patient_results(state, run_id, found)
    return RunResults(tuple(found.values()), tuple(numbers), reports)


def slide_results(state: State, run_id: int) -> Iterator[tuple[int, SlideResult]]:
    """Row and record of every slide of a run, in the order of submission, read when it is asked for."""
    with state.database.reading() as connection:
        rows = _slide_rows(connection, slides.c.run_id == run_id)
    return ((row.id, _slide(state, row)) for row in rows)


def patient_results(
    state: State, run_id: int, of: Mapping[int, SlideResult]
) -> tuple[list[PatientResult], dict[str, str]]:
    """Patients in the order of submission, with their slides (by row), and patient → key of the page."""
    with state.database.reading() as connection:
        in_order = select(patients).where(patients.c.run_id == run_id).order_by(patients.c.place)
        patient_rows = connection.execute(in_order).all()
        slide_rows = _slide_rows(connection, slides.c.run_id == run_id)
    by_patient: dict[int, list[SlideResult]] = {}
    for row in slide_rows:
        by_patient.setdefault(row.patient_row, []).append(of[row.id])
    numbers = [patient_record(state, row.result, by_patient[row.id]) for row in patient_rows if row.result]
    return numbers, {row.patient_id: row.report for row in patient_rows if row.report}


def without_cells(slide: SlideResult) -> SlideResult:
    """All of a slide but its cells."""
    return replace(slide, cells=())


def forget_lost(state: State, run_id: int) -> int:
    """Let slides and patients whose results are gone or damaged count as failed, so that `retry` makes them again.

    Returns
    -------
    int
        How many.
    """
    with state.database.reading() as connection:
        slide_rows = _slide_rows(connection, (slides.c.run_id == run_id) & slides.c.result.is_not(None))
        patient_rows = connection.execute(select(patients).where(patients.c.run_id == run_id)).all()
    lost_slides = [row.id for row in slide_rows if _is_lost(state, row.result)]
    lost_patients = [row.id for row in patient_rows if _is_lost(state, row.result) or _is_lost(state, row.report)]
    failed = {"state": "failed", "error": "GoneError", "reason": "its record is gone", "result": None}
    with state.database.transaction() as connection:
        for row in lost_slides:
            connection.execute(update(slides).where(slides.c.id == row).values(failed))
        for row in lost_patients:
            ended = (patients.c.id == row) & (patients.c.state == "done")
            connection.execute(update(patients).where(ended).values(state="failed"))
    return len(lost_slides) + len(lost_patients)


def _is_lost(state: State, key: str | None) -> bool:
    if key is None:
        return False
    try:
        state.artefacts.get(key)
    except GoneError:
        return True
    return False


def _slide_rows(connection: Connection, which: object) -> list[Row]:  # type: ignore[type-arg]
    return list(connection.execute(select(slides).where(which).order_by(slides.c.place)))  # type: ignore[arg-type]


def _record(kind: type[T], state: State, key: str) -> T:
    try:
        return encode.load(kind, state.artefacts.get(key))
    except ValidationError as error:
        raise OutputError(
            f"the artefact {key} is of another version of smearscan, whose records this one does not know",
            "export its run with the version that it was submitted with",
        ) from error


def _slide(state: State, row: Row) -> SlideResult:  # type: ignore[type-arg]
    source = read_source(row.source)
    if row.result:
        # The record may have been made for another run: the patient is this run's.
        return replace(_record(SlideResult, state, row.result), source=source)
    if row.state == "failed":
        return SlideResult(source, "failed", reason=row.reason, error_kind=row.error)
    return SlideResult(source, "failed", reason=f"{row.path}: not screened yet. Wait for its run to end")
