"""A screening from submission to files: every slide tried, every patient reported, nothing lost."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from smearscan.errors import TransientError
from smearscan.lending import lend_scales
from smearscan.local import work_off
from smearscan.report.atomic import make_folder
from smearscan.settings import Settings
from smearscan.stages.export import Written, write_run
from smearscan.stages.keys import runtimes
from smearscan.stages.progress import RunProgress
from smearscan.stages.qupath import write_cells_for_qupath
from smearscan.stages.results import forget_lost
from smearscan.stages.retention import remove_old, told_retention
from smearscan.stages.submission import new_run
from smearscan.stages.table import STAGES
from smearscan.store.guarded import require_marked
from smearscan.store.runs import retry
from smearscan.store.runtimes import foreign
from smearscan.store.state import State
from smearscan.store.submit import NewRun, submit
from smearscan.submission import Submission

log = logging.getLogger(__name__)


class Watcher(Protocol):
    """Who wants to know how far it is: a terminal, a log, a test."""

    def update(self, done: float, total: float, note: str = "") -> None:
        """So much of so much is done."""


def screen(
    submission: Submission,
    settings: Settings,
    out: Path,
    preset: str,
    jobs: int,
    watcher: Watcher,
    state: State,
    *,
    with_geojson: bool = False,
) -> Written:
    """Screen a submission and write its files into `out`; one that was screened before is read back from the state.

    Parameters
    ----------
    with_geojson
        Write the cells for QuPath too.

    Raises
    ------
    OutputError
        If `out` cannot be written; tried before the first slide is opened.
    SettingsError, WeightsError
        If the preset asks for something that is not there; found before the first slide is opened.
    TransientError
        If the state's artefacts are not where they were: a share that is not mounted.
    """
    make_folder(out / "report")
    require_marked(state.artefacts, state.database)
    submission = lend_scales(submission, settings)
    new = new_run(submission, settings, preset, is_embedded=True)
    run_id, is_new = state.database.run(submit, new)
    if not is_new and (begun := state.database.read(foreign, [run_id], runtimes())):
        log.warning("r%d was screened with %s, this machine is another: it screens anew", run_id, _listed(begun))
        run_id, is_new = state.database.run(submit, _of_this_machine(new))
    if not is_new:  # what failed the last time may have been mended since
        forget_lost(state, run_id)
        state.database.run(retry, run_id, STAGES["survey"].chunk(), STAGES["aggregate"].chunk())

    def say(progress: RunProgress) -> None:
        ended = progress.n_done + progress.n_failed
        note = f"{ended} of {progress.n_slides} slides, {progress.n_cells:,} cells"
        watcher.update(progress.fraction * progress.n_slides, progress.n_slides, note)

    work_off(state, run_id, jobs, say)
    written = write_run(state, run_id, out)
    if with_geojson:
        write_cells_for_qupath(state, run_id, out)
    try:
        remove_old(state, state.database.read(told_retention))
    except TransientError as error:  # the results are there: what could not be tidied is tidied the next time
        log.warning("old artefacts were not removed: %s", error)
    return written


def _of_this_machine(new: NewRun) -> NewRun:
    """The same submission as a run of its own for what networks run on here."""
    digest = hashlib.sha256(json.dumps([new.digest, runtimes()], sort_keys=True).encode())
    return replace(new, digest=digest.hexdigest())


def _listed(begun: dict[tuple[int, str], str]) -> str:
    return "; ".join(f"{words} ({queue})" for (_, queue), words in begun.items())
