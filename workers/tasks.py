"""What a worker process does when it is woken: take work from the state until there is none for it."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass

from celery import Celery

from smearscan.errors import TransientError
from smearscan.local import start_process
from smearscan.models.runtime import runtime
from smearscan.stages.execute import Worker
from smearscan.stages.keys import code_digest
from smearscan.store.claims import Wanted
from smearscan.store.location import Location
from smearscan.store.state import open_state
from smearscan.store.sweep import worker_name
from workers.gpus import promised
from workers.roll import sign_in
from workers.wake import SERVE, wake
from workers.window import Window

log = logging.getLogger(__name__)

#: Exit code of a process that has lost its GPU; another takes its place.
_LOST_DEVICE = 76
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
            _say_what_it_runs_on(shift.queues)
            wanted = Wanted(worker_name(), shift.queues, lease_s=shift.lease_s)
            state = open_state(shift.location)
            self.worker = Worker(state, wanted, most_failures=shift.most_failures, on_device_lost=_end_process)
        return self.worker


def settle_before_fork() -> None:
    """Import what all processes of a worker need, and read what code it is; nothing is computed, no GPU is touched.

    A process that replaces a dead one is at work at once then, and all of them share the memory. Read later, the code
    might be that of an upgrade, under whose name what is in memory must not work.
    """
    start_process()
    code_digest()


def _say_what_it_runs_on(queues: tuple[str, ...]) -> None:
    here = runtime()
    if "gpu" in queues:
        log.info("the networks run on %s", here)
    if (told := promised()) and "cuda" not in here:
        log.error("GPU %s cannot be used: the networks run on %s", told, here)


def _end_process() -> None:
    # No other way out is certain once the device's context is lost; what was in hand has been put back.
    log.error("this process has lost its GPU and ends; another takes its place")
    os._exit(_LOST_DEVICE)


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
