"""One turn of a worker: take a claim, do it, write down how it went. Everything that can go wrong ends here."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from smearscan.bound import bound
from smearscan.errors import PermanentError, SlideError, SmearscanError, TransientError
from smearscan.settings import Settings
from smearscan.stages import flow, patient_stages, slide_stages
from smearscan.stages.device import DeviceLostError, device_trouble
from smearscan.stages.job import Job, Product, read_jobs
from smearscan.stages.keys import identity, runtimes
from smearscan.stages.table import LIMIT_S
from smearscan.store.artefacts import GoneError
from smearscan.store.claims import Claim, Wanted, beat, claim
from smearscan.store.runs import Run, open_run_ids, runs_of
from smearscan.store.runtimes import foreign
from smearscan.store.schema import DONE, QUARANTINED
from smearscan.store.state import State

log = logging.getLogger(__name__)

_STAGES: dict[str, Callable[[Job], Product]] = {
    "survey": slide_stages.survey,
    "search": slide_stages.search,
    "gather": slide_stages.gather,
    "crop": slide_stages.crop,
    "finish": slide_stages.finish,
    "aggregate": patient_stages.aggregate,
    "report": patient_stages.report,
    "export": patient_stages.export,
}
#: Seconds before a chunk that failed, or met a full disk, is tried again; doubled each time.
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
#: Seconds between looks for runs that came new.
_VET_EVERY_S = 0.5


@dataclass(slots=True)
class Worker:
    """One process at work on a state.

    Attributes
    ----------
    wanted
        What it would take.
    embedded_run
        The only run to work on, for `smearscan screen`; None is every run on the queue.
    most_failures
        Times a chunk may fail before it is quarantined: its slide fails, the others go on.
    takes_routine
        False outside the night's window: stat work only.
    refusals
        Run id → why its chunks are left alone.
    left
        The same as (run id, queue); no queue is every queue: other code or weights.
    limit_s
        Seconds after which work that has not ended is left to another worker.
    on_stuck
        Called then, from another thread than the one that hangs.
    on_device_lost
        Called when the GPU failed and what was in hand is put back: this process computes nothing more.
    """

    state: State
    wanted: Wanted
    embedded_run: int | None = None
    most_failures: int = 3
    takes_routine: bool = True
    refusals: dict[int, str] = field(default_factory=dict)
    left: frozenset[tuple[int, str]] = frozenset()
    limit_s: float = LIMIT_S
    on_stuck: Callable[[], None] | None = None
    on_device_lost: Callable[[], None] | None = None
    _vetted_at: float = -_VET_EVERY_S
    #: Open run → its name, None where it is not for this worker.
    _vetted: dict[int, str | None] = field(default_factory=dict)

    def turn(self) -> int:
        """Do one claim.

        Returns
        -------
        int
            Chunks that were on lease; 0 where there was nothing to do.

        Raises
        ------
        TransientError
            If the database is away for longer than may be.
        """
        self._vet_runs()
        wanted = replace(self.wanted, takes_routine=self.takes_routine, runtimes=self._runtimes())
        claims = self.state.database.run(claim, wanted)
        if claims:
            lease = beating(self.state, claims, self.wanted.lease_s, self.limit_s, self.on_stuck)
            with bound(**_numbers(claims)), lease:
                self._do(claims)
        return len(claims)

    def _do(self, claims: Sequence[Claim]) -> None:
        began = time.monotonic()
        try:
            products = _make(read_jobs(self.state, claims))
        except TransientError as error:
            self._put_back(claims, error, str(error), is_failure=False)
        except PermanentError as error:
            self._give_up(claims, error)
        # Everything else, since which defect of ours or of a library a slide will meet cannot be listed: it is written
        # down with its traceback, counted against the chunk and put aside, and the other slides' night goes on.
        except Exception as error:
            if (trouble := device_trouble(error)) is not None:
                self._heed_device(claims, trouble)
            else:
                self._put_back(claims, error, traceback.format_exc(), is_failure=True)
        else:
            self._hand_in(claims, products, time.monotonic() - began)

    def _hand_in(self, claims: Sequence[Claim], products: Sequence[Product], seconds: float) -> None:
        for held, product in zip(claims, products, strict=True):
            self.state.database.run(flow.complete, held, product)
        n_slots = sum(product.n_slots for product in products)
        # Cells that were found judged took no place in a batch and no time.
        made = [replace(held, n_items=0) if p.is_reused else held for held, p in zip(claims, products, strict=True)]
        self.state.database.run(flow.record_work, made, self.wanted.worker, seconds, n_slots, DONE)

    def _put_back(self, claims: Sequence[Claim], error: Exception, trouble: str, is_failure: bool) -> None:
        outcome = type(error).__name__[:32]
        for held in claims:
            wait = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(held.n_deliveries - 1, 10))
            if is_failure and len(claims) == 1 and held.n_failures + 1 >= self.most_failures:
                self._quarantine(held, error, trouble)
                outcome = QUARANTINED
                continue
            log.warning("chunk %d (%s) is tried again in %.1f s: %s", held.id, held.stage, wait, type(error).__name__)
            self.state.database.run(flow.release, held, wait, trouble, is_failure)
        self.state.database.run(flow.record_work, claims, self.wanted.worker, 0.0, 0, outcome)

    def _heed_device(self, claims: Sequence[Claim], trouble: TransientError) -> None:
        """Put back what a GPU could not do, at the cost of no slide."""
        log.error("%s", trouble)
        self._put_back(claims, TransientError(trouble.what, trouble.remedy), str(trouble), is_failure=False)
        if isinstance(trouble, DeviceLostError) and self.on_device_lost is not None:
            self.on_device_lost()

    def _quarantine(self, held: Claim, error: Exception, trouble: str) -> None:
        # Its words may name a file, and a file its patient: they stay with the chunk.
        n = held.n_failures + 1
        log.error("chunk %d (%s) failed %d times and is put aside", held.id, held.stage, n, exc_info=error)
        reason = f"unexpected {type(error).__name__}: {error}. Please report it with the log"
        self.state.database.run(flow.fail, held, reason, QUARANTINED, trouble)

    def _give_up(self, claims: Sequence[Claim], error: SmearscanError) -> None:
        if len(claims) > 1:  # one of them is at fault: each is tried alone
            self._put_back(claims, error, str(error), is_failure=True)
            return
        if isinstance(error, GoneError) and self.state.database.run(flow.begin_again, claims[0]):
            log.warning("what chunk %d (%s) reads was removed: its slide is begun again", claims[0].id, claims[0].stage)
            self.state.database.run(flow.record_work, claims, self.wanted.worker, 0.0, 0, type(error).__name__)
            return
        log.info("chunk %d (%s) cannot be done: %s", claims[0].id, claims[0].stage, type(error).__name__)
        kind = type(error).__name__ if isinstance(error, SlideError) else "refused"
        self.state.database.run(flow.fail, claims[0], str(error), kind)
        self.state.database.run(flow.record_work, claims, self.wanted.worker, 0.0, 0, type(error).__name__[:32])

    def _vet_runs(self) -> None:
        """Find the runs it may work on; those of other code or weights are left alone, and that is said once.

        What a run was submitted with never changes, nor does this process: each is read and compared once.
        """
        if time.monotonic() - self._vetted_at < _VET_EVERY_S:
            return
        still_open = self.state.database.read(open_run_ids, self.embedded_run is not None)
        found = {run_id for run_id in still_open if self.embedded_run in (None, run_id)}
        self._vetted_at = time.monotonic()
        self._vetted = {run_id: name for run_id, name in self._vetted.items() if run_id in found}
        self.refusals = {run_id: why for run_id, why in self.refusals.items() if run_id in found}
        for run in self.state.database.read(runs_of, sorted(found - self._vetted.keys())):
            self._vetted[run.id] = run.name if self._is_ours(run) else None
        mine = {run_id: name for run_id, name in self._vetted.items() if name is not None}
        self.wanted = replace(self.wanted, run_ids=frozenset(mine))
        self.left = frozenset({(run_id, "") for run_id in found - mine.keys()} | self._vet_runtimes(mine))

    def _runtimes(self) -> dict[str, str]:
        return {queue: words for queue, words in runtimes().items() if queue in self.wanted.queues}

    def _vet_runtimes(self, names: Mapping[int, str]) -> set[tuple[int, str]]:
        """Say once which queues of which runs are left to machines that compute otherwise; `claim` leaves them."""
        here = self._runtimes()
        others = self.state.database.read(foreign, list(names), here)
        left: dict[int, list[str]] = {}
        for (run_id, queue), there in others.items():
            said = f"queue {queue} of run {names[run_id]} is worked on with {there}, and this is {here[queue]}"
            left.setdefault(run_id, []).append(said)
        for run_id, said_of_run in left.items():
            why = "; ".join(said_of_run)
            if self.refusals.get(run_id) != why:
                log.error("%s: left to workers that are like it. Start those, or cancel it and submit it again", why)
            self.refusals[run_id] = why
        for run_id in names.keys() - left.keys():
            self.refusals.pop(run_id, None)
        return set(others)

    def _is_ours(self, run: Run) -> bool:
        try:
            is_ours = identity(_settings_of(json.dumps(run.settings, sort_keys=True))) == run.identity
        except (ValidationError, PermanentError):  # knobs of another version, weights that are not here
            is_ours = False
        if is_ours:
            return True
        if run.id not in self.refusals:
            why = f"run {run.name} wants the code, cards and weights of smearscan {run.version}; these differ"
            self.refusals[run.id] = why
            log.error("%s: left to workers that have them. Start those, or submit it again", why)
        return False


@lru_cache(maxsize=64)
def _settings_of(text: str) -> Settings:
    return Settings.model_validate_json(text)


def _numbers(claims: Sequence[Claim]) -> dict[str, int | str | tuple[int, ...] | None]:
    """What the log says that work belongs to."""
    if len(claims) == 1:
        held = claims[0]
        return {
            "run": f"r{held.run_id}",
            "slide": held.slide_row,
            "patient": held.patient_row,
            "stage": held.stage,
            "chunk": held.id,
        }
    slides = {held.slide_row for held in claims if held.slide_row is not None}
    return {"stage": claims[0].stage, "slides": tuple(sorted(slides)), "chunks": tuple(held.id for held in claims)}


def _stage(claims: Sequence[Claim]) -> str:
    return claims[0].stage if claims else "nothing"


def _make(jobs: Sequence[Job]) -> list[Product]:
    stage = jobs[0].claim.stage
    return slide_stages.classify(jobs) if stage == "classify" else [_STAGES[stage](job) for job in jobs]


@contextmanager
def beating(
    state: State,
    claims: Sequence[Claim],
    lease_s: float,
    limit_s: float = LIMIT_S,
    on_stuck: Callable[[], None] | None = None,
) -> Iterator[None]:
    """Renew a lease while work goes on, from a thread of its own; work that hangs is not kept from others for ever."""
    over, until = threading.Event(), time.monotonic() + limit_s

    def renew() -> None:
        while not over.wait(max(0.0, min(lease_s / 3, until - time.monotonic()))):
            if time.monotonic() >= until:
                ids = ", ".join(str(held.id) for held in claims)
                log.error("chunk %s (%s) has not ended in %.0f s: left to another", ids, _stage(claims), limit_s)
                if on_stuck is not None:
                    on_stuck()
                return
            try:
                with state.database.transaction() as connection:
                    beat(connection, claims, lease_s)
            except (TransientError, SQLAlchemyError):  # whatever it says: a thread that ended would renew no more
                log.warning("the database is away; the lease is renewed when it is back")

    thread = threading.Thread(target=renew, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
