"""What is kept and for how long: results always, what they were made from as long as age and size allow."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from sqlalchemy import select

from smearscan.store.artefacts import RESULTS, Kept
from smearscan.store.schema import chunks, runs
from smearscan.store.state import State

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention:
    """Days and gigabytes of artefacts that are no results; those of unfinished runs are kept in any case."""

    days: float = 14.0
    gigabytes: float = 50.0


def remove_old(state: State, retention: Retention, now: float | None = None) -> int:
    """Remove artefacts that are too old, then the oldest until the rest is small enough.

    Returns
    -------
    int
        Artefacts removed. What is removed is made again when it is asked for.
    """
    in_use = _in_use(state)
    kept = [a for a in state.artefacts.walk() if a.key.split("-", 1)[0] not in RESULTS and a.key not in in_use]
    limit, oldest = retention.gigabytes * 1e9, (time.time() if now is None else now) - retention.days * 86_400
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
