"""What a full disk says: of the database itself, and of a run that only waits for room."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretended_night import submit_night, take, wanting
from sqlalchemy import text

from smearscan import local
from smearscan.errors import TransientError
from smearscan.stages import flow
from smearscan.stages.progress import run_progress
from smearscan.store.database import open_database
from smearscan.store.location import Location
from smearscan.store.state import State, open_state
from smearscan.store.sweep import waits_for

_FULL = "a/b cannot be written: the disk is full. free some space; it is tried again"


@pytest.fixture
def state(tmp_path: Path) -> State:
    return open_state(Location(f"sqlite:///{tmp_path / 'state.db'}", str(tmp_path / "artefacts"), ""))


def test_a_database_that_finds_its_disk_full_says_so(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'state.db'}", patience_s=0.01)

    def fill(connection: object) -> None:
        pages = connection.execute(text("PRAGMA page_count")).scalar()  # type: ignore[attr-defined]
        connection.execute(text(f"PRAGMA max_page_count = {pages}"))  # type: ignore[attr-defined]
        connection.execute(text("CREATE TABLE big AS SELECT randomblob(1000000)"))  # type: ignore[attr-defined]

    with pytest.raises(TransientError, match=r"the state's database is on is full\. Free some space and run again"):
        database.run(fill)
    database.close()


def test_a_run_waits_for_room_when_nothing_of_it_is_being_worked_on(state: State) -> None:
    run = submit_night(state.database, [("a", "P"), ("b", "P")])
    assert state.database.run(waits_for, run) == ""
    (first,), (second,) = (take(state.database, wanting(run)) for _ in range(2))
    state.database.run(flow.release, first, 60.0, _FULL, False)
    assert state.database.run(waits_for, run) == "", "the second is being worked on"
    state.database.run(flow.release, second, 60.0, "a defect", True)
    assert state.database.run(waits_for, run) == _FULL
    assert state.database.run(waits_for, run + 1) == ""


def test_a_screening_that_only_waits_ends_with_the_reason_but_not_while_it_goes_on(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = submit_night(state.database, [("a", "P"), ("b", "P")])
    patience, progress = local._Patience(state, run), state.database.run(run_progress, run)
    monkeypatch.setattr(local, "_PATIENCE_S", 0.0)
    patience.look(progress)
    patience.look(progress)  # slow, and nothing the matter
    (first,) = take(state.database, wanting(run))
    state.database.run(flow.release, first, 60.0, _FULL, False)
    with pytest.raises(TransientError, match=r"the disk is full\. free some space\. Then run the same again"):
        patience.look(progress)
