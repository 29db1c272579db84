"""Artefacts on a folder and on an S3-compatible store: whole or not there, and kept as long as they may be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pretended_night import submit_night
from sqlalchemy import select, update

from smearscan import screening
from smearscan.errors import OutputError, SettingsError, TransientError
from smearscan.settings import Settings
from smearscan.stages.job import Job
from smearscan.stages.retention import Retention, is_tight, make_room, remove_old, tell_retention, told_retention
from smearscan.store.artefact_stores import FolderArtefacts, open_artefacts
from smearscan.store.artefacts import Artefacts, artefact_key
from smearscan.store.claims import Claim
from smearscan.store.guarded import seal
from smearscan.store.location import find_location
from smearscan.store.schema import chunks, slides
from smearscan.store.state import State, open_state
from smearscan.submission import gather
from smearscan.synth import write_smear
from workers.sweeper import Sweeping, run_sweeper


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A store that speaks S3, served on this machine."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        boto3.client("s3").create_bucket(Bucket="smears")
        yield "s3://smears/artefacts"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def artefacts(request: pytest.FixtureRequest, tmp_path: Path) -> Artefacts:
    """Either kind, empty or nearly so."""
    if request.param == "folder":
        return open_artefacts(str(tmp_path / "artefacts"))
    return open_artefacts(f"{request.getfixturevalue('bucket')}/{tmp_path.name}")


def test_what_is_put_is_what_is_got(artefacts: Artefacts) -> None:
    key = artefact_key("crop", 1)
    assert not artefacts.has(key)
    artefacts.put(key, b"\x00" * 100_000)
    artefacts.put(key, b"cells")
    assert artefacts.has(key) and artefacts.get(key) == b"cells"
    assert [(kept.key, kept.n_bytes) for kept in artefacts.walk()] == [(key, 5)]
    assert abs(next(artefacts.walk()).written_at - time.time()) < 120
    artefacts.remove(key)
    artefacts.remove(key)
    assert not artefacts.has(key) and list(artefacts.walk()) == []


def test_a_store_in_use_is_marked_and_the_mark_is_no_artefact(artefacts: Artefacts) -> None:
    assert not artefacts.is_marked()
    artefacts.mark()
    artefacts.mark()
    assert artefacts.is_marked() and list(artefacts.walk()) == []


def test_what_is_gone_is_named_with_the_remedy(artefacts: Artefacts) -> None:
    with pytest.raises(OutputError, match="retry"):
        artefacts.get(artefact_key("crop", 2))


def test_a_full_disk_is_passing_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    artefacts = open_artefacts(str(tmp_path))

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(TransientError, match="disk is full"):
            artefacts.put(artefact_key("crop", 3), b"x")
    assert not artefacts.has(artefact_key("crop", 3)) and list(artefacts.walk()) == []


def test_a_folder_that_gives_errors_is_away_and_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    artefacts, key = open_artefacts(str(tmp_path)), artefact_key("crop", 4)
    artefacts.put(key, b"x")

    def stale(self: Path, **_: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", stale)
        with pytest.raises(TransientError):
            artefacts.has(key)
        with pytest.raises(TransientError):
            artefacts.free_bytes()
    assert artefacts.has(key)


def test_who_asks_for_the_room_of_a_folder_does_not_make_it(tmp_path: Path) -> None:
    free = open_artefacts(str(tmp_path / "later" / "artefacts")).free_bytes()
    assert free is not None and free > 0
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_does_not_answer_is_passing(monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    S3FileSystem.clear_instance_cache()
    artefacts, key = open_artefacts("s3://nowhere/artefacts"), artefact_key("crop", 5)
    calls: list[Callable[[], object]] = [
        lambda: artefacts.put(key, b"x"),
        lambda: artefacts.get(key),
        lambda: artefacts.has(key),
        lambda: list(artefacts.walk()),
    ]
    for call in calls:
        with pytest.raises(TransientError, match="Mend the artefact store"):
            call()
    S3FileSystem.clear_instance_cache()


def test_what_is_removed_between_the_look_and_the_reading_is_made_again(state: State) -> None:
    key = artefact_key("survey", "x")
    FolderArtefacts(Path(state.location.artefacts)).put(key, b"old")

    class Hasty(FolderArtefacts):
        def has(self, key: str) -> bool:
            there = super().has(key)
            self.remove(key)  # retention comes by
            return there

    hasty = State(state.location, state.database, Hasty(Path(state.location.artefacts)))
    job = Job(hasty, Claim(1, 1, None, None, "survey", 0, 1, 1, {}), Settings(), "default")
    assert job.make(key, lambda: b"made again") == (b"made again", False)


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        open_artefacts("nowhere://x")


@given(a=st.lists(st.integers() | st.text()), b=st.lists(st.integers() | st.text()))
def test_a_key_tells_inputs_apart(a: list[object], b: list[object]) -> None:
    assert (artefact_key("crop", a) == artefact_key("crop", b)) == (a == b)
    assert artefact_key("crop", a) != artefact_key("search", a)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A folder state."""
    opened = open_state(find_location(str(tmp_path / "state")))
    yield opened
    opened.database.close()


