"""What is kept and for how long: results always, what they were made from as long as age and size allow."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from smearscan.store.artefacts import RESULTS, Kept
from smearscan.store.schema import chunks, runs, told
from smearscan.store.state import State

log = logging.getLogger(__name__)

#: Seconds after which a file that is half written has no writer any more.
_ABANDONED_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Days and gigabytes of artefacts that are no results; those of unfinished runs are kept in any case."""

    days: float = 14.0
    gigabytes: float = 50.0


def tell_retention(connection: Connection, retention: Retention) -> None:
    """Write down what is to be kept, for whoever tidies the same state without being told."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    said = dialect.insert(told).values(name="retention", value=asdict(retention))
    connection.execute(said.on_conflict_do_update(index_elements=["name"], set_={"value": said.excluded.value}))


def told_retention(connection: Connection) -> Retention:
    """What was told last; the default where nothing was."""
    found = connection.execute(select(told.c.value).where(told.c.name == "retention")).scalar()
    return Retention(**found) if found else Retention()


def remove_old(state: State, retention: Retention, now: float | None = None) -> int:
    """Remove artefacts that are too old, then the oldest until the rest is small enough.

    Returns
    -------
    int
        Artefacts removed, beside what killed writers left. What is removed is made again when it is asked for.
    """
    time_now = time.time() if now is None else now
    state.artefacts.remove_parts(time_now - _ABANDONED_S)
    in_use = _in_use(state)
    kept = [a for a in state.artefacts.walk() if a.key.split("-", 1)[0] not in RESULTS and a.key not in in_use]
    limit, oldest = retention.gigabytes * 1e9, time_now - retention.days * 86_400
    total = sum(artefact.n_bytes for artefact in kept)
    removed = 0
    for artefact in sorted(kept, key=lambda a: (a.written_at, a.key)):
        if artefact.written_at >= oldest and total <= limit:
            break
        _remove(state, artefact)
        total -= artefact.n_bytes
        removed += 1
    if removed:
        log.info("%d old artefacts removed, %.1f GB kept", removed, total / 1e9)
    return removed


def _remove(state: State, artefact: Kept) -> None:
    state.artefacts.remove(artefact.key)


def _in_use(state: State) -> set[str]:
    """Keys that chunks of unfinished runs made or are to read."""
    with state.database.reading() as connection:
        query = (
            select(chunks.c.output, chunks.c.task)
            .join(runs, runs.c.id == chunks.c.run_id)
            .where(runs.c.state == "open")
        )
        rows = connection.execute(query).all()
    found: set[str] = set()
    for row in rows:
        found |= {row.output} if row.output else set()
        for value in row.task.values():
            found |= {value} if isinstance(value, str) else set(value)
    return found
