"""What Prometheus is told, read from the state at every scrape: true after any restart, and when no worker lives.

Labels are stages, queues, states and kinds of errors; never a slide, a path, a name or a text.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from smearscan import __version__
from smearscan.errors import SettingsError, SmearscanError
from smearscan.stages.table import QUEUES, STAGES
from smearscan.store.claims import STAT
from smearscan.store.database import Database
from smearscan.store.figures import RECENT_S, FigureReader, Figures, WorkSum
from smearscan.store.location import Location
from smearscan.store.schema import DONE, QUARANTINED, WORKER_LOST
from workers.surroundings import ArtefactWatch, broker_answers, gpus

log = logging.getLogger(__name__)

#: Seconds that the database has to answer a scrape; Prometheus gives up after ten.
_PATIENCE_S = 6.0
#: Outcomes that are told as 0 before they ever happened: a rate cannot be taken of a line that begins at 1.
_KNOWN_OUTCOMES = (DONE, "TransientError", WORKER_LOST, QUARANTINED)


def make_registry(location: Location, database: Database, watch: ArtefactWatch) -> CollectorRegistry:
    """All metrics of a state, and the exporter's own memory and time."""
    registry = CollectorRegistry()
    registry.register(StateCollector(database))
    registry.register(SurroundingsCollector(location, watch))
    ProcessCollector(registry=registry)
    return registry


class StateCollector(Collector):
    """The state's tables. A database that is away, or hangs, gives `smearscan_database_up` 0 and nothing else."""

    def __init__(self, database: Database, patience_s: float = _PATIENCE_S) -> None:
        self._database, self._patience_s = database, patience_s
        self._reader = FigureReader()
        self._pending: _Reading | None = None
        self._lock = threading.Lock()
        self._was_up = True

    def describe(self) -> list[Metric]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One reading."""
        with self._lock:
            figures, seconds = self._read()
        yield GaugeMetricFamily("smearscan_database_up", "Whether the database answered.", float(figures is not None))
        if figures is not None:
            yield GaugeMetricFamily("smearscan_database_ping_seconds", "How long reading it all took.", seconds)
            yield from _families(figures)

    def _read(self) -> tuple[Figures | None, float]:
        reading = self._pending = self._pending or _Reading(self._database, self._reader)
        if not reading.over.wait(self._patience_s):
            self._say(f"no answer in {self._patience_s:g} s")  # the next scrape waits for the same reading
            return None, 0.0
        self._pending = None
        if reading.figures is None:
            self._say(reading.trouble)
            return None, 0.0
        self._was_up = True
        return reading.figures, reading.seconds

    def _say(self, why: str) -> None:
        if self._was_up:
            log.warning("the database is away (%s): metrics say so until it is back", why)
        self._was_up = False


class _Reading:
    """One reading, in a thread: a server that hangs would keep the scrape, and this process's end, for minutes."""

    def __init__(self, database: Database, reader: FigureReader) -> None:
        self._database, self._reader = database, reader
        self.figures: Figures | None = None
        self.seconds, self.trouble = 0.0, ""
        self.over = threading.Event()
        threading.Thread(target=self._run, daemon=True, name="figures").start()

    def _run(self) -> None:
        began = time.perf_counter()
        try:
            with self._database.transaction() as connection:
                figures = self._reader.read(connection)
            self.seconds, self.figures = time.perf_counter() - began, figures
        except (SmearscanError, SQLAlchemyError) as error:
            self.trouble = type(error).__name__
        finally:
            self.over.set()


class SurroundingsCollector(Collector):
    """Broker, artefacts, GPUs; each is left out where it cannot be asked."""

    def __init__(self, location: Location, watch: ArtefactWatch) -> None:
        self._location, self._watch = location, watch

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask around."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One look around."""
        yield _gauge("smearscan_info", "Always 1.", ["version"], {__version__: 1})
        yield from self._broker()
        yield from self._artefacts()
        yield from self._gpus()

    def _broker(self) -> Iterator[Metric]:
        try:
            is_up = broker_answers(self._location)
        except SettingsError:  # an address that names no broker: nobody to ask
            return
        yield GaugeMetricFamily("smearscan_broker_up", "Whether Redis answered.", float(is_up))

    def _artefacts(self) -> Iterator[Metric]:
        free, sums = self._watch.free_bytes(), self._watch.sums
        if free is not None:
            yield GaugeMetricFamily("smearscan_artefact_free_bytes", "Room left for artefacts.", free)
        if sums is not None:
            yield _gauge("smearscan_artefacts", "Artefacts kept, lately.", ["kind"], sums.counts)
            yield _gauge("smearscan_artefact_bytes", "Bytes of artefacts kept, lately.", ["kind"], sums.n_bytes)

    def _gpus(self) -> Iterator[Metric]:
        found = gpus()
        if found:
            busy = {gpu.name: gpu.busy for gpu in found if gpu.busy is not None}
            used = {gpu.name: gpu.used_bytes for gpu in found}
            total = {gpu.name: gpu.total_bytes for gpu in found}
            yield _gauge("smearscan_gpu_busy_ratio", "How busy a GPU of this machine is.", ["gpu"], busy)
            yield _gauge("smearscan_gpu_memory_used_bytes", "Its memory in use.", ["gpu"], used)
            yield _gauge("smearscan_gpu_memory_bytes", "Its memory.", ["gpu"], total)


