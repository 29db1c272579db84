"""Machines whose networks compute otherwise never share a queue of a run, nor what they made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretended_night import pretend, submit_night, take, wanting, work_through
from sqlalchemy import select

from smearscan import screening
from smearscan.settings import Settings
from smearscan.stages import execute, flow, keys
from smearscan.stages.execute import Worker
from smearscan.stages.progress import run_progress
from smearscan.stages.submission import new_run
from smearscan.stages.table import QUEUES
from smearscan.store.claims import Wanted
from smearscan.store.database import Database, open_database
from smearscan.store.location import find_location
from smearscan.store.runtimes import bind, foreign, runtimes_of
from smearscan.store.schema import chunks
from smearscan.store.state import State, open_state
from smearscan.store.submit import submit
from smearscan.store.sweep import worker_name
from smearscan.submission import gather
from smearscan.synth import write_smear

_FAST, _SLOW = dict.fromkeys(QUEUES, "cpu bfloat16"), dict.fromkeys(QUEUES, "cpu float32")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty state."""
    opened = open_database(database_url, patience_s=2.0)
    yield opened
    opened.close()


def test_a_queue_of_a_run_stays_with_what_it_was_begun_on(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "B")])
    first = take(database, wanting(run, runtimes=_FAST))
    assert first and take(database, wanting(run, runtimes=_SLOW)) == []
    assert database.run(foreign, [run], _SLOW) == {(run, "cpu"): "cpu bfloat16"}
    for held in first:
        database.run(flow.complete, held, pretend(held))
    work_through(database, wanting(run, runtimes=_FAST))
    assert database.run(run_progress, run).state == "done"
    assert database.run(runtimes_of, run) == dict.fromkeys(("cpu", "gpu", "io"), "cpu bfloat16")


def test_a_gpu_judges_what_processors_cut(database: Database) -> None:
    run = submit_night(database, [("a", "A")])
    board, boards = {"gpu": "cuda"}, wanting(run, queues=("gpu",), runtimes={"gpu": "cuda"})
    rest = wanting(run, queues=("cpu", "io"), runtimes={"cpu": "cpu", "io": "cpu"})
    while work_through(database, rest) + work_through(database, boards):
        pass
    assert database.run(run_progress, run).state == "done"
    assert database.run(runtimes_of, run) == {"cpu": "cpu", "io": "cpu", **board}


def test_a_pool_leaves_out_cells_of_runs_that_others_judge(database: Database) -> None:
    mine = submit_night(database, [("a", "A")], digest="mine")
    theirs = submit_night(database, [("b", "B")], digest="theirs")
    work_through(database, wanting(mine, theirs, queues=("cpu",)))
    assert database.run(bind, theirs, "gpu", "cuda")
    claims = take(database, wanting(mine, theirs, queues=("gpu",), runtimes={"gpu": "cpu"}))
    assert claims and {held.run_id for held in claims} == {mine}


def test_what_was_said_first_holds(database: Database) -> None:
    run = submit_night(database, [("a", "A")])
    assert [database.run(bind, run, "gpu", words) for words in ("cuda", "cpu", "cuda")] == [True, False, True]


@pytest.mark.parametrize("queue", ["cpu", "gpu"])
def test_what_a_network_made_is_kept_under_what_it_ran_on(queue: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings().classify
    before = keys.classify_key("crop", settings)
    monkeypatch.setattr(keys, "runtime" if queue == "gpu" else "cpu_runtime", lambda: "something else")
    assert (keys.classify_key("crop", settings) != before) == (queue == "gpu")


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan."""
    path = tmp_path_factory.mktemp("smear") / "a.tif"
    write_smear(path, 500, 400, 3, mpp=0.2, cells_per_mm2=900.0, layout="field")
    return path


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A folder state."""
    opened = open_state(find_location(str(tmp_path / "state")))
    yield opened
    opened.database.close()


def test_a_worker_that_computes_otherwise_refuses_the_run_by_name(
    state: State, smear: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "night"))
    state.database.run(bind, run, "cpu", "cpu of another kind")
    worker = Worker(state, Wanted(worker_name(), QUEUES))
    assert worker.turn() == 0
    assert f"queue cpu of run r{run} is worked on with cpu of another kind, and this is cpu" in caplog.text
    assert "cancel it and submit it again" in caplog.text and list(worker.refusals) == [run]
    assert worker.left == {(run, "cpu")}
    monkeypatch.setattr(execute, "runtimes", lambda: dict.fromkeys(QUEUES, "cpu of another kind"))
    worker._vetted_at = float("-inf")
    assert worker.turn() == 1 and not worker.refusals and not worker.left


class _Nobody:
    def update(self, done: float, total: float, note: str = "") -> None:
        """Nobody looks."""


def test_a_screening_on_another_machine_makes_its_own_and_says_on_what(
    state: State, smear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def screen(folder: str) -> dict[str, str]:
        screening.screen(gather([smear]), Settings(), tmp_path / folder, "default", 1, _Nobody(), state)
        found: dict[str, str] = json.loads((tmp_path / folder / "run.json").read_text("utf-8"))["versions"]
        return found

    assert screen("here")["networks on cpu"] == keys.cpu_runtime()
    for module in (keys, execute, screening):
        monkeypatch.setattr(module, "runtimes", lambda: dict.fromkeys(QUEUES, "another"))
    monkeypatch.setattr(keys, "cpu_runtime", lambda: "another")
    monkeypatch.setattr(keys, "runtime", lambda: "another")
    assert screen("there")["networks on cpu"] == "another"
    with state.database.transaction() as connection:
        found = select(chunks.c.stage).where(chunks.c.run_id == 2, chunks.c.is_reused)
        assert set(connection.execute(found).scalars()) == {"survey"}
    assert screen("again")["networks on cpu"] == "another"
    with state.database.transaction() as connection:
        assert set(connection.execute(select(chunks.c.run_id)).scalars()) == {1, 2}, "the same machine, the same run"
