"""Who only looks waits for no writer and keeps none waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from pretended_night import pretend, submit_night, take, wanting, work_through

from smearscan.errors import TransientError
from smearscan.settings import Settings
from smearscan.stages import flow
from smearscan.stages.job import read_jobs
from smearscan.stages.progress import run_progress
from smearscan.stages.results import run_results
from smearscan.stages.submission import new_run
from smearscan.store import database as databases
from smearscan.store.location import find_location
from smearscan.store.runs import cancel, open_runs
from smearscan.store.state import State, open_state
from smearscan.store.submit import submit
from smearscan.submission import gather
from workers.commands import follow, status


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[State]:
    """A folder state whose connections wait for a writer no longer than a moment."""
    monkeypatch.setattr(databases, "_BUSY_S", 0.2)
    opened = open_state(find_location(str(tmp_path / "state")), patience_s=0.5)
    yield opened
    opened.database.close()


def test_looking_waits_for_no_writer(state: State, tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    run, _ = state.database.run(submit, new_run(gather([tmp_path / "a.tif"]), Settings(), "test"))
    held = take(state.database, wanting(run))
    looks: list[Callable[[], object]] = [
        lambda: state.database.read(run_progress, run),
        lambda: state.database.read(open_runs),
        lambda: read_jobs(state, held),
        lambda: run_results(state, run),
        lambda: open_state(state.location, patience_s=0.5).database.close(),
    ]
    with state.database.transaction():
        with pytest.raises(TransientError):  # as it was for whoever only looked
            state.database.run(run_progress, run)
        for look in looks:
            look()
        told = CliRunner().invoke(status.command, ["last", "--state", str(tmp_path / "state")], catch_exceptions=False)
    assert told.exit_code == 0 and "0 of 1 slides done" in told.output


def test_a_run_is_followed_to_its_end_while_others_write(state: State) -> None:
    run = submit_night(state.database, [("a", "A")])
    work_through(state.database, wanting(run))
    with state.database.transaction():
        assert follow.follow(state, run) == 0


def test_a_writer_waits_for_nobody_who_looks(state: State) -> None:
    run = submit_night(state.database, [("a", "A")])
    held = take(state.database, wanting(run))[0]
    with state.database.reading() as connection:
        assert run_progress(connection, run).state == "open"
        assert state.database.run(flow.complete, held, pretend(held)) and state.database.run(cancel, run)
        assert run_progress(connection, run).state == "open", "what is seen is of one moment"
    assert state.database.read(run_progress, run).state == "cancelled"
