"""Runs by name: found, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select, update

from smearscan.errors import SettingsError
from smearscan.store.clock import now
from smearscan.store.schema import chunks, patients, runs, slides

#: Ids that one statement names at most.
_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class Run:
    """A submission as it stands; `settings` are plain values, `identity` is code, cards and weights."""

    id: int
    name: str
    laboratory: str
    priority: int
    state: str
    preset: str
    settings: dict[str, Any]
    identity: str
    version: str
    out: str
    n_slides: int
    is_embedded: bool
    submitted_at: float
    finished_at: float | None


def find_run(connection: Connection, name: str) -> Run:
    """A run by its name, or `last`.

    Raises
    ------
    SettingsError
        If there is none.
    """
    query = select(runs)
    query = query.order_by(runs.c.id.desc()).limit(1) if name == "last" else query.where(runs.c.name == name)
    row = connection.execute(query).first()
    if row is None:
        known = ", ".join(connection.execute(select(runs.c.name).order_by(runs.c.id.desc()).limit(5)).scalars())
        raise SettingsError(
            f"there is no run {name!r}", f"known are {known}" if known else "submit slides first, or name their --state"
        )
    return as_run(row)


def as_run(row: Row[Any]) -> Run:
    """The record of a row of `runs`."""
    names = Run.__slots__
    return Run(**{name: getattr(row, name) for name in names})


def open_runs(connection: Connection) -> list[Run]:
    """Runs that are not finished, on the queue or embedded, oldest first."""
    return [as_run(row) for row in connection.execute(select(runs).where(runs.c.state == "open").order_by(runs.c.id))]


def open_run_ids(connection: Connection, is_embedded: bool) -> list[int]:
    """Ids of the runs of the queue, or of `smearscan screen`, that are not finished, oldest first."""
    query = select(runs.c.id).where(runs.c.state == "open", runs.c.is_embedded.is_(is_embedded))
    return list(connection.execute(query.order_by(runs.c.id)).scalars())


def runs_of(connection: Connection, run_ids: Sequence[int]) -> list[Run]:
    """Runs by their ids."""
    parts = [run_ids[first : first + _MOST_IDS] for first in range(0, len(run_ids), _MOST_IDS)]
    return [as_run(row) for part in parts for row in connection.execute(select(runs).where(runs.c.id.in_(part)))]


def cancel(connection: Connection, run_id: int) -> int:
    """Stop a run: what has not begun is dropped, what is running ends and leads to nothing.

    Returns
    -------
    int
        Chunks dropped.
    """
    moved = connection.execute(
        update(runs)
        .where(runs.c.id == run_id, runs.c.state == "open")
        .values(state="cancelled", finished_at=now(connection))
    )
    if not moved.rowcount:
        return 0
    waiting = (chunks.c.run_id == run_id) & chunks.c.status.in_(["ready"])
    return int(connection.execute(update(chunks).where(waiting).values(status="dropped")).rowcount)


def retry(connection: Connection, run_id: int, first_chunk: dict[str, Any], patient_chunk: dict[str, Any]) -> int:
    """Begin the failed slides of a run again, their patients, and pages and files that failed; what is done stays done.

    Slides that were refused when they were submitted stay as they are: their submission must be mended.

    Returns
    -------
    int
        Slides begun again.

    Raises
    ------
    SettingsError
        If the run was cancelled: what was dropped would leave it open for ever.
    """
    time = now(connection)
    if connection.execute(select(runs.c.state).where(runs.c.id == run_id)).scalar_one() == "cancelled":
        raise SettingsError(f"run r{run_id} was cancelled", "submit its slides again")
    failed = sorted(
        connection.execute(
            update(slides)
            .where(slides.c.run_id == run_id, slides.c.state == "failed", slides.c.error != "rejected")
            .values(state="waiting", reason="", error="", stamp=None, n_open=1, result=None, finished_at=None)
            .returning(slides.c.id, slides.c.patient_row, slides.c.place)
        )
    )
    for row in failed:
        _drop(connection, chunks.c.slide_row == row.id)
    n_patients, waiting = _reopen_patients(connection, run_id, [row.patient_row for row in failed])
    base = {"run_id": run_id, "status": "ready", "ready_at": time, "task": {}}
    for added in (
        [{**first_chunk, **base, "slide_row": row.id, "place": row.place} for row in failed],
        [{**patient_chunk, **base, "patient_row": row, "place": 0} for row in waiting],
    ):
        if added:
            connection.execute(insert(chunks), added)
    if n_patients:
        reopened = {"state": "open", "n_open": runs.c.n_open + n_patients, "finished_at": None}
        connection.execute(update(runs).where(runs.c.id == run_id).values(reopened))
        _drop(connection, (chunks.c.run_id == run_id) & (chunks.c.stage == "export"))
    else:
        _write_again(connection, run_id, time)
    return len(failed)


def _write_again(connection: Connection, run_id: int, time: float) -> None:
    """Begin the run's files again where they could not be written."""
    unwritten = (chunks.c.run_id == run_id) & (chunks.c.stage == "export") & (chunks.c.status == "failed")
    again = {"status": "ready", "ready_at": time, "n_failures": 0, "n_losses": 0}
    if connection.execute(update(chunks).where(unwritten).values(again)).rowcount:
        connection.execute(update(runs).where(runs.c.id == run_id).values(state="open", finished_at=None))


def _drop(connection: Connection, which: ColumnElement[bool]) -> None:
    # Never deleted: SQLite would give their ids to the chunks that follow, and a worker that is still at one of the
    # old would hand in what it made as one of the new.
    connection.execute(update(chunks).where(which).values(status="dropped", output=None, lease_until=None))


def _reopen_patients(connection: Connection, run_id: int, of_slides: list[int]) -> tuple[int, list[int]]:
    """Reopen patients with slides begun again, and those whose own stages failed.

    Returns
    -------
    tuple
        How many were closed before, and the rows of those that wait for no slide.
    """
    broken = select(patients.c.id).where(patients.c.run_id == run_id, patients.c.state == "failed")
    n_reopened, waiting = 0, []
    for row in sorted({*of_slides, *connection.execute(broken).scalars()}):
        # Locked before its open slides are counted: one that ends in the meantime must be counted once.
        locked = select(patients.c.state).where(patients.c.id == row).with_for_update()
        was = connection.execute(locked).scalar_one()
        # By state: a slide that waits for its gathering or its end has nothing open below it.
        open_slides = select(func.count()).where(slides.c.patient_row == row, slides.c.state.in_(["waiting", "open"]))
        n_open = int(connection.execute(open_slides).scalar_one())
        connection.execute(
            update(patients).where(patients.c.id == row).values(state="open", n_open=n_open, result=None, report=None)
        )
        _drop(connection, chunks.c.patient_row == row)
        n_reopened += was != "open"
        waiting += [row] if n_open == 0 else []
    return n_reopened, waiting
