"""What is kept and for how long: results always, what they were made from as long as age and size allow."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, select

from smearscan.errors import TransientError
from smearscan.store.artefacts import RESULTS, Kept
from smearscan.store.schema import chunks, runs, slides
from smearscan.store.state import State
from smearscan.store.told import heard, tell

log = logging.getLogger(__name__)

_TOLD = "retention"

#: Seconds after which a file that is half written has no writer any more.
_ABANDONED_S = 86_400.0
#: Bytes that are kept free where artefacts are, and seconds that an artefact is spared for then: its chunk may not be
#: written down yet.
_LEAST_FREE, _SPARED_S = 2e9, 120.0


@dataclass(frozen=True, slots=True)
class Retention:
    """Days and gigabytes of artefacts that are no results; what an unfinished slide needs is kept in any case."""

    days: float = 14.0
    gigabytes: float = 50.0


def tell_retention(connection: Connection, retention: Retention) -> None:
    """Write down what is to be kept, for whoever tidies the same state without being told."""
    tell(connection, _TOLD, asdict(retention))


def told_retention(connection: Connection) -> Retention:
    """What was told last; the default where nothing was."""
    found = heard(connection, _TOLD)
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
    kept = _removable(state)
    limit, oldest = retention.gigabytes * 1e9, time_now - retention.days * 86_400
    total = sum(artefact.n_bytes for artefact in kept)
    removed = 0
    for artefact in kept:
        if artefact.written_at >= oldest and total <= limit:
            break
        state.artefacts.remove(artefact.key)
        total -= artefact.n_bytes
        removed += 1
    if removed:
        log.info("%d old artefacts removed, %.1f GB kept", removed, total / 1e9)
    return removed


def is_tight(state: State) -> bool:
    """Whether hardly any room is left for artefacts; False where the store does not say."""
    return _missing(state) > 0


def make_room(state: State, now: float | None = None) -> int:
    """Where hardly any room is left, remove the oldest artefacts until there is some, whatever retention allows.

    Full, the disk would keep the night from going on while it holds what nobody needs any more.

    Returns
    -------
    int
        Artefacts removed.
    """
    missing = _missing(state)
    youngest = (time.time() if now is None else now) - _SPARED_S
    removed = 0
    for artefact in _removable(state) if missing > 0 else []:
        if missing <= 0 or artefact.written_at > youngest:
            break
        state.artefacts.remove(artefact.key)
        missing -= artefact.n_bytes
        removed += 1
    if removed:
        log.warning("hardly any room is left: %d artefacts were removed before their time", removed)
    return removed


def _missing(state: State) -> float:
    try:
        free = state.artefacts.free_bytes()
    except TransientError:  # a share that is away: whoever works says so
        return 0.0
    return 0.0 if free is None else _LEAST_FREE - free


def _removable(state: State) -> list[Kept]:
    """Artefacts that are no results and that no unfinished slide needs, the oldest first."""
    in_use = _in_use(state)
    kept = (a for a in state.artefacts.walk() if a.key.split("-", 1)[0] not in RESULTS and a.key not in in_use)
    return sorted(kept, key=lambda a: (a.written_at, a.key))


def _in_use(state: State) -> set[str]:
    """Keys that chunks of unfinished slides of unfinished runs made or are to read.

    Of a slide that has ended its record is all that is asked for: a night's run is open until the morning, and the
    cells cut for all its slides would fill any disk.
    """
    with state.database.reading() as connection:
        query = (
            select(chunks.c.output, chunks.c.task)
            .join(runs, runs.c.id == chunks.c.run_id)
            .join(slides, slides.c.id == chunks.c.slide_row)
            .where(runs.c.state == "open", slides.c.state.in_(["waiting", "open"]))
        )
        rows = connection.execute(query).all()
    found: set[str] = set()
    for row in rows:
        found |= {row.output} if row.output else set()
        for value in row.task.values():
            found |= {value} if isinstance(value, str) else set(value)
    return found
