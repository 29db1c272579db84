"""The sweeper: gives back what lost workers had, wakes workers where work waits, removes old artefacts.

Any number may run; one is enough. It holds nothing in memory, so that killing it loses nothing.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from dataclasses import dataclass, field

from celery import Celery
from sqlalchemy import select

from smearscan.errors import TransientError
from smearscan.local import fail_lost
from smearscan.stages.retention import Retention, is_tight, make_room, remove_old, tell_retention
from smearscan.store.location import Location
from smearscan.store.schema import chunks
from smearscan.store.state import State, open_state
from smearscan.store.sweep import lost_chunks, sweep
from workers.app import make_app
from workers.wake import FEW, MANY, wake

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sweeping:
    """How often, how patient, and what is kept.

    Attributes
    ----------
    every_s
        Seconds between rounds.
    most_losses
        Workers that a chunk may lose before it is quarantined: machines die, a chunk that kills them is rare.
    retention
        Age and size of artefacts kept; results are always kept.
    tidy_every_s
        Seconds between looks for old artefacts.
    room_every_s
        Seconds between tries to make room where hardly any is left.
    """

    every_s: float = 1.0
    most_losses: int = 20
    retention: Retention = field(default_factory=Retention)
    tidy_every_s: float = 600.0
    room_every_s: float = 30.0


def run_sweeper(location: Location, sweeping: Sweeping, over: threading.Event | None = None) -> None:
    """Sweep until told to stop by a signal, or by `over`."""
    over = over or _until_signal()
    app, state = make_app(location), open_state(location, patience_s=5.0)
    state.database.run(tell_retention, sweeping.retention)
    # In a thread of its own: a walk over millions of artefacts takes minutes, in which lost work must not wait.
    tidying = threading.Thread(target=_tidy, args=(state, sweeping, over), daemon=True, name="tidying")
    tidying.start()
    while not over.wait(sweeping.every_s):
        if not tidying.is_alive():  # it wrote down why; whoever keeps this process alive starts both again
            raise RuntimeError("nobody removes old artefacts any more")
        try:
            sweep_once(app, state, sweeping.most_losses)
        except TransientError as error:
            log.warning("%s", error)


def _tidy(state: State, sweeping: Sweeping, over: threading.Event) -> None:
    tidied = made_room = time.monotonic()
    while not over.wait(sweeping.every_s):
        try:
            if time.monotonic() - tidied > sweeping.tidy_every_s:
                tidied = time.monotonic()
                remove_old(state, sweeping.retention)
            if time.monotonic() - made_room > sweeping.room_every_s and is_tight(state):
                made_room = time.monotonic()
                make_room(state)
        except TransientError as error:
            log.warning("old artefacts were not removed: %s", error)


def sweep_once(app: Celery, state: State, most_losses: int) -> None:
    """One round."""
    with state.database.transaction() as connection:
        swept = sweep(connection, most_losses)
        lost = lost_chunks(connection)
        is_taken = connection.execute(select(chunks.c.id).where(chunks.c.status == "running").limit(1)).first()
    for chunk in swept:
        log.warning("chunk %d lost its worker %s (%d times)", chunk.chunk_id, chunk.worker, chunk.n_losses)
    for chunk_id in lost:
        fail_lost(state, chunk_id, most_losses)
    wake(app, state, MANY if is_taken else FEW)


def _until_signal() -> threading.Event:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    return over
