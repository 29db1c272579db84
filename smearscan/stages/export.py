"""A run's files: the tables, a page for every patient, the list of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select

from smearscan.models import load_card
from smearscan.provenance import package_names, settings_digest, versions
from smearscan.records import PatientResult, SlideResult
from smearscan.report.atomic import make_folder, remove_parts, spare_inputs, write_bytes
from smearscan.report.content import RunInfo
from smearscan.report.html import write_index
from smearscan.report.names import report_names
from smearscan.report.stale import other_pages, stale_remark
from smearscan.report.tables import write_patients, write_slide_tables
from smearscan.report.tables import write_run as write_run_info
from smearscan.settings import Settings
from smearscan.stages.makers import is_made_here, kept_maker, settings_of
from smearscan.stages.results import patient_results, slide_results, without_cells
from smearscan.store.runs import as_run
from smearscan.store.runtimes import runtimes_of
from smearscan.store.schema import runs
from smearscan.store.state import State
from smearscan.timing import add_seconds

log = logging.getLogger(__name__)

#: Seconds after which a file that is half written has no writer any more.
_ABANDONED_S = 86_400.0

#: What `write_run` writes besides the patients' pages.
_FILES = ("patients.csv", "slides.csv", "cells.csv", "cells.parquet", "run.json", "report/index.html")


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, where the list of patients lies, what to tell of other pages; of the slides all but cells."""

    patients: tuple[PatientResult, ...]
    slides: tuple[SlideResult, ...]
    reports: dict[str, Path]
    index: Path
    remark: str = ""

    @property
    def n_failed(self) -> int:
        """Slides that failed or lost a field, and patients without a page."""
        failed = sum(slide.status == "failed" or slide.is_partial for slide in self.slides)
        return failed + len(self.patients) - len(self.reports)


def expect_folder(out: Path, inputs: Iterable[Path | None]) -> None:
    """Find out before the work whether the files of a run would take the place of what is read for it.

    Raises
    ------
    OutputError
        If one of them is an input: a worksheet that is called `patients.csv` and lies in `out`.
    """
    spare_inputs([out / name for name in _FILES], [path for path in inputs if path is not None])


def write_run(state: State, run_id: int, out: Path) -> Written:
    """Write the files of a run, the same as `smearscan screen` writes, as far as it has come.

    The cells of one slide at a time are in memory. Pages that an earlier run wrote there stay, and are told of.

    Raises
    ------
    OutputError
        If `out` cannot be written, an artefact is gone, or settings or records are of a version that is not understood.
    """
    make_folder(out / "report")
    for folder in (out, out / "report"):
        remove_parts(folder, time.time() - _ABANDONED_S)
    with state.database.reading() as connection:
        run = as_run(connection.execute(select(runs).where(runs.c.id == run_id)).one())
        ran_on = runtimes_of(connection, run_id)
        made = kept_maker(connection, run)
    settings = settings_of(run)
    slides: dict[int, SlideResult] = {}
    write_slide_tables(out, _noted(slide_results(state, run_id), slides))
    patients, reports = patient_results(state, run_id, slides)
    write_patients(out / "patients.csv", patients)
    if is_made_here(run):
        made = describe_run(settings, run.preset, {})
    info = _as_run(made, add_seconds(slide.seconds for slide in slides.values()), ran_on)
    names = report_names(patient.patient_id for patient in patients)
    write_run_info(out / "run.json", info)
    paths = {}
    for patient_id, key in reports.items():
        paths[patient_id] = out / "report" / f"{names[patient_id]}.html"
        write_bytes(paths[patient_id], state.artefacts.get(key))
    write_index(out / "report", patients, info, settings)
    others = other_pages(out / "report", {path.name for path in paths.values()})
    if others:  # no name: a page is called after its patient
        log.info("%d pages in the folder are of no patient of this run", len(others))
    remark = stale_remark(out / "report", others)
    return Written(tuple(patients), tuple(slides.values()), paths, out / "report" / "index.html", remark)


def _noted(found: Iterable[tuple[int, SlideResult]], slides: dict[int, SlideResult]) -> Iterator[SlideResult]:
    """The slides as they come, each kept without its cells under its row."""
    for row, slide in found:
        slides[row] = without_cells(slide)
        yield slide


def _as_run(made: RunInfo, seconds: Mapping[str, float], ran_on: Mapping[str, str]) -> RunInfo:
    """With what is known once the run is over: how long it took, and what the networks of each queue ran on."""
    words = {f"networks on {queue}": on for queue, on in sorted(ran_on.items())}
    return replace(made, stage_seconds=dict(seconds), versions={**made.versions, **words})


def describe_run(settings: Settings, preset: str, seconds: Mapping[str, float]) -> RunInfo:
    """Everything that decides the result: versions, settings, the cards of all packages in use."""
    cards = {name: load_card(name) for name in package_names(settings)}
    found = versions()
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
