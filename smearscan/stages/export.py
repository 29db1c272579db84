"""A run's files: the tables, a page for every patient, the list of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from smearscan.models import load_card
from smearscan.provenance import package_names, settings_digest, versions
from smearscan.records import PatientResult, SlideResult
from smearscan.report.atomic import make_folder, write_bytes
from smearscan.report.content import RunInfo
from smearscan.report.html import write_index
from smearscan.report.names import report_names
from smearscan.report.tables import write_tables
from smearscan.settings import Settings
from smearscan.stages.results import run_results
from smearscan.store.runs import as_run
from smearscan.store.runtimes import runtimes_of
from smearscan.store.schema import runs
from smearscan.store.state import State
from smearscan.timing import add_seconds


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and where the list of patients lies."""

    patients: tuple[PatientResult, ...]
    slides: tuple[SlideResult, ...]
    reports: dict[str, Path]
    index: Path

    @property
    def n_failed(self) -> int:
        """Slides that failed or lost a field, and patients without a page."""
        failed = sum(slide.status == "failed" or slide.is_partial for slide in self.slides)
        return failed + len(self.patients) - len(self.reports)


def write_run(state: State, run_id: int, out: Path) -> Written:
    """Write the files of a run, the same as `smearscan screen` writes, as far as it has come.

    Raises
    ------
    OutputError
        If `out` cannot be written, or an artefact is gone.
    """
    make_folder(out / "report")
    with state.database.reading() as connection:
        run = as_run(connection.execute(select(runs).where(runs.c.id == run_id)).one())
        ran_on = runtimes_of(connection, run_id)
    settings = Settings.model_validate(run.settings)
    results = run_results(state, run_id)
    info = describe_run(settings, run.preset, add_seconds(slide.seconds for slide in results.slides), ran_on)
    write_tables(out, results.patients, results.slides, info)
    names = report_names(patient.patient_id for patient in results.patients)
    paths = {}
    for patient_id, key in results.reports.items():
        paths[patient_id] = out / "report" / f"{names[patient_id]}.html"
        write_bytes(paths[patient_id], state.artefacts.get(key))
    write_index(out / "report", results.patients, info, settings)
    return Written(results.patients, results.slides, paths, out / "report" / "index.html")


def describe_run(
    settings: Settings, preset: str, seconds: Mapping[str, float], ran_on: Mapping[str, str] | None = None
) -> RunInfo:
    """Everything that decides the result: versions, settings, the cards of all packages in use.

    What they ran on, queue by queue, is known once the run is over; a page that is made before leaves it out.
    """
    cards = {name: load_card(name) for name in package_names(settings)}
    found = versions() | {f"networks on {queue}": words for queue, words in sorted((ran_on or {}).items())}
    return RunInfo(
        version=found["smearscan"],
        preset=preset,
        settings_digest=settings_digest(settings),
        weights_digests={name: card.sha256 for name, card in cards.items()},
        model_cards=tuple(card.model_dump(mode="json") for card in cards.values()),
        versions=found,
        settings=settings.model_dump(mode="json"),
        stage_seconds=dict(seconds),
    )
