"""Edges of the queue where work once stood still or went to the wrong place; on SQLite and on PostgreSQL."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from pretended_night import N_SETS, N_TILES, new_night, pretend, submit_night, take, wanting, work_through
from sqlalchemy import event, insert, select, text, update
from sqlalchemy.exc import DBAPIError

from smearscan.errors import SettingsError
from smearscan.stages import flow
from smearscan.stages.execute import beating
from smearscan.stages.progress import run_progress
from smearscan.stages.status import run_status
from smearscan.stages.table import QUEUES, STAGES
from smearscan.store.artefact_stores import open_artefacts
from smearscan.store.claims import ROUTINE, STAT
from smearscan.store.database import Database, open_database
from smearscan.store.location import find_location
from smearscan.store.runs import cancel, find_run, retry
from smearscan.store.schema import chunks, patients, runs, runtimes, slides
from smearscan.store.state import State
from smearscan.store.submit import submit
from smearscan.store.sweep import Swept, is_gone, sweep, worker_name


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty state."""
    opened = open_database(database_url, patience_s=2.0)
    yield opened
    opened.close()


def _retry(database: Database, run: int) -> int:
    return database.run(retry, run, STAGES["survey"].chunk(), STAGES["aggregate"].chunk())


def _add_cut(database: Database, run: int, n: int, n_items: int) -> None:
    """Sets of cells that wait to be judged."""
    one = {**STAGES["classify"].chunk(), "run_id": run, "place": 0, "pool": "pool", "task": {}, "status": "ready"}
    with database.transaction() as connection:
        connection.execute(insert(chunks), [{**one, "n_items": n_items, "ready_at": 0.0} for _ in range(n)])


def test_cells_of_a_stat_slide_lead_the_pool_however_many_others_came_before(database: Database) -> None:
    routine = submit_night(database, [("r", "R")], digest="r")
    _add_cut(database, routine, 300, 1)
    stat = submit_night(database, [("s", "S")], digest="s", priority=STAT)
    _add_cut(database, stat, 1, 1)
    claims = take(database, wanting(routine, stat, queues=("gpu",), pool_items=4))
    assert claims[0].run_id == stat and len(claims) == 4


def test_routine_cells_that_wait_do_not_keep_a_stat_slide_from_being_cut(database: Database) -> None:
    routine = submit_night(database, [("r", "R")], digest="r")
    _add_cut(database, routine, 3, 100)
    stat = submit_night(database, [("s", "S")], digest="s", priority=STAT)
    done = work_through(database, wanting(routine, stat, queues=("cpu",), most_pending=300))
    assert [held.stage for held in done if held.run_id == stat].count("crop") == N_SETS
    assert not [held for held in done if held.run_id == routine and held.stage == "crop"]


@pytest.mark.parametrize("why", ["cancelled", "of another version"])
def test_cells_that_nobody_here_will_judge_hold_up_no_other_run(database: Database, why: str) -> None:
    old = submit_night(database, [("a", "A")], digest="a")
    if why == "cancelled":
        database.run(cancel, old)
    _add_cut(database, old, 3, 100)  # what was being cut at the time was handed in later
    run = submit_night(database, [("b", "B")], digest="b")
    known = (old, run) if why == "cancelled" else (run,)
    work_through(database, wanting(*known, most_pending=300))
    assert database.run(run_progress, run).state == "done"


def test_a_late_part_of_a_slide_that_was_begun_again_is_not_taken_for_one_of_the_new(database: Database) -> None:
    run = submit_night(database, [("a", "A")])
    survey = take(database, wanting(run))[0]
    database.run(flow.complete, survey, pretend(survey))
    held = [take(database, wanting(run))[0] for _ in range(N_TILES)]
    database.run(flow.fail, held[0], "torn", "UnreadableSlideError")
    assert _retry(database, run) == 1
    for late in (survey, *held):
        assert not database.run(flow.complete, late, pretend(late))
        assert not database.run(flow.fail, late, "late", "UnreadableSlideError")
    work_through(database, wanting(run))
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_failed) == ("done", 1, 0)


def test_a_cancelled_run_cannot_be_tried_again_and_left_open_for_ever(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "B")])
    database.run(flow.fail, take(database, wanting(run))[0], "torn", "UnreadableSlideError")
    database.run(cancel, run)
    with pytest.raises(SettingsError, match="cancelled"):
        _retry(database, run)
    assert database.run(run_progress, run).state == "cancelled"


