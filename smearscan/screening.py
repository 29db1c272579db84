"""A screening from submission to files: every slide tried, every patient reported, nothing lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from smearscan.aggregate import Validation, aggregate_patient
from smearscan.batch import screen_slides, workers
from smearscan.models import load_card
from smearscan.pictures import PictureJob, take_pictures
from smearscan.pipeline import Runner
from smearscan.provenance import settings_digest, versions
from smearscan.records import PatientResult, SlideResult
from smearscan.report.atomic import make_folder
from smearscan.report.content import RunInfo
from smearscan.report.html import write_index, write_report
from smearscan.report.names import report_names
from smearscan.report.tables import write_tables
from smearscan.settings import Settings
from smearscan.submission import Submission
from smearscan.timing import add_seconds


class Watcher(Protocol):
    """Who wants to know how far it is: a terminal, a log, a test."""

    def update(self, done: float, total: float, note: str = "") -> None:
        """So much of so much is done."""


@dataclass(frozen=True, slots=True)
class Screening:
    """What a screening gave."""

    patients: tuple[PatientResult, ...]
    slides: tuple[SlideResult, ...]
    reports: dict[str, Path]
    index: Path

    @property
    def n_failed(self) -> int:
        """Slides that failed, and slides of which a field had to be left out."""
        return sum(slide.status == "failed" or slide.is_partial for slide in self.slides)


def screen(
    submission: Submission, settings: Settings, out: Path, preset: str, jobs: int, watcher: Watcher
) -> Screening:
    """Screen a submission and write its files into `out`.

    Raises
    ------
    OutputError
        If `out` cannot be written; tried before the first slide is opened.
    SettingsError, WeightsError
        If the preset asks for something that is not there; found before the first slide is opened.
    """
    make_folder(out / "report")
    run_info = describe_run(settings, preset)
    validation = Validation.from_card(load_card(settings.classify.blast[0]).model_dump())
    with workers(jobs) as run:
        screened = screen_slides(submission.sources, settings, run, jobs, watcher.update)
        slides = [*screened, *(SlideResult(r.source, "failed", reason=r.reason) for r in submission.rejected)]
        patients = group_patients(slides, settings, validation)
        run_info = replace(run_info, stage_seconds=add_seconds(slide.seconds for slide in slides))
        write_tables(out, patients, slides, run_info)
        reports = _write_reports(out / "report", patients, settings, run_info, run)
    return Screening(tuple(patients), tuple(slides), reports, out / "report" / "index.html")


def group_patients(slides: Sequence[SlideResult], settings: Settings, validation: Validation) -> list[PatientResult]:
    """One result for every patient, in the order they were handed in, also when all slides failed."""
    by_patient: dict[str, list[SlideResult]] = {}
    for slide in slides:
        by_patient.setdefault(slide.source.patient_id, []).append(slide)
    return [aggregate_patient(name, its, settings.aggregate, validation) for name, its in by_patient.items()]


def describe_run(settings: Settings, preset: str) -> RunInfo:
    """Everything that decides the result: versions, settings, the cards of all packages in use."""
    names = ["detector", "cellmask", settings.classify.cell_type, *settings.classify.blast]
    cards = {name: load_card(name) for name in names}
    found = versions()
    return RunInfo(
        version=found["smearscan"],
        preset=preset,
        settings_digest=settings_digest(settings),
        weights_digests={name: card.sha256 for name, card in cards.items()},
        model_cards=tuple(card.model_dump(mode="json") for card in cards.values()),
        versions=found,
        settings=settings.model_dump(mode="json"),
    )


def _write_reports(
    folder: Path, patients: Sequence[PatientResult], settings: Settings, run_info: RunInfo, run: Runner
) -> dict[str, Path]:
    names = report_names(patient.patient_id for patient in patients)
    jobs = [PictureJob(patient, settings) for patient in patients]
    paths = {}
    # map keeps the patients' order and hands each set of pictures on as it comes: they are large.
    for patient, pictures in zip(patients, run(take_pictures, jobs), strict=True):
        paths[patient.patient_id] = folder / f"{names[patient.patient_id]}.html"
        write_report(paths[patient.patient_id], patient, run_info, pictures, settings)
    write_index(folder, patients, run_info, settings)
    return paths
