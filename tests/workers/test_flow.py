"""Chunks, joins and leases, as the database decides them; on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import psutil
import pytest
from pretended_night import N_SETS, N_TILES, pretend, submit_night, take, wanting, work_through
from sqlalchemy import select, update

from smearscan.stages import flow
from smearscan.stages.progress import run_progress
from smearscan.stages.status import run_status
from smearscan.stages.table import STAGES
from smearscan.store.claims import STAT
from smearscan.store.database import Database, open_database
from smearscan.store.runs import cancel, find_run, retry
from smearscan.store.schema import chunks, patients, runs, slides
from smearscan.store.sweep import lost_chunks, sweep, worker_name

_TWO_OF_ONE = [("a", "P1"), ("b", "P1"), ("c", "P2")]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty state."""
    opened = open_database(database_url, patience_s=2.0)
    yield opened
    opened.close()


def _retry(database: Database, run: int) -> int:
    return database.run(retry, run, STAGES["survey"].chunk(), STAGES["aggregate"].chunk())


def test_a_run_goes_through_every_stage_once(database: Database) -> None:
    run = submit_night(database, _TWO_OF_ONE)
    counts = Counter(held.stage for held in work_through(database, wanting(run)))
    per_slide = {"survey": 1, "search": N_TILES, "gather": 1, "crop": N_SETS, "classify": N_SETS, "finish": 1}
    assert counts == {**{stage: 3 * n for stage, n in per_slide.items()}, "aggregate": 2, "report": 2}
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_reported, progress.fraction) == ("done", 3, 2, 1.0)
    assert progress.n_cells == 3 * 10 * N_SETS


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_done_twice_whatever_happens_to_workers(database: Database, seed: int) -> None:
    """Workers die, finish after they were given up, are told twice; chunks fail for a while: each is done once."""
    chance = random.Random(seed)
    run = submit_night(database, [(f"s{n}", f"P{n // 2}") for n in range(6)])
    held_back, done = [], Counter[int]()
    for _ in range(2000):
        claims = take(database, wanting(run, worker=f"elsewhere/{chance.randrange(4)}/0", pool_items=25))
        held_back += claims
        if not held_back:
            break
        chance.shuffle(held_back)
        held = held_back.pop()
        fate = chance.random()
        if fate < 0.5:
            for _ in range(chance.choice([1, 2])):  # a second message of the same chunk
                done[held.id] += database.run(flow.complete, held, pretend(held))
        elif fate < 0.7:
            database.run(flow.release, held, 0.0, "a full disk", False)
        else:  # dies; half of the dead come back later and hand in what they made
            _expire(database, held.id)
            database.run(sweep, 1000)
            held_back += [held] if chance.random() < 0.5 else []
    assert set(done.values()) == {1}
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_cells) == ("done", 6, 6 * 10 * N_SETS)
    with database.transaction() as connection:
        stages = Counter(connection.execute(select(chunks.c.stage)).scalars())
    assert stages["finish"] == 6 and stages["gather"] == 6 and stages["aggregate"] == 3 and stages["report"] == 3


def _expire(database: Database, chunk_id: int) -> None:
    with database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.id == chunk_id).values(lease_until=1.0))


def test_a_slide_that_fails_leaves_the_others_alone_and_its_patient_is_still_reported(database: Database) -> None:
    run = submit_night(database, _TWO_OF_ONE)
    first = take(database, wanting(run))[0]
    database.run(flow.fail, first, "torn", "UnreadableSlideError")
    work_through(database, wanting(run))
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_failed, progress.n_reported) == ("done", 2, 1, 2)
    status = database.run(lambda c: run_status(c, find_run(c, "last")))
    assert [(f.slide_id, f.reason) for f in status.failures] == [("a", "/a: torn")]


def test_retry_does_the_failed_slide_and_its_patient_alone(database: Database) -> None:
    run = submit_night(database, _TWO_OF_ONE)
    database.run(flow.fail, take(database, wanting(run))[0], "torn", "UnreadableSlideError")
    work_through(database, wanting(run))
    assert _retry(database, run) == 1
    again = work_through(database, wanting(run))
    assert Counter(held.stage for held in again)["survey"] == 1
    assert Counter(held.stage for held in again)["aggregate"] == 1
    progress = database.run(run_progress, run)
    assert (progress.state, progress.n_done, progress.n_failed, progress.n_reported) == ("done", 3, 0, 2)
    assert _retry(database, run) == 0


