"""Figures of the night: what is counted, what it costs to count it again, and what looking changes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from pretended_night import WANTED, finish, hand_in, new_run, take_any
from sqlalchemy import delete, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from smearscan.errors import TransientError
from smearscan.stages import flow
from smearscan.stages.job import NewChunk
from smearscan.store.claims import ROUTINE, STAT
from smearscan.store.clock import now
from smearscan.store.database import Database, open_database
from smearscan.store.figures import RECENT_S, FigureReader, Figures, WorkSum
from smearscan.store.reading import open_reader
from smearscan.store.schema import chunks, runs, slides, work, workers
from smearscan.store.state import State
from smearscan.store.sweep import sweep


def _read(reader: Database, keeper: FigureReader | None = None) -> Figures:
    with reader.transaction() as connection:
        return (keeper or FigureReader()).read(connection)


def _listen(reader: Database) -> list[str]:
    """Statements from now on."""
    asked: list[str] = []
    event.listen(reader.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    return asked


def test_a_state_without_a_run_reads_as_nothing(reader: Database) -> None:
    figures = _read(reader)
    assert not figures.queue and not figures.slides and not figures.work
    assert figures.last_work_at is None and figures.overdue_s == 0
    assert figures.database_bytes > 0


def test_chunks_are_ready_running_or_waiting_for_another_try(night: State, reader: Database) -> None:
    hand_in(night, new_run(["a", "b", "c"]))
    first, second = take_any(night), take_any(night)
    night.database.run(flow.release, second[0], 3600.0, "no room", False)
    assert _read(reader).queue == {
        ("survey", "cpu", "ready"): 1,
        ("survey", "cpu", "running"): 1,
        ("survey", "cpu", "waiting"): 1,
    }
    finish(night, first)
    assert ("survey", "cpu", "running") not in _read(reader).queue


def test_stat_and_routine_work_have_ages_of_their_own(night: State, reader: Database) -> None:
    routine, stat = hand_in(night, new_run(["a"]), new_run(["b"], priority=STAT))
    with night.database.transaction() as connection:
        time = now(connection)
        for run_id, age in ((routine, 500.0), (stat, 20.0)):
            connection.execute(update(chunks).where(chunks.c.run_id == run_id).values(ready_at=time - age))
            connection.execute(update(runs).where(runs.c.id == run_id).values(submitted_at=time - 2 * age))
    figures = _read(reader)
    assert figures.oldest_ready_s == {
        ("cpu", ROUTINE): pytest.approx(500, abs=10),
        ("cpu", STAT): pytest.approx(20, abs=10),
    }
    assert figures.oldest_run_s == {ROUTINE: pytest.approx(1000, abs=10), STAT: pytest.approx(40, abs=10)}
    assert figures.runs == {("open", ROUTINE): 1, ("open", STAT): 1}


def test_a_lease_that_ran_out_is_overdue_until_it_is_swept(night: State, reader: Database) -> None:
    hand_in(night, new_run(["a"]))
    take_any(night)
    assert _read(reader).overdue_s == 0
    with night.database.transaction() as connection:
        connection.execute(update(chunks).values(lease_until=now(connection) - 300))
    assert _read(reader).overdue_s == pytest.approx(300, abs=10)
    night.database.run(sweep, 20)
    figures = _read(reader)
    assert figures.overdue_s == 0
    assert figures.work["survey", "worker_lost"] == WorkSum(n_chunks=1)


def test_cells_that_wait_for_the_networks_and_the_fill_of_batches(night: State, reader: Database) -> None:
    hand_in(night, new_run(["a"]))
    pooled = [NewChunk("classify", {}, place, n_items=30, pool="networks") for place in range(3)]
    finish(night, take_any(night), pooled)
    assert _read(reader).pool_items == 90
    finish(night, take_any(night), n_slots=128)
    figures = _read(reader)
    assert figures.pool_items == 0
    assert (figures.work["classify", "done"].n_items, figures.work["classify", "done"].n_slots) == (90, 128)


def test_slides_that_failed_are_counted_by_kind_of_error(night: State, reader: Database) -> None:
    hand_in(night, new_run(["a", "b", "c"]))
    for kind in ("UnreadableSlideError", "quarantined"):
        night.database.run(flow.fail, take_any(night)[0], "Erika Mustermann.svs is torn", kind)
    figures = _read(reader)
    assert figures.failed == {"UnreadableSlideError": 1, "quarantined": 1}
    assert figures.slides == {"failed": 2, "waiting": 1}
    assert "Mustermann" not in repr(figures)


def test_runs_of_screen_are_left_out(night: State, reader: Database) -> None:
    """One that was interrupted stays open for ever, and nobody waits for it."""
    hand_in(night, new_run(["a"], is_embedded=True))
    finish(night, take_any(night))
    figures = _read(reader)
    assert not figures.queue and not figures.slides and not figures.runs and not figures.work


def test_workers_count_while_they_are_heard_of(night: State, reader: Database) -> None:
    with night.database.transaction() as connection:
        time = now(connection)
        for name, age, leaves in (("x", 5, []), ("y", 5, [(1, "")]), ("z", 7200, [(1, "")]), ("w", 5, [(1, "cpu")])):
            row = {"name": name, "queues": "cpu,io", "version": "1", "seen_at": time - age, "leaves": leaves}
            connection.execute(insert(workers).values(row))
    figures = _read(reader)
    assert figures.workers_seen == {"cpu": 3, "io": 3} and figures.n_refusing == 1


def test_work_that_all_leave_alone_is_told_and_work_that_one_takes_is_not(night: State, reader: Database) -> None:
    first, second = hand_in(night, new_run(["a", "b"]), new_run(["c"], priority=STAT))

    def roll(*heard: tuple[str, list[tuple[int, str]]]) -> dict[str, int]:
        with night.database.transaction() as connection:
            connection.execute(delete(workers))
            for place, (queues, leaves) in enumerate(heard):
                row = {"name": str(place), "queues": queues, "version": "1", "leaves": leaves}
                connection.execute(insert(workers).values(seen_at=now(connection), **row))
        return dict(_read(reader).untaken)

    other_kind, other_code = ("cpu,io", [(first, "cpu")]), ("cpu,io", [(first, "")])
    assert roll(other_kind, ("cpu", [])) == {}, "machines of two kinds: the other takes it"
    assert roll(other_kind, other_code) == {"cpu": 2}, "whoever began it is gone"
    assert roll(other_kind, ("gpu", [])) == {"cpu": 2}, "who serves another queue is no help"
    assert roll(("cpu", [(first, ""), (second, "")])) == {"cpu": 3}
    assert roll(("cpu", [(first, "io")])) == {}
    assert roll(("gpu", [])) == {} and roll() == {}, "nobody serves it: that is told by who was heard of"


def test_old_work_is_added_up_once_and_every_line_is_counted_once(night: State, reader: Database) -> None:
    (run_id,) = hand_in(night, new_run(["a"]))
    keeper = FigureReader()
    for age, n, expected in ((5000, 7, 7), (RECENT_S + 1, 11, 18), (RECENT_S - 5, 13, 31), (0, 17, 48)):
        with night.database.transaction() as connection:
            row = {"run_id": run_id, "stage": "classify", "worker": "w", "seconds": 1.0, "n_chunks": 1, "n_slots": 0}
            connection.execute(insert(work).values(**row, at=now(connection) - age, n_items=n, outcome="done"))
        if age > RECENT_S:  # older than what the keeper has added up: only a reader that begins now sees it
            keeper = FigureReader()
        figures = _read(reader, keeper)
        assert figures.work["classify", "done"].n_items == expected
    assert figures.recent["classify", "done"].n_items == 30
    assert _read(reader, keeper).work == _read(reader).work


def test_time_goes_by_and_no_line_of_work_is_counted_twice_or_left_out(
    night: State, reader: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_id,) = hand_in(night, new_run(["a"]))
    keeper, clock = FigureReader(), [1_000_000.0]
    monkeypatch.setattr("smearscan.store.figures.now", lambda _: clock[0])
    for turn in range(1, 12):
        with night.database.transaction() as connection:
            row = {"run_id": run_id, "stage": "crop", "worker": "w", "seconds": 1.0, "n_items": 3, "outcome": "done"}
            connection.execute(insert(work).values(**row, n_chunks=1, at=clock[0]))
        figures = _read(reader, keeper)
        assert figures.work["crop", "done"].n_chunks == turn
        assert figures.recent["crop", "done"].n_chunks == min(turn, 3)
        clock[0] += RECENT_S / 3


def test_a_run_that_ended_long_ago_is_counted_once_and_again_when_it_is_retried(night: State, reader: Database) -> None:
    (run_id,) = hand_in(night, new_run(["a", "b"]))
    keeper = FigureReader()
    with night.database.transaction() as connection:
        connection.execute(update(runs).values(state="done", finished_at=now(connection) - 86_400))
        connection.execute(update(slides).values(state="done"))
    assert _read(reader, keeper).slides == {"done": 2}
    asked = _listen(reader)
    assert _read(reader, keeper).slides == {"done": 2}
    assert not [statement for statement in asked if "FROM slides" in statement]
    with night.database.transaction() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(state="open", finished_at=None))
        connection.execute(update(slides).where(slides.c.slide_id == "a").values(state="waiting"))
    assert _read(reader, keeper).slides == {"done": 1, "waiting": 1}


def test_looking_waits_for_no_writer(night: State, reader: Database) -> None:
    """A transaction that holds the database's only write lock for as long as it likes."""
    hand_in(night, new_run(["a"]))
    with night.database.transaction() as connection:
        connection.execute(update(slides).values(state="open"))
        seen: list[Figures] = []
        looking = threading.Thread(target=lambda: seen.append(_read(reader)))
        looking.start()
        looking.join(20)
        assert seen and seen[0].slides == {"waiting": 1}
    assert _read(reader).slides == {"open": 1}


def test_looking_can_change_nothing(night: State, reader: Database) -> None:
    hand_in(night, new_run(["a"]))
    with pytest.raises((TransientError, DBAPIError), match=r"(?i)read.?only"), reader.transaction() as connection:
        connection.execute(text("DELETE FROM chunks"))
    with night.database.transaction() as connection:
        assert len(connection.execute(select(chunks.c.id)).all()) == 1


def test_looking_makes_no_database(tmp_path: Path) -> None:
    reader = open_reader(f"sqlite:///{tmp_path / 'absent.db'}")
    with pytest.raises(TransientError), reader.transaction():
        pass
    assert not list(tmp_path.iterdir())
    open_database(f"sqlite:///{tmp_path / 'absent.db'}").close()
    assert _read(reader).slides == {}
    reader.close()


def test_a_folder_with_odd_characters_is_found(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'a b?c%20d#e' / 'state.db'}".replace("?", "%3F")
    database = open_database(address)
    reader = open_reader(address)
    assert _read(reader).slides == {}
    reader.close()
    database.close()


def test_the_workers_that_tests_pretend_are_no_process_of_this_machine() -> None:
    from smearscan.store.sweep import is_gone

    assert not is_gone(WANTED.worker)