def test_old_artefacts_go_and_results_stay(state: State) -> None:
    for kind in ("crop", "classify", "finish", "aggregate", "report"):
        state.artefacts.put(artefact_key(kind, 1), b"x")
    assert remove_old(state, Retention(days=1.0), now=time.time() + 2 * 86_400) == 2
    assert sorted(kept.key.split("-")[0] for kept in state.artefacts.walk()) == ["aggregate", "finish", "report"]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(sizes=st.lists(st.integers(1, 50), max_size=8), limit=st.integers(0, 200))
def test_the_oldest_go_until_the_rest_is_small_enough(state: State, sizes: list[int], limit: int) -> None:
    for kept in list(state.artefacts.walk()):
        state.artefacts.remove(kept.key)
    for n, size in enumerate(sizes):
        state.artefacts.put(artefact_key("crop", n), b"x" * size)
    limit += len(sizes) * len(seal(b""))
    remove_old(state, Retention(days=1.0, gigabytes=limit / 1e9))
    left = [kept.n_bytes for kept in state.artefacts.walk()]
    assert sum(left) <= limit
    assert sum(len(seal(b"x" * size)) for size in sizes) > limit or len(left) == len(sizes)


def test_what_a_killed_writer_left_is_removed_after_a_day(state: State) -> None:
    state.artefacts.put(artefact_key("crop", 1), b"x")
    (place,) = {path.parent for path in Path(state.location.artefacts).rglob("crop-*")}
    (place / ".0123456789abcdef.part").write_bytes(b"half a cell")
    remove_old(state, Retention())
    assert len(list(place.iterdir())) == 2, "its writer may be at work"
    remove_old(state, Retention(), now=time.time() + 2 * 86_400)
    assert [path.name for path in place.iterdir()] == [artefact_key("crop", 1)]


def test_what_is_kept_is_what_the_state_was_told_last(state: State) -> None:
    assert state.database.read(told_retention) == Retention()
    for days in (90.0, 30.0):
        state.database.run(tell_retention, Retention(days, 500.0))
    assert state.database.read(told_retention) == Retention(30.0, 500.0)
    over = threading.Event()
    over.set()
    run_sweeper(state.location, Sweeping(retention=Retention(7.0, 70.0)), over)
    assert state.database.read(told_retention) == Retention(7.0, 70.0)


def test_a_screening_keeps_what_the_state_was_told_and_tidies_where_it_writes(state: State, tmp_path: Path) -> None:
    smear, out = tmp_path / "a.tif", tmp_path / "out"
    write_smear(smear, 500, 400, 3, mpp=0.2, cells_per_mm2=900.0, layout="field")
    (out / "report").mkdir(parents=True)
    left = out / "report" / ".a.html.4000000.part"
    left.write_bytes(b"half a page")
    os.utime(left, (1, 1))
    state.database.run(tell_retention, Retention(0.0, 0.0))
    screening.screen(gather([smear]), Settings(), out, "default", 1, _Nobody(), state)
    assert {kept.key.split("-")[0] for kept in state.artefacts.walk()} == {"finish", "aggregate", "report"}
    assert not left.exists()


class _Nobody:
    def update(self, done: float, total: float, note: str = "") -> None:
        """Nobody looks."""


def test_artefacts_of_a_run_that_goes_on_are_kept_whatever_their_age(state: State) -> None:
    run = submit_night(state.database, [("a", "A")])
    key = artefact_key("survey", "a")
    state.artefacts.put(key, b"x")
    with state.database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.run_id == run).values(task={"survey": key, "search": [key]}))
    assert remove_old(state, Retention(days=0.0, gigabytes=0.0), now=time.time() + 1e6) == 0


def _night_with_one_slide_done(state: State) -> tuple[str, str]:
    """An open run of two slides, one of them done: what each cut."""
    run = submit_night(state.database, [("a", "A"), ("b", "B")])
    keys = {name: artefact_key("crop", name) for name in "ab"}
    for key in keys.values():
        state.artefacts.put(key, b"x")
    with state.database.transaction() as connection:
        rows = connection.execute(select(slides.c.id, slides.c.slide_id).where(slides.c.run_id == run)).all()
        for row in rows:
            of_slide = update(chunks).where(chunks.c.slide_row == row.id)
            connection.execute(of_slide.values(output=keys[row.slide_id]))
        connection.execute(update(slides).where(slides.c.slide_id == "a").values(state="done"))
    return keys["a"], keys["b"]


def test_what_a_slide_cut_may_go_once_it_is_done_though_its_run_goes_on(state: State) -> None:
    """A night's run is open until the morning: its cells would fill any disk."""
    done, begun = _night_with_one_slide_done(state)
    assert remove_old(state, Retention(days=100.0, gigabytes=0.0)) == 1
    assert not state.artefacts.has(done)
    assert state.artefacts.has(begun)


def test_where_hardly_any_room_is_left_what_nobody_needs_goes_before_its_time(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, begun = _night_with_one_slide_done(state)
    soon, later = time.time() + 1, time.time() + 3600
    assert make_room(state, now=later) == 0, "there is room"
    monkeypatch.setattr(FolderArtefacts, "free_bytes", lambda _: 1_000_000)
    assert is_tight(state)
    assert make_room(state, now=soon) == 0, "it was just made: its chunk may not be written down yet"
    assert make_room(state, now=later) == 1
    assert not state.artefacts.has(done)
    assert state.artefacts.has(begun)