def test_a_failed_report_is_tried_again_without_its_slides(database: Database) -> None:
    run = submit_night(database, [("a", "P1")])
    while (claims := take(database, wanting(run)))[0].stage != "report":
        for held in claims:
            database.run(flow.complete, held, pretend(held))
    database.run(flow.fail, claims[0], "no picture", "quarantined")
    assert database.run(run_progress, run).state == "done"
    assert _retry(database, run) == 0
    assert [held.stage for held in work_through(database, wanting(run))] == ["aggregate", "report"]
    assert database.run(run_progress, run).state == "done"


def test_late_parts_of_a_failed_slide_change_nothing(database: Database) -> None:
    run = submit_night(database, [("a", "P1")])
    database.run(flow.complete, take(database, wanting(run))[0], pretend(take_back := _only(database)))
    held = [take(database, wanting(run))[0] for _ in range(N_TILES)]
    database.run(flow.fail, held[0], "replaced", "ReplacedError")
    assert not database.run(flow.complete, held[1], pretend(held[1]))
    assert not database.run(flow.fail, held[2], "again", "ReplacedError")
    assert take_back.stage == "survey"
    assert [held.stage for held in work_through(database, wanting(run))] == ["aggregate", "report"]


def _only(database: Database):  # type: ignore[no-untyped-def]
    with database.transaction() as connection:
        return connection.execute(select(chunks)).one()


def test_the_same_submission_is_one_run_until_it_is_cancelled(database: Database) -> None:
    first = submit_night(database, _TWO_OF_ONE)
    assert submit_night(database, _TWO_OF_ONE) == first
    assert database.run(cancel, first) == 3
    assert take(database, wanting(first)) == []
    assert submit_night(database, _TWO_OF_ONE) != first


def test_stat_overtakes_routine(database: Database) -> None:
    routine = submit_night(database, [(f"r{n}", f"R{n}") for n in range(20)], digest="r")
    work_through(database, wanting(routine), at_most=5)
    stat = submit_night(database, [("s", "S")], digest="s", priority=STAT)
    done = work_through(database, wanting(routine, stat), at_most=1 + N_TILES + 1 + 2 * N_SETS + 3)
    assert {held.run_id for held in done} == {stat}
    assert database.run(run_progress, stat).state == "done"


def test_outside_the_window_only_stat_is_done(database: Database) -> None:
    routine = submit_night(database, [("r", "R")], digest="r")
    stat = submit_night(database, [("s", "S")], digest="s", priority=STAT)
    done = work_through(database, wanting(routine, stat, takes_routine=False))
    assert {held.run_id for held in done} == {stat}


def test_laboratories_share_fairly_and_a_newcomer_does_not_take_the_night(database: Database) -> None:
    large = submit_night(database, [(f"a{n}", f"A{n}") for n in range(50)], digest="a", laboratory="large")
    everything = wanting(large)
    for _ in range(20):
        held = take(database, everything)
        database.run(flow.complete, held[0], pretend(held[0]))
        database.run(flow.record_work, held, "w", 1.0, 0, "done")
    small = submit_night(database, [(f"b{n}", f"B{n}") for n in range(50)], digest="b", laboratory="small")
    served = Counter[int]()
    for _ in range(40):
        held = take(database, wanting(large, small))
        served[held[0].run_id] += 1
        for one in held:
            database.run(flow.complete, one, pretend(one))
        database.run(flow.record_work, held, "w", 1.0, 0, "done")
    assert abs(served[large] - served[small]) <= 2


def test_runs_of_other_code_or_weights_are_not_touched(database: Database) -> None:
    mine = submit_night(database, [("a", "A")], digest="a")
    other = submit_night(database, [("b", "B")], digest="b")
    assert {held.run_id for held in work_through(database, wanting(mine))} == {mine}
    assert database.run(run_progress, other).n_done == 0


def test_cells_of_several_slides_and_patients_are_judged_together(database: Database) -> None:
    run = submit_night(database, [(f"s{n}", f"P{n}") for n in range(8)])
    pools = []
    while claims := take(database, wanting(run, pool_items=40)):
        if claims[0].stage == "classify":
            pools.append(claims)
        for held in claims:
            database.run(flow.complete, held, pretend(held))
    assert sum(held.n_items for pool in pools for held in pool) == 8 * 10 * N_SETS
    assert all(sum(held.n_items for held in pool) == 40 for pool in pools)
    assert len({held.slide_row for held in pools[0]}) > 1


