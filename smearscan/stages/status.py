"""What a person wants to know of a run while it goes on: stages, rate, estimate, what failed and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from smearscan.stages.progress import RunProgress, run_progress
from smearscan.stages.table import STAGES
from smearscan.store.clock import now
from smearscan.store.runs import Run
from smearscan.store.schema import chunks, patients, slides, work, workers

#: Seconds that a rate looks back, and after which a worker counts as silent.
_RATE_S, _SILENT_S = 300.0, 60.0


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Chunks of one stage: `n_failed` with those put aside; `trouble` the last thing that went wrong."""

    name: str
    n_ready: int
    n_running: int
    n_done: int
    n_failed: int
    n_reused: int


@dataclass(frozen=True, slots=True)
class SlideFailure:
    """A slide that failed, and why."""

    slide_id: str
    error: str
    reason: str


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run as it stands.

    Attributes
    ----------
    cells_per_s
        Cells judged a second, lately; 0 where none were.
    seconds_left
        Estimate from slides done since the run was submitted; None before the first.
    failures
        The first failed slides, `n_failures_hidden` more.
    unmade
        Pages and files that could not be made: (patient, or "" for the run's files, why).
    losses
        The first slides that are done without some of their images: (slide, which).
    waiting
        What is to be tried again: (stage, chunks, why the last of them could not be done).
    """

    run: Run
    progress: RunProgress
    stages: tuple[StageStatus, ...]
    cells_per_s: float
    seconds_left: float | None
    failures: tuple[SlideFailure, ...]
    n_failures_hidden: int
    unmade: tuple[tuple[str, str], ...] = ()
    losses: tuple[tuple[str, str], ...] = ()
    waiting: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker on the roll: seconds since it was heard of, what it refuses."""

    name: str
    queues: str
    version: str
    device: str
    silent_s: float
    refuses: str


def run_status(connection: Connection, run: Run, most_failures: int = 20) -> RunStatus:
    """Read a run's status."""
    progress = run_progress(connection, run.id)
    failed = connection.execute(
        select(slides.c.slide_id, slides.c.error, slides.c.reason)
        .where(slides.c.run_id == run.id, slides.c.state == "failed")
        .order_by(slides.c.place)
        .limit(most_failures)
    )
    failures = tuple(SlideFailure(*row) for row in failed)
    return RunStatus(
        run,
        progress,
        _stages(connection, run.id),
        _cells_per_s(connection, run.id),
        _seconds_left(connection, run, progress),
        failures,
        progress.n_failed - len(failures),
        unmade=_unmade(connection, run.id, most_failures),
        losses=_losses(connection, run.id, most_failures),
        waiting=_waiting(connection, run.id),
    )


def _unmade(connection: Connection, run_id: int, at_most: int) -> tuple[tuple[str, str], ...]:
    query = (
        select(patients.c.patient_id, chunks.c.trouble)
        .select_from(chunks)
        .outerjoin(patients, patients.c.id == chunks.c.patient_row)
        .where(chunks.c.run_id == run_id, chunks.c.status == "failed", chunks.c.slide_row.is_(None))
        .order_by(chunks.c.id)
        .limit(at_most)
    )
    return tuple((patient or "", _last_line(trouble)) for patient, trouble in connection.execute(query))


def _losses(connection: Connection, run_id: int, at_most: int) -> tuple[tuple[str, str], ...]:
    is_partial = slides.c.run_id == run_id, slides.c.state == "done", slides.c.reason != ""
    query = select(slides.c.slide_id, slides.c.reason).where(*is_partial).order_by(slides.c.place).limit(at_most)
    return tuple((slide, loss) for slide, loss in connection.execute(query))


def _waiting(connection: Connection, run_id: int) -> tuple[tuple[str, int, str], ...]:
    to_be_tried = (chunks.c.run_id == run_id) & (chunks.c.status == "ready") & (chunks.c.trouble != "")
    query = select(chunks.c.stage, func.count(), func.max(chunks.c.id)).where(to_be_tried).group_by(chunks.c.stage)
    found = {stage: (n, last) for stage, n, last in connection.execute(query)}
    trouble = select(chunks.c.trouble).where(chunks.c.id.in_([last for _, last in found.values()]))
    said = {row.stage: row.trouble for row in connection.execute(trouble.add_columns(chunks.c.stage))}
    return tuple((name, found[name][0], _last_line(said[name])) for name in STAGES if name in found)


def _last_line(trouble: str) -> str:
    """Of a traceback the last line says what it was."""
    return trouble.strip().splitlines()[-1]


def workers_heard_of(connection: Connection) -> list[WorkerStatus]:
    """Workers heard of in the last minutes, and refusals of those."""
    time = now(connection)
    query = select(workers).where(workers.c.seen_at > time - _RATE_S).order_by(workers.c.name)
    return [
        WorkerStatus(row.name, row.queues, row.version, row.device, time - row.seen_at, row.refuses)
        for row in connection.execute(query)
    ]


def _stages(connection: Connection, run_id: int) -> tuple[StageStatus, ...]:
    query = (
        select(chunks.c.stage, chunks.c.status, chunks.c.is_reused, func.count())
        .where(chunks.c.run_id == run_id)
        .group_by(chunks.c.stage, chunks.c.status, chunks.c.is_reused)
    )
    counts: dict[str, dict[str, int]] = {}
    for stage, status, is_reused, n in connection.execute(query):
        of_stage = counts.setdefault(stage, {})
        of_stage[status] = of_stage.get(status, 0) + n
        if is_reused:
            of_stage["reused"] = of_stage.get("reused", 0) + n
    return tuple(
        StageStatus(
            name,
            of_stage.get("ready", 0),
            of_stage.get("running", 0),
            of_stage.get("done", 0),
            of_stage.get("failed", 0) + of_stage.get("lost", 0),
            of_stage.get("reused", 0),
        )
        for name in STAGES
        for of_stage in [counts.get(name, {})]
        if of_stage
    )


def _cells_per_s(connection: Connection, run_id: int) -> float:
    since = now(connection) - _RATE_S
    query = select(func.sum(work.c.n_items), func.min(work.c.at - work.c.seconds), func.max(work.c.at)).where(
        work.c.run_id == run_id, work.c.stage == "classify", work.c.outcome == "done", work.c.at > since
    )
    n_cells, first, last = connection.execute(query).one()
    return float(n_cells) / max(0.1, last - first) if n_cells else 0.0


def _seconds_left(connection: Connection, run: Run, progress: RunProgress) -> float | None:
    if progress.is_over:
        return 0.0
    first = connection.execute(select(func.min(work.c.at - work.c.seconds)).where(work.c.run_id == run.id)).scalar()
    if first is None or progress.fraction <= 0:
        return None
    spent = now(connection) - first
    return float(spent * (1 - progress.fraction) / progress.fraction)
