"""The night in numbers, read from the state's tables for whoever watches it: nothing here names a patient.

Read every few seconds for years, so that a reading costs what is open now, not what was ever done: sums over
finished runs and over old lines of the log of work are kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, case, func, select, text

from smearscan.store.clock import now
from smearscan.store.schema import chunks, runs, slides, work, workers

#: Seconds that rates look back; lines of work older than that are added up once.
RECENT_S = 300.0
#: Seconds after which a worker that was not heard of no longer counts.
SILENT_S = 600.0
#: Seconds after its end when nothing more of a run changes (what a cancelled run had in hand has ended too).
_SETTLED_S = 3600.0
#: Ids that one statement names at most.
_MOST_IDS = 500


@dataclass(frozen=True, slots=True)
class WorkSum:
    """Work added up: chunks, items (cells of `classify`), places in the networks' batches, seconds."""

    n_chunks: int = 0
    n_items: int = 0
    n_slots: int = 0
    seconds: float = 0.0

    def __add__(self, other: WorkSum) -> WorkSum:
        return WorkSum(
            self.n_chunks + other.n_chunks,
            self.n_items + other.n_items,
            self.n_slots + other.n_slots,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """One reading; runs of `smearscan screen` are left out.

    Attributes
    ----------
    queue
        (stage, queue, status) → chunks of open runs; status is ``ready``, ``waiting`` (for a later try) or ``running``.
    pool_items
        Cells that are cut and wait for the networks.
    oldest_ready_s
        (queue, priority) → seconds since the chunk that could have been done longest became ready.
    overdue_s
        Seconds that the oldest lease is past its end; 0 where none is.
    slides
        State → slides of all runs.
    failed
        Kind of error → slides that failed.
    runs
        (state, priority) → runs.
    oldest_run_s
        Priority → seconds since the oldest open run was submitted.
    work, recent
        (stage, outcome) → work since the state was made, and in the last `RECENT_S`.
    last_work_at
        Seconds since 1970 of the last line of work; None where there is none.
    workers_seen
        Queue → workers heard of in the last `SILENT_S`; `n_refusing` of all have other code or weights than a run.
    untaken
        Queue → chunks that are ready and that all those leave alone who serve the queue, if there are any.
    """

    queue: Mapping[tuple[str, str, str], int]
    pool_items: int
    oldest_ready_s: Mapping[tuple[str, int], float]
    overdue_s: float
    slides: Mapping[str, int]
    failed: Mapping[str, int]
    runs: Mapping[tuple[str, int], int]
    oldest_run_s: Mapping[int, float]
    work: Mapping[tuple[str, str], WorkSum]
    recent: Mapping[tuple[str, str], WorkSum]
    last_work_at: float | None
    workers_seen: Mapping[str, int]
    n_refusing: int
    untaken: Mapping[str, int]
    database_bytes: int


@dataclass(slots=True)
class FigureReader:
    """Reads figures again and again; keeps what cannot change any more."""

    _settled_slides: dict[int, dict[tuple[str, str], int]] = field(default_factory=dict)
    _settled_until: float = 0.0
    _settled_work: dict[tuple[str, str], WorkSum] = field(default_factory=dict)
    _last_work_at: float | None = None

    def read(self, connection: Connection) -> Figures:
        """One reading, of one moment."""
        time = now(connection)
        found = connection.execute(
            select(runs.c.id, runs.c.state, runs.c.priority, runs.c.submitted_at, runs.c.finished_at).where(
                ~runs.c.is_embedded
            )
        ).all()
        still_open = {run.id: run for run in found if run.state == "open"}
        waiting = _waiting(connection, list(still_open), time)
        by_state = self._slides(connection, found, time)
        recent = self._work(connection, time)
        heard = _heard_of(connection, time)
        return Figures(
            queue=_add_up((row.stage, row.queue, row.kind, row.n) for row in waiting),
            pool_items=sum(int(row.n_pooled) for row in waiting if row.kind == "ready"),
            oldest_ready_s=_oldest_ready(waiting, still_open, time),
            overdue_s=max([0.0, *(time - row.lease for row in waiting if row.kind == "running")]),
            slides=_add_up((state, n) for (state, _), n in by_state.items()),
            failed=_add_up((error or "unknown", n) for (state, error), n in by_state.items() if state == "failed"),
            runs=_add_up((run.state, run.priority, 1) for run in found),
            oldest_run_s=_longest((run.priority, time - run.submitted_at) for run in still_open.values()),
            work=_merged(self._settled_work, recent),
            recent=recent,
            last_work_at=self._last_work_at,
            workers_seen=_add_up((queue, 1) for worker in heard for queue in worker.queues),
            n_refusing=sum(any(not queue for _, queue in worker.leaves) for worker in heard),
            untaken=_untaken(waiting, heard),
            database_bytes=_database_bytes(connection),
        )

    def _slides(self, connection: Connection, found: Sequence[Any], time: float) -> dict[tuple[str, str], int]:
        """(state, kind of error) → slides; runs that ended long ago are counted once."""
        settled = {run.id for run in found if run.finished_at is not None and run.finished_at < time - _SETTLED_S}
        for reopened in self._settled_slides.keys() - settled:
            del self._settled_slides[reopened]
        asked = [run.id for run in found if run.id not in self._settled_slides]
        counted: dict[int, dict[tuple[str, str], int]] = {run_id: {} for run_id in asked}
        for some in _in_parts(asked):
            query = select(slides.c.run_id, slides.c.state, slides.c.error, func.count().label("n"))
            query = query.where(slides.c.run_id.in_(some)).group_by(slides.c.run_id, slides.c.state, slides.c.error)
            for row in connection.execute(query):
                counted[row.run_id][row.state, row.error] = row.n
        self._settled_slides |= {run_id: counted[run_id] for run_id in asked if run_id in settled}
        every = [*self._settled_slides.values(), *(counted[run_id] for run_id in asked if run_id not in settled)]
        return _add_up((*key, n) for of_run in every for key, n in of_run.items())

    def _work(self, connection: Connection, time: float) -> dict[tuple[str, str], WorkSum]:
        """Work of the last minutes; what is older is added to the settled sums on the way."""
        until = max(self._settled_until, time - RECENT_S)
        older = _work_between(connection, self._settled_until, until)
        self._settled_work = _merged(self._settled_work, older)
        self._settled_until = until
        recent = _work_between(connection, until, None)
        # Ids follow the time but for what is written at the same moment: near enough for "when was the last".
        last = connection.execute(select(func.max(work.c.at))).scalar()
        self._last_work_at = None if last is None else float(last)
        return recent


def _waiting(connection: Connection, run_ids: Sequence[int], time: float) -> list[Row[Any]]:
    """Chunks of open runs that are not done, by run, stage, queue and what they wait for."""
    kind = case(
        (chunks.c.status != "ready", chunks.c.status), (chunks.c.ready_at <= time, "ready"), else_="waiting"
    ).label("kind")
    pooled = case((chunks.c.pool != "", chunks.c.n_items), else_=0)
    query = select(
        chunks.c.run_id,
        chunks.c.stage,
        chunks.c.queue,
        kind,
        func.count().label("n"),
        func.sum(pooled).label("n_pooled"),
        func.min(chunks.c.ready_at).label("since"),
        func.min(chunks.c.lease_until).label("lease"),
    ).where(chunks.c.status.in_(["ready", "running"]))
    found: list[Row[Any]] = []
    for some in _in_parts(run_ids):
        of_runs = query.where(chunks.c.run_id.in_(some))
        found += connection.execute(of_runs.group_by(chunks.c.run_id, chunks.c.stage, chunks.c.queue, kind)).all()
    return found


def _oldest_ready(
    waiting: Sequence[Row[Any]], still_open: Mapping[int, Any], time: float
) -> dict[tuple[str, int], float]:
    ready = (row for row in waiting if row.kind == "ready")
    return _longest(((row.queue, still_open[row.run_id].priority), time - row.since) for row in ready)


def _work_between(connection: Connection, after: float, until: float | None) -> dict[tuple[str, str], WorkSum]:
    query = (
        select(
            work.c.stage,
            work.c.outcome,
            func.sum(work.c.n_chunks),
            func.sum(work.c.n_items),
            func.sum(work.c.n_slots),
            func.sum(work.c.seconds),
        )
        .where(work.c.at > after, work.c.run_id.in_(select(runs.c.id).where(~runs.c.is_embedded)))
        .group_by(work.c.stage, work.c.outcome)
    )
    if until is not None:
        query = query.where(work.c.at <= until)
    return {
        (stage, outcome): WorkSum(int(n_chunks), int(n_items), int(n_slots), float(seconds))
        for stage, outcome, n_chunks, n_items, n_slots, seconds in connection.execute(query)
    }


@dataclass(frozen=True, slots=True)
class _Heard:
    """A worker: queues that it serves, and (run, queue) that it leaves alone; no queue is every queue."""

    queues: frozenset[str]
    leaves: frozenset[tuple[int, str]]

    def takes(self, run_id: int, queue: str) -> bool:
        return queue in self.queues and not {(run_id, ""), (run_id, queue)} & self.leaves


def _heard_of(connection: Connection, time: float) -> list[_Heard]:
    rows = connection.execute(select(workers.c.queues, workers.c.leaves).where(workers.c.seen_at > time - SILENT_S))
    return [
        _Heard(frozenset(filter(None, row.queues.split(","))), frozenset((run, queue) for run, queue in row.leaves))
        for row in rows
    ]


def _untaken(waiting: Sequence[Row[Any]], heard: Sequence[_Heard]) -> dict[str, int]:
    served = frozenset[str]().union(*(worker.queues for worker in heard))
    ready = (row for row in waiting if row.kind == "ready" and row.queue in served)
    return _add_up(
        (row.queue, row.n) for row in ready if not any(worker.takes(row.run_id, row.queue) for worker in heard)
    )


def _database_bytes(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages = connection.execute(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
        return int(pages.scalar_one())
    return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def _add_up(rows: Iterable[tuple[Any, ...]]) -> dict[Any, int]:
    """Sum the last column by those before it; a single one of them is not a tuple."""
    sums: dict[Any, int] = {}
    for *key, n in rows:
        name = key[0] if len(key) == 1 else tuple(key)
        sums[name] = sums.get(name, 0) + int(n)
    return sums


def _longest(rows: Iterable[tuple[Any, float]]) -> dict[Any, float]:
    longest: dict[Any, float] = {}
    for key, seconds in rows:
        longest[key] = max(longest.get(key, 0.0), float(seconds))
    return longest


def _merged(
    first: Mapping[tuple[str, str], WorkSum], second: Mapping[tuple[str, str], WorkSum]
) -> dict[tuple[str, str], WorkSum]:
    return {key: first.get(key, WorkSum()) + second.get(key, WorkSum()) for key in {**first, **second}}


def _in_parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[first : first + _MOST_IDS] for first in range(0, len(ids), _MOST_IDS)]
