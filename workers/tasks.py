"""What a worker process does when it is woken: take work from the state until there is none for it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from celery import Celery

from smearscan.errors import TransientError
from smearscan.local import start_process
from smearscan.stages.execute import Worker
from smearscan.store.claims import Wanted
from smearscan.store.location import Location
from smearscan.store.state import open_state
from smearscan.store.sweep import worker_name
from workers.roll import sign_in
from workers.wake import SERVE, wake
from workers.window import Window

log = logging.getLogger(__name__)

#: Seconds of work to one wake-up: a message costs milliseconds, a worker that is told to stop ends soon.
_SPELL_S = 2.0


@dataclass(frozen=True, slots=True)
class Shift:
    """What the processes of one worker have in common."""

    location: Location
    queues: tuple[str, ...]
    lease_s: float
    window: Window
    most_failures: int = 3


class _Process:
    """The worker of this process, made when it is first woken: nothing is opened before a fork."""

    def __init__(self) -> None:
        self.worker: Worker | None = None

    def of(self, shift: Shift) -> Worker:
        if self.worker is None:
            start_process()
            wanted = Wanted(worker_name(), shift.queues, lease_s=shift.lease_s)
            self.worker = Worker(open_state(shift.location), wanted, most_failures=shift.most_failures)
        return self.worker


def add_tasks(app: Celery, shift: Shift) -> None:
    """Register the one task."""
    process = _Process()

    def serve(queue: str) -> None:
        try:
            worker = process.of(shift)
            sign_in(worker, shift.queues)
            n_done, began = 0, time.monotonic()
            while time.monotonic() - began < _SPELL_S:
                worker.takes_routine = shift.window.is_open()
                n = worker.turn()
                n_done += n
                if not n:
                    break
            if n_done:
                wake(app, worker.state)
        except TransientError as error:
            # What was in hand is on lease, which runs out; the sweeper wakes somebody when the state is back.
            log.warning("%s", error)

    app.task(name=SERVE)(serve)
