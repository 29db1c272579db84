"""What Prometheus is told, and that it is told something whatever is away."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from pretended_night import finish, hand_in, new_run, open_night, take_any
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from servers import PostgreSQL, Redis
from sqlalchemy import event

import workers.surroundings
from smearscan.stages import flow
from smearscan.stages.job import NewChunk
from smearscan.store import guarded
from smearscan.store.claims import STAT
from smearscan.store.database import Database
from smearscan.store.location import Location
from smearscan.store.reading import open_reader
from smearscan.store.state import State
from workers.metrics import StateCollector, make_registry
from workers.surroundings import ArtefactWatch, Gpu, add_up

Scrape = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def _scrape(registry: CollectorRegistry) -> Scrape:
    text = generate_latest(registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _value(scrape: Scrape, name: str, **labels: str) -> float:
    return scrape[name, tuple(sorted(labels.items()))]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: that figures are the same on PostgreSQL is tested where they are counted."""
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def registry(night: State, reader: Database) -> CollectorRegistry:
    return make_registry(night.location, reader, ArtefactWatch(night.artefacts))


def test_an_empty_state_tells_zeros_so_that_the_first_failure_is_a_rise(registry: CollectorRegistry) -> None:
    scrape = _scrape(registry)
    assert _value(scrape, "smearscan_database_up") == 1
    assert _value(scrape, "smearscan_work_chunks_total", stage="crop", outcome="quarantined") == 0
    assert _value(scrape, "smearscan_queue_chunks", stage="survey", queue="cpu", status="ready") == 0
    assert _value(scrape, "smearscan_workers", queue="gpu") == 0
    assert _value(scrape, "smearscan_broker_up") == 0


def test_a_night_under_way(night: State, registry: CollectorRegistry) -> None:
    hand_in(night, new_run(["a", "b"]), new_run(["c"], priority=STAT))
    finish(night, take_any(night), [NewChunk("classify", {}, 0, n_items=100, pool="networks")])
    finish(night, take_any(night), n_slots=128)
    night.database.run(flow.fail, take_any(night)[0], "no room for a reason here", "EmptySlideError")
    take_any(night)
    scrape = _scrape(registry)
    assert _value(scrape, "smearscan_queue_chunks", stage="survey", queue="cpu", status="running") == 1
    assert _value(scrape, "smearscan_leases") == 1
    assert _value(scrape, "smearscan_work_items_total", stage="classify") == 100
    assert _value(scrape, "smearscan_batch_slots_total") == 128
    assert _value(scrape, "smearscan_batch_fill_ratio") == pytest.approx(100 / 128)
    assert _value(scrape, "smearscan_cells_per_second") == pytest.approx(100 / 300)
    assert _value(scrape, "smearscan_slides_failed", error="EmptySlideError") == 1
    assert _value(scrape, "smearscan_runs", state="open", priority="stat") == 1
    assert _value(scrape, "smearscan_oldest_run_seconds", priority="routine") >= 0


def test_nothing_of_a_patient_is_told(night: State, registry: CollectorRegistry) -> None:
    hand_in(night, new_run(["Erika Mustermann 1964", "b"], laboratory="St. Elsewhere"))
    reason = "/scans/Erika Mustermann 1964.svs: torn"
    night.database.run(flow.fail, take_any(night)[0], reason, "UnreadableSlideError")
    text = generate_latest(registry).decode()
    for word in ("Mustermann", "patient 0", "/scans", "torn", "Elsewhere"):
        assert word not in text


