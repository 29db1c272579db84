"""What a person wants to know of a run while it goes on: stages, rate, estimate, what failed and why."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from smearscan.stages.progress import RunProgress, run_progress
from smearscan.stages.table import STAGES
from smearscan.store.clock import now
from smearscan.store.runs import Run
from smearscan.store.schema import chunks, patients, runs, slides, work, workers

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
    """

    run: Run
    progress: RunProgress
    stages: tuple[StageStatus, ...]
    cells_per_s: float
    seconds_left: float | None
    failures: tuple[SlideFailure, ...]
    n_failures_hidden: int
    unmade: tuple[tuple[str, str], ...] = ()


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
        _unmade(connection, run.id, most_failures),
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
    # Of a traceback the last line says what it was.
    return tuple((patient or "", trouble.strip().splitlines()[-1]) for patient, trouble in connection.execute(query))


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


def recent_runs(connection: Connection, at_most: int = 10) -> list[int]:
    """Ids of the runs that are open, and of the last ones."""
    still_open = list(connection.execute(select(runs.c.id).where(runs.c.state == "open")).scalars())
    last = list(connection.execute(select(runs.c.id).order_by(runs.c.id.desc()).limit(at_most)).scalars())
    return sorted({*still_open, *last})