def _families(figures: Figures) -> Iterator[Metric]:
    yield GaugeMetricFamily("smearscan_database_bytes", "Size of the database.", figures.database_bytes)
    yield from _queue(figures)
    yield from _runs(figures)
    yield from _work(figures)
    seen = {queue: figures.workers_seen.get(queue, 0) for queue in QUEUES}
    yield _gauge("smearscan_workers", "Worker processes heard of in ten minutes.", ["queue"], seen)
    yield GaugeMetricFamily(
        "smearscan_workers_refusing", "Of those, other code or weights than a run.", figures.n_refusing
    )
    untaken = {queue: figures.untaken.get(queue, 0) for queue in QUEUES}
    yield _gauge("smearscan_untaken_chunks", "Ready, and refused by all who serve the queue.", ["queue"], untaken)


def _queue(figures: Figures) -> Iterator[Metric]:
    depth = {
        (stage.name, stage.queue, status): figures.queue.get((stage.name, stage.queue, status), 0)
        for stage in STAGES.values()
        for status in ("ready", "waiting", "running")
    }
    yield _gauge("smearscan_queue_chunks", "Chunks of open runs.", ["stage", "queue", "status"], depth)
    yield GaugeMetricFamily("smearscan_pool_cells", "Cells cut that wait for the networks.", figures.pool_items)
    oldest = {(queue, _priority(priority)): seconds for (queue, priority), seconds in figures.oldest_ready_s.items()}
    yield _gauge("smearscan_oldest_ready_seconds", "How long work lies ready.", ["queue", "priority"], oldest)
    leases = sum(n for (_, _, status), n in figures.queue.items() if status == "running")
    yield GaugeMetricFamily("smearscan_leases", "Chunks on lease to workers.", leases)
    yield GaugeMetricFamily("smearscan_lease_overdue_seconds", "How long a lease ran out ago.", figures.overdue_s)


def _runs(figures: Figures) -> Iterator[Metric]:
    states = {name: figures.slides.get(name, 0) for name in ("waiting", "open", "done", "failed")}
    yield _gauge("smearscan_slides", "Slides of all runs.", ["state"], states)
    yield _gauge("smearscan_slides_failed", "Slides that failed, by kind of error.", ["error"], figures.failed)
    runs = {(state, _priority(priority)): n for (state, priority), n in figures.runs.items()}
    runs = {("open", "stat"): 0, ("open", "routine"): 0, **runs}
    yield _gauge("smearscan_runs", "Runs.", ["state", "priority"], runs)
    oldest = {_priority(priority): seconds for priority, seconds in figures.oldest_run_s.items()}
    yield _gauge("smearscan_oldest_run_seconds", "Since the oldest open run was submitted.", ["priority"], oldest)


def _work(figures: Figures) -> Iterator[Metric]:
    told = {(stage, outcome): WorkSum() for stage in STAGES for outcome in _KNOWN_OUTCOMES} | dict(figures.work)
    n_chunks = {key: of.n_chunks for key, of in told.items()}
    yield _counter("smearscan_work_chunks", "Chunks tried, by outcome.", ["stage", "outcome"], n_chunks)
    done = {stage: of for (stage, outcome), of in told.items() if outcome == DONE}
    n_items = {stage: of.n_items for stage, of in done.items()}
    yield _counter("smearscan_work_items", "Items done: cells in classify.", ["stage"], n_items)
    seconds = {stage: of.seconds for stage, of in done.items()}
    yield _counter("smearscan_work_seconds", "Seconds at work.", ["stage"], seconds)
    yield CounterMetricFamily(
        "smearscan_batch_slots", "Places in the networks' batches.", value=done["classify"].n_slots
    )
    recent = figures.recent.get(("classify", DONE), WorkSum())
    rate = recent.n_items / RECENT_S
    yield GaugeMetricFamily("smearscan_cells_per_second", "Cells judged, over the last five minutes.", rate)
    if recent.n_slots:
        fill = recent.n_items / recent.n_slots
        yield GaugeMetricFamily("smearscan_batch_fill_ratio", "Part of the batches' places that held a cell.", fill)
    if figures.last_work_at is not None:
        at = figures.last_work_at
        yield GaugeMetricFamily("smearscan_last_work_timestamp_seconds", "When a chunk was last worked on.", at)


def _priority(priority: int) -> str:
    return "stat" if priority == STAT else "routine"


def _gauge(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items(), key=lambda item: str(item[0])):
        family.add_metric(_labels(key), value)
    return family


def _counter(name: str, text: str, labels: list[str], values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items(), key=lambda item: str(item[0])):
        family.add_metric(_labels(key), value)
    return family


def _labels(key: object) -> list[str]:
    return [str(part) for part in key] if isinstance(key, tuple) else [str(key)]