def test_a_scrape_asks_as_many_questions_for_a_thousand_slides_as_for_one(
    night: State, reader: Database, registry: CollectorRegistry
) -> None:
    asked: list[str] = []
    event.listen(reader.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    hand_in(night, new_run(["a"]))
    _scrape(registry)
    before = len(asked)
    hand_in(night, new_run([f"s{n}" for n in range(1000)]))
    assert _value(_scrape(registry), "smearscan_slides", state="waiting") == 1001
    assert len(asked) == 2 * before


def test_a_database_that_went_away_is_said_and_found_again(
    postgresql_server: PostgreSQL, fresh_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    night = open_night(fresh_postgresql(), tmp_path)
    hand_in(night, new_run(["a"]))
    reader = open_reader(night.location.database)
    registry = CollectorRegistry()
    registry.register(StateCollector(reader))
    assert _value(_scrape(registry), "smearscan_slides", state="waiting") == 1
    postgresql_server.kill()
    try:
        assert _scrape(registry) == {("smearscan_database_up", ()): 0.0}
    finally:
        postgresql_server.start()
    assert _value(_scrape(registry), "smearscan_slides", state="waiting") == 1
    reader.close()
    night.database.close()


def test_a_database_that_hangs_does_not_hang_the_scrape(night: State, reader: Database) -> None:
    registry = CollectorRegistry()
    registry.register(StateCollector(reader, patience_s=0.2))
    # Nobody else may use the file at all: that is how a disk that hangs looks from here.
    with night.database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
        connection.exec_driver_sql("PRAGMA journal_mode=DELETE").close()
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        assert _scrape(registry) == {("smearscan_database_up", ()): 0.0}
        assert _scrape(registry) == {("smearscan_database_up", ()): 0.0}
        connection.exec_driver_sql("ROLLBACK")
    found = 0.0
    while not found:
        found = _value(_scrape(registry), "smearscan_database_up")
    assert found == 1


def test_the_broker_is_asked_where_the_state_says(redis_server: Redis, tmp_path: Path) -> None:
    assert workers.surroundings.broker_answers(Location("sqlite://", str(tmp_path), redis_server.url))
    # A folder state's own Redis is a socket that `smearscan up` makes; nobody made it here.
    assert not workers.surroundings.broker_answers(Location("sqlite://", str(tmp_path), "", tmp_path))


def test_an_address_without_a_broker_tells_of_none(reader: Database, night: State, tmp_path: Path) -> None:
    registry = make_registry(Location("sqlite://", str(tmp_path), ""), reader, ArtefactWatch(night.artefacts))
    assert ("smearscan_broker_up", ()) not in _scrape(registry)


def test_artefacts_are_added_up_by_kind_beside_the_scrape(night: State, reader: Database) -> None:
    for kind, n in (("crop", 1000), ("crop", 500), ("finish", 10)):
        night.artefacts.put(f"{kind}-{n:048x}", bytes(n))
    sums, seal = add_up(night.artefacts), len(guarded.seal(b""))
    assert sums.counts == {"crop": 2, "finish": 1} and sums.n_bytes == {"crop": 1500 + 2 * seal, "finish": 10 + seal}
    watch = ArtefactWatch(night.artefacts)
    registry = make_registry(night.location, reader, watch)
    assert ("smearscan_artefact_bytes", (("kind", "crop"),)) not in _scrape(registry)
    watch.start()
    watch.stop()
    scrape = _scrape(registry)
    assert _value(scrape, "smearscan_artefact_bytes", kind="crop") == 1500 + 2 * seal
    assert _value(scrape, "smearscan_artefacts", kind="finish") == 1
    assert _value(scrape, "smearscan_artefact_free_bytes") > 0


def test_a_gpu_is_told_of_where_there_is_one(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.metrics.gpus", lambda: [Gpu("0", 0.5, 2**30, 2**34)])
    scrape = _scrape(registry)
    assert _value(scrape, "smearscan_gpu_busy_ratio", gpu="0") == 0.5
    assert _value(scrape, "smearscan_gpu_memory_used_bytes", gpu="0") == 2**30
    monkeypatch.setattr("workers.metrics.gpus", list)
    assert ("smearscan_gpu_busy_ratio", (("gpu", "0"),)) not in _scrape(registry)


def test_the_command_answers_before_there_is_a_database_and_ends_when_told(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "smearscan.cli.main", "metrics", "--state", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"metrics: http://127.0.0.1:{port}/metrics\n"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        assert "smearscan_database_up 0.0" in text
        taken = subprocess.run(command, capture_output=True, text=True)
        assert taken.returncode == 2 and "Name another --port" in taken.stderr
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
