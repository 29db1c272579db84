"""Who does what: a worker asks for work and is given a lease on one chunk, or on several that are judged together.

The broker's messages only wake workers up; what is done next is decided here, when a worker asks: stat before
routine, the laboratory that has had least first, late stages before early ones. A message lost, doubled or late
changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_, update

from smearscan.store.clock import now
from smearscan.store.runtimes import bind, foreign
from smearscan.store.schema import chunks, laboratories, runs

#: Values of `runs.priority`.
STAT, ROUTINE = 0, 1
#: Chunks that may be pooled at a time.
_MOST_POOLED = 256


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk on lease to a worker; `n_deliveries` tells this lease from an earlier one."""

    id: int
    run_id: int
    slide_row: int | None
    patient_row: int | None
    stage: str
    place: int
    n_items: int
    n_deliveries: int
    task: Mapping[str, Any]
    n_failures: int = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a worker would take.

    Attributes
    ----------
    worker
        Its name: host, process and when it began.
    queues
        Queues it serves.
    lease_s
        Seconds after which its work is given to another unless it says that it is alive.
    run_ids
        Runs it may work on: those of its own version and weights.
    takes_routine
        False outside the night's window: stat work only.
    pool_items
        Items to fill a pooled claim with, where there are so many.
    patience_s
        How long a pool that is not full waits while more is on its way.
    most_pending
        Items waiting for a pool beyond which no more are made; keeps crops from outrunning the disk.
    runtimes
        Queue → what its networks run on here; runs that others work on with something else are left to those.
    """

    worker: str
    queues: tuple[str, ...]
    lease_s: float = 60.0
    run_ids: frozenset[int] = frozenset()
    takes_routine: bool = True
    pool_items: int = 256
    patience_s: float = 1.0
    most_pending: int = 20_000
    runtimes: Mapping[str, str] = field(default_factory=dict)


def claim(connection: Connection, wanted: Wanted) -> list[Claim]:
    """Lease the most urgent work; empty where there is none for this worker now."""
    time = now(connection)
    open_runs = _open_runs(connection, wanted)
    left_alone = set(foreign(connection, wanted.run_ids, wanted.runtimes))
    may_be_done = _may_be_done(connection, open_runs, left_alone, wanted, time)
    first = _first(connection, wanted, may_be_done)
    if first is not None and first.pool:
        run_ids = [run.id for run in open_runs if (run.id, first.queue) not in left_alone]
        pool = _pool(connection, first, run_ids, time, wanted)
        if not _is_worth_it(connection, pool, first, open_runs, wanted, time):
            other = _first(connection, wanted, may_be_done & (chunks.c.pool == ""))
            pool = [other] if other is not None else _after_waiting(connection, pool, open_runs, wanted, time)
        return _lease_all(connection, pool, wanted, time)
    return [] if first is None else _lease_all(connection, [first], wanted, time)


def beat(connection: Connection, claims: Sequence[Claim], lease_s: float) -> None:
    """Say that a worker is alive and still at these."""
    until = now(connection) + lease_s
    for held in sorted(claims, key=lambda held: held.id):
        mine = (chunks.c.id == held.id) & (chunks.c.n_deliveries == held.n_deliveries)
        connection.execute(update(chunks).where(mine, chunks.c.status == "running").values(lease_until=until))


def _open_runs(connection: Connection, wanted: Wanted) -> list[Row[Any]]:
    return list(connection.execute(_ordered(wanted)))


def _ordered(wanted: Wanted) -> Select[Any]:
    """Open runs, the most urgent first, of as urgent ones those of the laboratory that has had least."""
    query = (
        select(runs.c.id, runs.c.priority)
        .join(laboratories, laboratories.c.name == runs.c.laboratory)
        .where(runs.c.state == "open", runs.c.id.in_(wanted.run_ids))
        .order_by(runs.c.priority, laboratories.c.served, runs.c.id)
    )
    return query if wanted.takes_routine else query.where(runs.c.priority == STAT)


def _first(connection: Connection, wanted: Wanted, may_be_done: ColumnElement[bool]) -> Row[Any] | None:
    """The most urgent chunk of those that may be done."""
    # No EXISTS: PostgreSQL makes a join of that, and looks at every chunk for every run where it has no statistics yet.
    any_of_run = select(chunks.c.id).where(chunks.c.run_id == runs.c.id, may_be_done).limit(1)
    with_work = _ordered(wanted).where(any_of_run.scalar_subquery().is_not(None))
    passed: list[int] = []
    while True:
        run = connection.execute(with_work.where(runs.c.id.not_in(passed)).limit(1)).first()
        if run is None:
            return None
        of_run = select(chunks).join(runs, runs.c.id == chunks.c.run_id).where(runs.c.id == run.id, may_be_done)
        first = of_run.order_by(chunks.c.rank, chunks.c.id).limit(1).with_for_update(skip_locked=True, of=chunks)
        if (found := connection.execute(first).first()) is not None:
            return found
        passed.append(run.id)  # others are taking the last that it has


def _may_be_done(
    connection: Connection,
    open_runs: Sequence[Row[Any]],
    left_alone: Collection[tuple[int, str]],
    wanted: Wanted,
    time: float,
) -> ColumnElement[bool]:
    """Whether a chunk, joined to its run, is ready and for this worker."""
    condition = (chunks.c.status == "ready") & chunks.c.queue.in_(wanted.queues) & (chunks.c.ready_at <= time)
    if left_alone:
        condition &= tuple_(chunks.c.run_id, chunks.c.queue).not_in(list(left_alone))
    pending = _pending(connection, open_runs)
    for priority in {run.priority for run in open_runs}:
        # What is less urgent, cancelled, or left to workers of another version must not keep a run from cutting.
        if sum(n for other, n in pending.items() if other <= priority) >= wanted.most_pending:
            condition &= ~((chunks.c.stage == "crop") & (runs.c.priority == priority))
    return condition


def _pending(connection: Connection, open_runs: Sequence[Row[Any]]) -> dict[int, int]:
    """Priority → items of these runs that are cut and wait to be judged."""
    query = (
        select(runs.c.priority, func.sum(chunks.c.n_items))
        .join(runs, runs.c.id == chunks.c.run_id)
        .where(chunks.c.status == "ready", chunks.c.pool != "", chunks.c.run_id.in_([run.id for run in open_runs]))
        .group_by(runs.c.priority)
    )
    return {int(row[0]): int(row[1]) for row in connection.execute(query)}


def _pool(
    connection: Connection, first: Row[Any], run_ids: Sequence[int], time: float, wanted: Wanted
) -> list[Row[Any]]:
    """Chunks that the same networks judge, of any slide and patient, until there are enough items."""
    query = (
        select(chunks)
        .where(chunks.c.status == "ready", chunks.c.pool == first.pool, chunks.c.run_id.in_(run_ids))
        .where(chunks.c.ready_at <= time)
        # Only so many are read: those of the most urgent run must be among them.
        .order_by(chunks.c.run_id != first.run_id, chunks.c.id)
        .limit(_MOST_POOLED)
        .with_for_update(skip_locked=True)
    )
    urgency = {run_id: place for place, run_id in enumerate(run_ids)}
    taken: list[Row[Any]] = []
    n_items = 0
    for row in sorted(connection.execute(query), key=lambda row: (urgency[row.run_id], row.id)):
        n_items += row.n_items
        if taken and n_items > wanted.pool_items:
            break
        taken.append(row)
    return taken


def _is_worth_it(
    connection: Connection,
    pool: Sequence[Row[Any]],
    first: Row[Any],
    open_runs: Sequence[Row[Any]],
    wanted: Wanted,
    time: float,
) -> bool:
    """Whether to judge these now: they fill a pool, or belong to a stat slide, or nothing more will come."""
    urgent = next(run.priority for run in open_runs if run.id == first.run_id) == STAT and any(
        run.priority != STAT for run in open_runs
    )
    if urgent or not pool or sum(row.n_items for row in pool) >= 0.8 * wanted.pool_items:
        return True
    more = select(chunks.c.id).where(
        chunks.c.status == "ready",
        chunks.c.ready_at <= time,
        chunks.c.pool == pool[0].pool,
        chunks.c.run_id.in_([run.id for run in open_runs]),
        chunks.c.id.not_in([row.id for row in pool]),
    )
    return connection.execute(more.limit(1)).first() is not None


def _after_waiting(
    connection: Connection, pool: list[Row[Any]], open_runs: Sequence[Row[Any]], wanted: Wanted, time: float
) -> list[Row[Any]]:
    """A pool that is not full, once it has waited long enough or nothing is on its way to it."""
    has_waited = time - min(row.ready_at for row in pool) >= wanted.patience_s
    if has_waited:
        return pool
    coming = select(chunks.c.id).where(
        chunks.c.run_id.in_([run.id for run in open_runs]),
        chunks.c.status.in_(["ready", "running"]),
        chunks.c.stage.in_(["survey", "search", "gather", "crop"]),
    )
    return [] if connection.execute(coming.limit(1)).first() is not None else pool


def _lease_all(connection: Connection, rows: Sequence[Row[Any]], wanted: Wanted, time: float) -> list[Claim]:
    """Lease chunks, but those of runs that another has begun just now with other networks' last bits."""
    ours = {
        (row.run_id, row.queue): row.queue not in wanted.runtimes
        or bind(connection, row.run_id, row.queue, wanted.runtimes[row.queue])
        for row in sorted(rows, key=lambda row: (row.run_id, row.queue))
    }
    return [_lease(connection, row, wanted, time) for row in rows if ours[row.run_id, row.queue]]


def _lease(connection: Connection, row: Row[Any], wanted: Wanted, time: float) -> Claim:
    n_deliveries = row.n_deliveries + 1
    connection.execute(
        update(chunks)
        .where(chunks.c.id == row.id)
        .values(status="running", worker=wanted.worker, lease_until=time + wanted.lease_s, n_deliveries=n_deliveries)
    )
    return Claim(
        row.id,
        row.run_id,
        row.slide_row,
        row.patient_row,
        row.stage,
        row.place,
        row.n_items,
        n_deliveries,
        row.task,
        row.n_failures,
    )


def count_ready(connection: Connection, queue: str, at_most: int) -> int:
    """How many chunks of a queue could be claimed, counted no further than `at_most`."""
    some = (
        select(chunks.c.id)
        .join(runs, runs.c.id == chunks.c.run_id)
        .where(chunks.c.status == "ready", chunks.c.queue == queue, runs.c.state == "open", ~runs.c.is_embedded)
        .limit(at_most)
    )
    return int(connection.execute(select(func.count()).select_from(some.subquery())).scalar_one())
