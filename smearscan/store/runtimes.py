"""What the networks of a run's queues run on: whoever works on one first says it, and others keep away."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, select

from smearscan.store.inserts import insert_into
from smearscan.store.schema import runtimes


def bind(connection: Connection, run_id: int, queue: str, runtime: str) -> bool:
    """Say what a run's queue is worked on with, unless somebody else has.

    Returns
    -------
    bool
        False if somebody had, and it is something else.
    """
    said = select(runtimes.c.runtime).where(runtimes.c.run_id == run_id, runtimes.c.queue == queue)
    if (there := connection.execute(said).scalar_one_or_none()) is None:
        mine = insert_into(connection, runtimes).values(run_id=run_id, queue=queue, runtime=runtime)
        # Two at the same moment: the second waits here until the first has committed, and reads what that one said.
        connection.execute(mine.on_conflict_do_nothing())
        there = connection.execute(said).scalar_one()
    return bool(there == runtime)


def foreign(connection: Connection, run_ids: Collection[int], mine: Mapping[str, str]) -> dict[tuple[int, str], str]:
    """(Run, queue) → what it is worked on with, where that is not what this worker has for the queue."""
    if not mine:
        return {}
    query = select(runtimes).where(runtimes.c.run_id.in_(run_ids), runtimes.c.queue.in_(mine))
    rows = connection.execute(query.order_by(runtimes.c.run_id, runtimes.c.queue))
    return {(row.run_id, row.queue): row.runtime for row in rows if row.runtime != mine[row.queue]}


def runtimes_of(connection: Connection, run_id: int) -> dict[str, str]:
    """Queue → what a run's networks ran on there, for the queues that were worked on."""
    query = select(runtimes.c.queue, runtimes.c.runtime).where(runtimes.c.run_id == run_id).order_by(runtimes.c.queue)
    return {row.queue: row.runtime for row in connection.execute(query)}