def test_a_pool_that_failed_is_taken_apart(database: Database) -> None:
    run = submit_night(database, [(f"s{n}", f"P{n}") for n in range(4)])
    while len(claims := take(database, wanting(run, pool_items=40))) == 1:
        database.run(flow.complete, claims[0], pretend(claims[0]))
    for held in claims:
        database.run(flow.release, held, 0.0, "broken", True)
    alone = [take(database, wanting(run, pool_items=40, queues=("gpu",))) for _ in claims]
    assert [len(claim) for claim in alone] == [1] * len(claims)


def test_crops_do_not_outrun_what_waits_to_be_judged(database: Database) -> None:
    run = submit_night(database, [(f"s{n}", f"P{n}") for n in range(10)])
    cutting = wanting(run, queues=("cpu",), most_pending=35)
    work_through(database, cutting)
    with database.transaction() as connection:
        waiting = select(chunks.c.n_items).where(chunks.c.stage == "classify", chunks.c.status == "ready")
        assert 35 <= sum(connection.execute(waiting).scalars()) <= 45
    work_through(database, wanting(run, queues=("gpu",)))
    assert work_through(database, cutting), "room again: the cutting goes on"


def test_a_lease_that_ran_out_and_one_of_a_clock_set_back_are_both_given_back(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "B"), ("c", "C")])
    past, future, good = (take(database, wanting(run))[0] for _ in range(3))
    with database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.id == past.id).values(lease_until=1.0))
        connection.execute(update(chunks).where(chunks.c.id == future.id).values(lease_until=1e12))
        swept = sweep(connection, 20)
    assert {chunk.chunk_id for chunk in swept} == {past.id, future.id}
    assert good.id not in {chunk.chunk_id for chunk in swept}


def test_the_work_of_a_dead_process_of_this_host_is_given_back_at_once(database: Database) -> None:
    run = submit_night(database, [("a", "A"), ("b", "B")])
    host, process, began = worker_name().rsplit("/", 2)
    dead = take(database, wanting(run, worker=f"{host}/{process}/{float(began) - 100:.2f}"))[0]
    take(database, wanting(run, worker=worker_name()))
    assert [chunk.chunk_id for chunk in database.run(sweep, 20)] == [dead.id]


def test_a_clock_that_jumps_leaves_work_with_those_who_are_at_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What tells a process from another that had its number must not be worked out from the time of day."""
    at_work = worker_name()
    monkeypatch.setattr(psutil, "boot_time", lambda: 1.0)
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: 1e9)
    assert worker_name() == at_work
    run = submit_night(database, [("a", "A")])
    take(database, wanting(run, worker=at_work))
    assert database.run(sweep, 20) == []


def test_a_chunk_that_loses_too_many_workers_is_put_aside(database: Database) -> None:
    run = submit_night(database, [("a", "A")])
    for n in range(3):
        held = take(database, wanting(run))[0]
        _expire(database, held.id)
        (swept,) = database.run(sweep, 3)
        assert (swept.n_losses, swept.is_quarantined) == (n + 1, n == 2)
    assert database.run(lost_chunks) == [held.id]
    database.run(flow.fail, held, "too many workers died over it", "worker_lost")
    work_through(database, wanting(run))
    assert database.run(run_progress, run).n_failed == 1


def test_a_patient_none_of_whose_slides_can_be_read_is_reported_too(database: Database) -> None:
    from pretended_night import new_night

    from smearscan.store.submit import NewSlide, submit

    refused = NewSlide("x", "P9", "/x", {"paths": []}, "no such file")
    night = new_night([("a", "P1")])
    run, _ = database.run(submit, type(night)(**{**_fields(night), "slides": [*night.slides, refused]}))
    work_through(database, wanting(run))
    with database.transaction() as connection:
        assert set(connection.execute(select(patients.c.state)).scalars()) == {"done"}
        assert connection.execute(select(runs.c.state)).scalar_one() == "done"
        assert set(connection.execute(select(slides.c.state)).scalars()) == {"done", "failed"}


def _fields(night: object) -> dict[str, object]:
    return {name: getattr(night, name) for name in night.__slots__}  # type: ignore[attr-defined]
