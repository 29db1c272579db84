"""Watching a folder: only what is written to its end, only once, a patient's slides together."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from pretended_night import new_night

from smearscan.store.database import open_database
from smearscan.store.runs import find_run
from workers.commands.watch import submit_into
from workers.watch import Watch


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    """A clock that stands until it is set."""
    return _Clock()


def _watch(folder: Path, clock: _Clock, worksheet: Path | None = None) -> Watch:
    return Watch(folder, worksheet, settle_s=30.0, clock=clock)


def _names(watch: Watch) -> list[str]:
    found = watch.look()
    return [] if found is None else sorted(source.slide_id for source in found.sources)


def test_a_file_is_taken_once_it_has_stopped_changing(tmp_path: Path, clock: _Clock) -> None:
    watch, file = _watch(tmp_path, clock), tmp_path / "a.tif"
    file.write_bytes(b"begun")
    assert _names(watch) == []
    clock.now = 29
    file.write_bytes(b"begun and going on")
    assert _names(watch) == []
    clock.now = 58
    assert _names(watch) == [], "it changed 29 s ago"
    clock.now = 60
    assert _names(watch) == ["a"]
    clock.now = 200
    assert _names(watch) == [], "it was submitted"


def test_a_slide_that_is_replaced_is_taken_again(tmp_path: Path, clock: _Clock) -> None:
    watch, file = _watch(tmp_path, clock), tmp_path / "a.tif"
    file.write_bytes(b"first")
    for clock.now in (0, 40):
        names = _names(watch)
    assert names == ["a"]
    file.write_bytes(b"second scan")
    for clock.now in (50, 90):
        names = _names(watch)
    assert names == ["a"]


def test_after_a_restart_nothing_is_submitted_twice(tmp_path: Path, clock: _Clock) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    first = _watch(tmp_path, clock)
    for clock.now in (0, 40):
        _names(first)
    again = Watch(tmp_path, None, 30.0, known=dict(first.known), clock=clock)
    (tmp_path / "b.tif").write_bytes(b"y")
    seen = []
    for clock.now in (50, 90):
        seen += _names(again)
    assert seen == ["b"]


def test_a_patient_waits_for_all_slides_on_the_worksheet(tmp_path: Path, clock: _Clock) -> None:
    sheet = tmp_path / "w.csv"
    sheet.write_text("path,patient_id\na.tif,P1\nb.tif,P1\nc.tif,P2\n")
    (tmp_path / "a.tif").write_bytes(b"x")
    (tmp_path / "c.tif").write_bytes(b"z")
    watch = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 40):
        names = _names(watch)
    assert names == ["c"]
    (tmp_path / "b.tif").write_bytes(b"y")
    for clock.now in (50, 90):
        names = _names(watch)
    assert names == ["a", "b"]


def test_what_could_not_be_submitted_is_found_again(tmp_path: Path, clock: _Clock) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    watch = _watch(tmp_path, clock)
    watch.look()
    clock.now = 40
    found = watch.look()
    assert found is not None and watch.look() is None
    watch.forget(found)
    assert _names(watch) == ["a"]


def test_a_watched_run_and_where_its_files_go_are_written_down_together(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url)
    for _ in range(2):  # a commit that was cut off is tried again
        run = database.run(submit_into, new_night([("a", "A")]), tmp_path)
    assert database.run(find_run, "last").out == str(tmp_path / f"r{run}")
    database.close()


def test_a_worksheet_with_a_typo_stops_nothing_and_is_said_once(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = tmp_path / "w.csv"
    sheet.write_text("path,patient\na.tif,P1\n")
    watch = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 40, 80):
        assert _names(watch) == []
    assert caplog.text.count("has no column") == 1


def test_a_worksheet_that_is_half_saved_names_nobody(tmp_path: Path, clock: _Clock) -> None:
    sheet = tmp_path / "w.csv"
    _scans(tmp_path, "a")
    sheet.write_text("path,patient_id\na.tif,P1")
    watch = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 20):
        assert _names(watch) == []
    sheet.write_text("path,patient_id\na.tif,P12\n")
    found = None
    for clock.now in (40, 80):
        found = found or watch.look()
    assert found is not None and [source.patient_id for source in found.sources] == ["P12"]


def test_a_slide_listed_twice_does_not_keep_its_patient_waiting(tmp_path: Path, clock: _Clock) -> None:
    sheet = tmp_path / "w.csv"
    _scans(tmp_path, "a", "b", "c")
    sheet.write_text("path,patient_id\na.tif,P1\na.tif,P1\nb.tif,P2\nc.tif,P3\nc.tif,P4\n")
    watch = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 40):
        names = _names(watch)
    assert names == ["a", "b"], "but one that is listed under two patients keeps both"


def test_a_patient_renamed_halfway_is_submitted_anew_with_what_is_left_of_the_other(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = tmp_path / "w.csv"
    _scans(tmp_path, "a", "b", "c")
    sheet.write_text("path,patient_id\na.tif,P1\nb.tif,P1\nc.tif,P9\n")
    first = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 40):
        names = _names(first)
    assert names == ["a", "b", "c"]
    sheet.write_text("path,patient_id\na.tif,P1\nb.tif,P2\nc.tif,P9\n")
    for watch in (first, Watch(tmp_path, sheet, 30.0, known=dict(first.known), clock=clock)):  # and after a restart
        start = clock.now
        for clock.now in (start + 10, start + 50):
            found = watch.look()
        assert found is not None
        assert [(s.slide_id, s.patient_id) for s in found.sources] == [("a", "P1"), ("b", "P2")]
        assert watch.look() is None
    assert "submitted as patient P1 is now listed as patient P2" in caplog.text


def test_the_log_names_patients_by_their_id_alone(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    sheet = tmp_path / "w.csv"
    _scans(tmp_path, "Erika Mustermann")
    lines = ["Erika Mustermann.tif,P1,", "Max Mustermann.tif,P2,", "x.tif,P3,Mustermann", "Erika Mustermann.tif,P4,"]
    sheet.write_text("\n".join(["path,patient_id,mpp", *lines]))
    watch = _watch(tmp_path, clock, sheet)
    for clock.now in (0, 40):
        _names(watch)
    sheet.write_text("Erika Mustermann.tif,P1\nMax Mustermann.tif,P2\n")
    for clock.now in (80, 120):
        _names(watch)
    sheet.write_text('path,patient_id,"O\'Mustermann, Eva"\nx.tif,P1,\n')
    for clock.now in (160, 200):
        _names(watch)
    assert "Mustermann" not in caplog.text
    for said in (
        "patient P1: listed under several",
        "patient P2: no such file",
        "line 4: mpp must be",
        "has a column it",
    ):
        assert said in caplog.text


def _scans(folder: Path, *names: str) -> list[Path]:
    """Files that are there, whatever they hold."""
    files = [folder / f"{name}.tif" for name in names]
    for file in files:
        file.write_bytes(b"x")
    return files


def test_a_file_that_may_not_be_read_yet_waits(tmp_path: Path, clock: _Clock, ordinary_rights: None) -> None:
    file = tmp_path / "a.tif"
    file.write_bytes(b"x")
    file.chmod(0)
    watch = _watch(tmp_path, clock)
    for clock.now in (0, 40):
        assert _names(watch) == []
    file.chmod(0o644)
    assert _names(watch) == ["a"]


def test_a_file_that_stays_empty_is_named_once(tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A transfer that died at its first byte must not be found out by who misses the patient."""
    (tmp_path / "empty.tif").touch()
    watch = _watch(tmp_path, clock)
    for clock.now in (0, 20):
        assert _names(watch) == []
    assert caplog.text == ""
    for clock.now in (40, 80):
        assert _names(watch) == []
    assert caplog.text.count("a slide of patient empty is empty or may not be read") == 1


def test_a_share_that_answers_with_errors_ends_no_watch(
    tmp_path: Path, clock: _Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    watch = _watch(tmp_path, clock)

    def stale(*_: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr("workers.watch.gather", stale)
        assert _names(watch) == []
    assert "the folder cannot be read (Stale file handle)" in caplog.text
    for clock.now in (10, 50):
        names = _names(watch)
    assert names == ["a"]
