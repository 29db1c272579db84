"""What `smearscan status` tells: the end of what is followed, why something waits, what the networks run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from pretended_night import submit_night, take, wanting, work_through

from smearscan.cli.main import cli
from smearscan.errors import TransientError
from smearscan.stages import flow
from smearscan.store.claims import STAT
from smearscan.store.database import Database
from smearscan.store.location import find_location
from smearscan.store.schema import workers
from smearscan.store.state import State, open_state
from workers.commands import follow, status
from workers.window import tell_window


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A folder state."""
    opened = open_state(find_location(str(tmp_path / "state")))
    opened.artefacts.mark()
    yield opened
    opened.database.close()


def _status(state: State, *arguments: str) -> str:
    said = CliRunner().invoke(cli, ["status", *arguments, "--state", str(state.location.folder)])
    assert said.exit_code == 0, said.output
    return said.output


def _between_looks(monkeypatch: pytest.MonkeyPatch, *events: Callable[[], object]) -> None:
    """What happens while somebody who follows waits for the next look."""
    left = list(events)
    monkeypatch.setattr(status.time, "sleep", lambda _: left.pop(0)())


def test_who_follows_without_a_name_is_told_how_each_run_ended(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    first = submit_night(state.database, [("a", "A")])
    second = submit_night(state.database, [("b", "B")], digest="e" * 64)
    _between_looks(
        monkeypatch,
        lambda: work_through(state.database, wanting(first)),
        lambda: work_through(state.database, wanting(second)),
    )
    lines = [line for line in _status(state, "--follow").splitlines() if line.startswith("run ")]
    assert [line.split(" (routine, one): ")[0] for line in lines] == ["run r1", "run r2"] * 2 + ["run r2"]
    assert ["done, 100%" in line for line in lines] == [False, False, True, False, True]
    assert "no run is open" in _status(state, "--follow")


def test_a_database_that_is_away_for_a_while_ends_nobodys_following(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = submit_night(state.database, [("a", "A")])
    whole, away = Database.transaction, [True]

    def transaction(database: Database) -> object:
        if away:
            away.pop()
            raise TransientError("the database is away", "it is tried again")
        return whole(database)

    _between_looks(monkeypatch, lambda: None, lambda: work_through(state.database, wanting(run)))
    monkeypatch.setattr(Database, "transaction", transaction)
    told = _status(state, "--follow")
    assert "the database is away" in told
    assert "done, 100%" in told


def test_who_waits_for_a_run_waits_for_the_database_too(
    state: State, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on when it is back; to tell a script that it failed would be wrong."""
    run = submit_night(state.database, [("a", "A")])
    whole, away = state.database.read, [True]

    def read(_: Database, *asked: object) -> object:
        if away:
            away.pop()
            raise TransientError("the database is away", "it is tried again")
        return whole(*asked)

    monkeypatch.setattr(Database, "read", read)
    monkeypatch.setattr(follow.time, "sleep", lambda _: work_through(state.database, wanting(run)))
    assert follow.follow(state, run) == 0
    assert "the database is away" in capsys.readouterr().err


def test_what_waits_for_room_says_so_while_it_waits(state: State) -> None:
    """At 100% with a minute left for hours, nobody would look at the disk."""
    run = submit_night(state.database, [("a", "A"), ("b", "B")])
    for held in [take(state.database, wanting(run))[0] for _ in range(2)]:
        state.database.run(flow.release, held, 60.0, "/out/cells.csv cannot be written: the disk is full", False)
    assert "to be tried again: survey (2): /out/cells.csv cannot be written: the disk is full" in _status(state)


def test_what_failed_once_says_the_last_line_of_its_traceback(state: State) -> None:
    run = submit_night(state.database, [("a", "A")])
    (held,) = take(state.database, wanting(run))
    state.database.run(flow.release, held, 60.0, "Traceback:\n  at a line\nZeroDivisionError: oh\n", True)
    assert "to be tried again: survey (1): ZeroDivisionError: oh" in _status(state)


def test_it_says_on_what_the_workers_compute(state: State) -> None:
    """A GPU that is there and not used must be seen before the morning."""
    rows = [("a/1/1", "cpu"), ("a/2/1", "cpu"), ("a/3/1", "NVIDIA H200")]
    with state.database.transaction() as connection:
        for name, device in rows:
            row = {"name": name, "queues": "gpu", "version": "1", "device": device, "seen_at": 4e9, "refuses": ""}
            connection.execute(workers.insert().values(row))
    assert "3 worker processes heard of lately: 1 on NVIDIA H200, 2 on cpu" in _status(state)


def test_routine_work_outside_of_its_hours_says_for_what_it_waits(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At noon with nothing going on, somebody would look for what is broken."""
    submit_night(state.database, [("a", "A")])
    submit_night(state.database, [("b", "B")], digest="e" * 64, priority=STAT)
    now = datetime.now()
    hours = [f"{(now + timedelta(hours=n)):%H:%M}-{(now + timedelta(hours=n + 2)):%H:%M}" for n in (1, -1)]
    for told, n_waiting in [(hours[0], 1), (hours[1], 0), (None, 0)]:
        state.database.run(tell_window, told)
        assert _status(state).count(f"routine work waits for the window {told}") == n_waiting