def test_a_slide_that_ends_while_another_of_its_patient_is_begun_again_is_counted_once(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "A")])
    torn = take(database, wanting(run))[0]
    database.run(flow.fail, torn, "torn", "UnreadableSlideError")
    while (claims := take(database, wanting(run)))[0].stage != "finish":
        for one in claims:
            database.run(flow.complete, one, pretend(one))
    held = claims[0]
    with ThreadPoolExecutor(1) as other:
        with database.transaction() as connection:
            flow.complete(connection, held, pretend(held))
            again = other.submit(_retry, database, run)
            _until_somebody_waits(database)
        assert again.result() == 1
    work_through(database, wanting(run))
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_reported) == ("done", 2, 1)


@pytest.mark.parametrize("stage", ["gather", "crop", "finish"])
def test_a_patient_waits_for_every_slide_when_one_is_begun_again(database: Database, stage: str) -> None:
    run = submit_night(database, [("a", "A"), ("b", "A")])
    torn = take(database, wanting(run))[0]
    database.run(flow.fail, torn, "torn", "UnreadableSlideError")
    while (claims := take(database, wanting(run)))[0].stage != stage:
        for one in claims:
            database.run(flow.complete, one, pretend(one))
    assert _retry(database, run) == 1
    for one in claims:
        database.run(flow.complete, one, pretend(one))
    stages = [held.stage for held in work_through(database, wanting(run))]
    assert stages.count("aggregate") == 1 and stages[-2:] == ["aggregate", "report"]
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_reported) == ("done", 2, 1)


