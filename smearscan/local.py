"""The embedded executor: a run worked off by processes of this machine, over the same state and stages as the queue.

It loses nothing when it is killed: the next `smearscan screen` of the same smears goes on where it stopped.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from itertools import count
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess

from smearscan.errors import PermanentError, TransientError
from smearscan.models.runtime import take_gpu
from smearscan.stages import flow
from smearscan.stages.execute import Worker
from smearscan.stages.progress import RunProgress, run_progress
from smearscan.stages.table import LIMIT_S, QUEUES
from smearscan.store.claims import Claim, Wanted
from smearscan.store.database import PATIENCE_S
from smearscan.store.location import Location
from smearscan.store.schema import chunks
from smearscan.store.state import State, open_state
from smearscan.store.sweep import lost_chunks, sweep, waits_for, worker_name

log = logging.getLogger(__name__)

#: Called with how far a run has come.
OnProgress = Callable[[RunProgress], None]

#: Seconds between looks at a run, and between a worker's looks for work.
_LOOK_S, _IDLE_S = 0.25, 0.02
#: Seconds between looks for work that others than our own processes lost: another `smearscan screen` of the same run.
_RECOVER_S = 5.0
#: Seconds without any progress after which trouble that was to pass ends `smearscan screen`.
_PATIENCE_S = PATIENCE_S
#: Workers that a chunk may lose in `smearscan screen`: most often for want of memory, and then it will again.
MOST_LOSSES = 3
#: Deaths a process without anything done in between: a chunk that kills its worker is put aside after fewer.
_MOST_IDLE_DEATHS = 5
#: Exit code of a process that refuses the run: its code or weights are not those of the parent any more.
_REFUSED = 75
#: Exit code of a process that ended itself: a piece of work did not, or the GPU was lost.
_STUCK = 76


def start_process() -> None:
    """Settle a working process: one thread for each library, whatever the machine has; no GPU is touched here."""
    # A third of a million objects come with them and stay: to look for garbage among them takes a fifth of the start,
    # and a fifth of a second each later time. Left frozen to the end they would be told as leaks.
    gc.disable()
    import cv2
    import torch

    gc.freeze()
    atexit.register(gc.unfreeze)
    gc.enable()
    torch.set_num_threads(1)
    # A GPU's kernels are chosen by what room there is on it, unless only those that always give the same are allowed.
    torch.backends.cudnn.deterministic = True
    cv2.setNumThreads(0)


def work_off(state: State, run_id: int, jobs: int, on_progress: OnProgress) -> None:
    """Work on a run until it is done.

    Parameters
    ----------
    jobs
        Processes; with one, the work is done in this one.
    """
    _recover(state, run_id)
    if jobs == 1:
        _work_here(state, run_id, on_progress)
    else:
        _work_in_processes(state, run_id, jobs, on_progress)


def _work_here(state: State, run_id: int, on_progress: OnProgress) -> None:
    start_process()
    worker = _worker(state, run_id)
    said, patience = 0.0, _Patience(state, run_id)
    while True:
        did = worker.turn()
        if time.monotonic() - said > _LOOK_S or not did:
            said, progress = time.monotonic(), _progress(state, run_id)
            on_progress(progress)
            if progress.is_over:
                return
            patience.look(progress)
        if not did:
            time.sleep(_IDLE_S)
            _recover(state, run_id)


def _work_in_processes(state: State, run_id: int, jobs: int, on_progress: OnProgress) -> None:
    # spawn: a forked child would inherit torch's locks in whatever state they are.
    context = get_context("spawn")

    # One that takes the place of another takes another GPU too: the first one's may have failed.
    places = count()

    def start() -> BaseProcess:
        process = context.Process(target=_serve, args=(state.location, run_id, next(places)), daemon=True)
        process.start()
        return process

    processes = [start() for _ in range(jobs)]
    said, recovered, n_deaths, patience = None, time.monotonic(), 0, _Patience(state, run_id)
    try:
        while not (progress := _progress(state, run_id)).is_over:
            if progress != said:
                on_progress(progress)
                said, n_deaths = progress, 0
            patience.look(progress)
            time.sleep(_LOOK_S)
            for place, process in enumerate(processes):
                if not process.is_alive():
                    n_deaths += 1
                    _give_up_if_hopeless(process.exitcode, n_deaths, jobs)
                    log.error("a worker process died (exit %s) and is replaced", process.exitcode)
                    processes[place] = start()
                    recovered = -_RECOVER_S
            if time.monotonic() - recovered > _RECOVER_S:
                _recover(state, run_id)
                recovered = time.monotonic()
        on_progress(progress)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


class _Patience:
    """Ends a screening that only waits for what does not pass, such as a disk that stays full; a person sees why.

    The queue waits on: at night nobody sees it, and in the morning there may be room.
    """

    def __init__(self, state: State, run_id: int) -> None:
        self._state, self._run_id = state, run_id
        self._seen: RunProgress | None = None
        self._since = time.monotonic()

    def look(self, progress: RunProgress) -> None:
        """Note how far it is.

        Raises
        ------
        TransientError
            If nothing went on for a while, nothing is being done, and a chunk waits to be tried again.
        """
        if progress != self._seen:
            self._seen, self._since = progress, time.monotonic()
        elif time.monotonic() - self._since > _PATIENCE_S:
            self._since = time.monotonic()
            if trouble := self._state.database.read(waits_for, self._run_id):
                what = trouble.removesuffix("; it is tried again")
                raise TransientError(what, "Then run the same again: it goes on where it stopped")


def _give_up_if_hopeless(exit_code: int | None, n_deaths: int, jobs: int) -> None:
    """End a screening that no process can work on, instead of starting processes for ever.

    Raises
    ------
    PermanentError
        If they refuse the run, or die one after another without anything done.
    """
    if exit_code == _REFUSED:
        raise PermanentError(
            "smearscan's files changed while it ran, or another kind of machine screens the same with this state",
            "run it again: it goes on where it stopped",
        )
    if n_deaths > _MOST_IDLE_DEATHS * jobs:
        raise PermanentError(
            f"{n_deaths} worker processes died one after another, nothing done (last exit {exit_code})",
            "look for the reason above; try --jobs 1",
        )


def _serve(location: Location, run_id: int, place: int) -> None:
    start_process()
    take_gpu(place)
    state = open_state(location)
    worker = _worker(state, run_id)
    worker.on_device_lost = _end_without_device
    while _has_parent() and not _progress(state, run_id).is_over:
        while worker.turn() and _has_parent():
            pass
        if worker.refusals:
            sys.exit(_REFUSED)
        time.sleep(_IDLE_S)


def _has_parent() -> bool:
    # A `smearscan screen` that was killed must not leave processes at work that nobody sees.
    parent = parent_process()
    return parent is None or parent.is_alive()


def _worker(state: State, run_id: int) -> Worker:
    wanted = Wanted(worker_name(), QUEUES, patience_s=0.3)
    return Worker(state, wanted, embedded_run=run_id, limit_s=LIMIT_S, on_stuck=_end_process)


def _end_process() -> None:
    """End this process from a thread while another hangs: in a read of a share that is gone, no signal would reach it.

    What it had is given back at once; after some losses its slide fails by name.
    """
    log.error("this process hangs and ends: is a disk or a share away? Run again: it goes on where it stopped")
    os._exit(_STUCK)


def _end_without_device() -> None:
    """End this process, so that another begins afresh with the GPU."""
    log.error("this process has lost the GPU and ends")
    os._exit(_STUCK)


def _progress(state: State, run_id: int) -> RunProgress:
    return state.database.read(run_progress, run_id)


def _recover(state: State, run_id: int) -> None:
    """Give back what dead processes had, of this start or an earlier one."""
    state.database.run(sweep, MOST_LOSSES, run_id)
    for chunk_id in state.database.run(lost_chunks, run_id):
        fail_lost(state, chunk_id, MOST_LOSSES)


def fail_lost(state: State, chunk_id: int, most_losses: int) -> None:
    """Fail the slide of a chunk that has lost too many workers."""
    from sqlalchemy import select

    row = state.database.run(lambda connection: connection.execute(select(chunks).where(chunks.c.id == chunk_id)).one())
    held = Claim(row.id, row.run_id, row.slide_row, row.patient_row, row.stage, row.place, row.n_items,
                 row.n_deliveries, row.task)  # fmt: skip
    reason = (
        f"{most_losses} worker processes died over one piece of it ({row.stage}), most likely for want of memory, "
        "or it never ended. Run again with fewer --jobs, or look whether it can be read to its end"
    )
    state.database.run(flow.fail, held, reason, "worker_lost")