def _until_somebody_waits(database: Database) -> None:
    """Until a transaction has come to where it waits for another; SQLite's wait before they begin."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    end = time.monotonic() + 10
    while not database.is_sqlite and time.monotonic() < end:
        with database.transaction() as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.05)


def test_many_submit_at_the_same_moment(database: Database) -> None:
    together = threading.Barrier(6)

    def hand_in(number: int) -> tuple[int, bool]:
        together.wait()
        return database.run(submit, new_night([("a", "A")], digest=f"{number % 3}"))

    with ThreadPoolExecutor(6) as people:
        found = list(people.map(hand_in, range(6)))
    assert len({run for run, _ in found}) == 3 and sum(is_new for _, is_new in found) == 3
    with database.transaction() as connection:
        assert set(connection.execute(select(runs.c.name)).scalars()) == {f"r{run}" for run, _ in found}


def test_a_run_submitted_again_as_stat_becomes_stat_and_stays_it(database: Database) -> None:
    for priority, expected in ((ROUTINE, ROUTINE), (STAT, STAT), (ROUTINE, STAT)):
        run = submit_night(database, [("a", "A")], priority=priority)
        with database.transaction() as connection:
            found = connection.execute(select(runs.c.priority).where(runs.c.id == run)).scalar_one()
        assert found == expected


def test_work_does_not_wait_for_a_clock_that_was_set_back(database: Database) -> None:
    run = submit_night(database, [("a", "A")])
    with database.transaction() as connection:
        connection.execute(update(chunks).values(ready_at=time.time() + 7200))
    assert take(database, wanting(run)) == []
    database.run(sweep, 20)
    assert len(take(database, wanting(run))) == 1


def test_a_worker_of_another_container_that_bears_this_name_is_not_taken_for_dead() -> None:
    assert not is_gone(f"{socket.gethostname()}[1]/4000000/1.00")
    host, _, began = worker_name().rsplit("/", 2)
    assert is_gone(f"{host}/4000000/{began}")


def test_a_lease_of_work_that_hangs_is_renewed_up_to_a_limit_and_then_runs_out(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = submit_night(database, [("a", "A")])
    state = State(find_location(str(tmp_path)), database, open_artefacts(str(tmp_path)))
    hung = take(database, wanting(run, lease_s=0.5))
    with beating(state, hung, 0.5, limit_s=1.5):
        time.sleep(1.0)
        assert database.run(sweep, 20) == [], "renewed so far"
        given_back: list[Swept] = []
        end = time.monotonic() + 20
        while not given_back and time.monotonic() < end:
            time.sleep(0.1)
            given_back = database.run(sweep, 20)
        assert [chunk.chunk_id for chunk in given_back] == [hung[0].id]
        other = take(database, wanting(run, worker="another/1/0"))
        assert database.run(flow.complete, other[0], pretend(other[0]))
    assert not database.run(flow.complete, hung[0], pretend(hung[0])), "what comes late changes nothing"
    assert f"chunk {hung[0].id} (survey) has not ended in 2 s" in caplog.text


def test_a_worker_asks_as_little_of_a_thousand_runs_as_of_one(database: Database) -> None:
    many = [submit_night(database, [("a", "A")], digest=f"{n}", laboratory=f"L{n % 3}") for n in range(60)]

    def n_statements(runs: list[int], queue: str) -> int:
        asked: list[str] = []
        event.listen(database.engine, "before_cursor_execute", note := lambda *seen: asked.append(seen[2]))
        take(database, wanting(*runs, queues=(queue,), runtimes={queue: "cpu"}))
        event.remove(database.engine, "before_cursor_execute", note)
        return len(asked)

    for queue in ("gpu", "cpu"):  # where there is nothing for it, and where there is
        assert n_statements(many[1:], queue) == n_statements(many[:1], queue)


# SQLite has one writer at a time: there no second worker can be taking work meanwhile.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_run_whose_last_work_another_is_taking_does_not_hide_the_next(database: Database) -> None:
    first, second = (submit_night(database, [("a", "A")], digest=f"{n}") for n in range(2))
    with database.transaction() as other:
        other.execute(select(chunks).where(chunks.c.run_id == first).with_for_update())
        assert [held.run_id for held in take(database, wanting(first, second))] == [second]


@pytest.mark.slow
def test_many_runs_that_others_work_on_are_left_to_them(database: Database) -> None:
    theirs = [submit_night(database, [("a", "A")], digest=f"{n}") for n in range(1200)]
    mine = submit_night(database, [("b", "B")], digest="mine")
    with database.transaction() as connection:
        said = [{"run_id": run, "queue": "cpu", "runtime": "another"} for run in theirs]
        connection.execute(insert(runtimes), said)
    claims = take(database, wanting(*theirs, mine, runtimes=dict.fromkeys(QUEUES, "cpu")))
    assert [held.run_id for held in claims] == [mine]


@pytest.mark.parametrize("is_final", [True, False])
def test_words_of_an_error_that_no_database_takes_are_written_out(database: Database, is_final: bool) -> None:
    run = submit_night(database, [("a", "A")])
    held = take(database, wanting(run))[0]
    words = "/scans/\udcff.tif: cannot be read \x00"
    if is_final:
        assert database.run(flow.fail, held, words, "UnreadableSlideError", words)
    else:
        database.run(flow.release, held, 0.0, words, True)
    with database.transaction() as connection:
        trouble = connection.execute(select(chunks.c.trouble).where(chunks.c.id == held.id)).scalar_one()
        reason = connection.execute(select(slides.c.reason)).scalar_one()
    assert "\\udcff.tif" in trouble and "\\x00" in trouble
    assert ("\\udcff.tif" in reason) == is_final


def test_an_error_of_the_database_does_not_repeat_what_was_to_be_written(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.transaction() as connection:
        connection.execute(
            insert(patients).values(run_id=1, place=0, patient_id="Mustermann", n_open=None, state="open")
        )
    assert "Mustermann" not in str(caught.value).split("[SQL:")[1]


def test_locks_of_a_host_that_is_cut_off_are_given_up(fresh_postgresql: Callable[[], str]) -> None:
    database = open_database(fresh_postgresql())
    with database.transaction() as connection:
        assert connection.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "1min"
    database.close()


@pytest.mark.parametrize("stage", ["report", "export"])
def test_a_run_without_a_page_or_its_files_is_not_whole_and_says_why(database: Database, stage: str) -> None:
    run = submit_night(database, [("a", "A")], out="/nowhere")
    while (claims := take(database, wanting(run)))[0].stage != stage:
        for held in claims:
            database.run(flow.complete, held, pretend(held))
    database.run(flow.fail, claims[0], "no room", "refused", "Traceback …\nOSError: no room")
    work_through(database, wanting(run))
    status = database.run(lambda connection: run_status(connection, find_run(connection, "last")))
    assert status.progress.state == "done" and not status.progress.n_failed and not status.progress.is_whole
    assert status.unmade == (("A" if stage == "report" else "", "OSError: no room"),)
    assert _retry(database, run) == 0
    work_through(database, wanting(run))
    assert database.run(run_progress, run).is_whole


def test_a_slide_without_some_of_its_images_is_done_and_the_run_is_not_whole(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "B")])
    (held,) = take(database, wanting(run))
    stamp: list[object] = []
    database.run(flow.complete, held, replace(pretend(held), stamp=stamp, loss="1 of 2 images left out: x.png is torn"))
    work_through(database, wanting(run))
    status = database.run(lambda connection: run_status(connection, find_run(connection, "last")))
    assert (status.progress.n_done, status.progress.n_failed, status.progress.n_partial) == (2, 0, 1)
    assert not status.progress.is_whole and not status.failures
    assert [loss for _, loss in status.losses] == ["1 of 2 images left out: x.png is torn"]
