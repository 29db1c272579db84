"""A damaged artefact is found out and made again; a share that is not mounted is not an empty one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pretended_night import submit_night
from sqlalchemy import update

from smearscan import screening
from smearscan.errors import OutputError, TransientError
from smearscan.settings import Settings
from smearscan.stages.job import Job
from smearscan.store.artefacts import MARK, GoneError, artefact_key
from smearscan.store.claims import Claim
from smearscan.store.guarded import require_marked, seal, unseal
from smearscan.store.location import find_location
from smearscan.store.schema import chunks
from smearscan.store.state import State, open_state
from smearscan.submission import gather
from smearscan.synth import write_smear


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A folder state."""
    opened = open_state(find_location(str(tmp_path / "state")))
    yield opened
    opened.database.close()


def _file(state: State, key: str) -> Path:
    (found,) = Path(state.location.artefacts).rglob(key)
    return found


@given(data=st.binary(max_size=200), place=st.integers(0, 10_000), bit=st.integers(0, 7), cut=st.integers(1, 10_000))
def test_a_flipped_bit_and_a_lost_end_are_both_found_out(data: bytes, place: int, bit: int, cut: int) -> None:
    sealed = seal(data)
    assert unseal(sealed) == (data,)
    flipped = bytearray(sealed)
    flipped[place % len(sealed)] ^= 1 << bit
    assert unseal(bytes(flipped)) is None
    assert unseal(sealed[: -(1 + cut % len(sealed))]) is None


@pytest.mark.parametrize("kind", ["crop", "finish"])
def test_a_damaged_artefact_is_made_again(state: State, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    key = artefact_key(kind, 1)
    state.artefacts.put(key, b"three cells")
    _file(state, key).write_bytes(_file(state, key).read_bytes().replace(b"three", b"eight"))
    job = Job(state, Claim(1, 1, None, None, kind, 0, 1, 1, {}), Settings(), "default")
    assert job.make(key, lambda: b"three cells") == (b"three cells", False)
    assert f"{key} is damaged" in caplog.text
    assert state.artefacts.get(key) == b"three cells"


def test_damage_that_nobody_looked_at_is_as_good_as_gone(state: State) -> None:
    """Verdicts are taken for made where there are any; who reads them finds out, and they are no longer there."""
    key = artefact_key("classify", 1)
    state.artefacts.put(key, b"verdicts")
    _file(state, key).write_bytes(b"")
    with pytest.raises(GoneError, match="damaged"):
        state.artefacts.get(key)
    assert not state.artefacts.has(key)


def _with_work_done(state: State) -> str:
    """A state that made an artefact, by its key."""
    run, key = submit_night(state.database, [("a", "A")]), artefact_key("survey", 1)
    state.artefacts.put(key, b"x")
    with state.database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.run_id == run).values(output=key, status="done"))
    return key


def test_an_empty_mount_point_is_no_store_without_artefacts(state: State, tmp_path: Path) -> None:
    key, folder = _with_work_done(state), Path(state.location.artefacts)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    calls = [
        lambda: state.artefacts.has(key),
        lambda: state.artefacts.get(key),
        lambda: state.artefacts.put(key, b"hidden under the mount"),
        lambda: require_marked(state.artefacts, state.database),
    ]
    for call in calls:
        with pytest.raises(TransientError, match=r"is a share not mounted\? Mount it"):
            call()
    assert not list(folder.iterdir())
    folder.rmdir()
    (tmp_path / "elsewhere").rename(folder)
    assert state.artefacts.get(key) == b"x", "mounted again"


def test_a_store_that_was_emptied_on_purpose_is_taken_once_that_is_said(state: State, tmp_path: Path) -> None:
    key, folder = _with_work_done(state), Path(state.location.artefacts)
    folder.rename(tmp_path / "elsewhere")
    folder.mkdir()
    (folder / MARK).touch()
    assert not state.artefacts.has(key)
    with pytest.raises(GoneError):
        state.artefacts.get(key)


def test_artefacts_without_a_mark_are_those_of_an_older_version(state: State) -> None:
    key, folder = _with_work_done(state), Path(state.location.artefacts)
    (folder / MARK).unlink()
    assert state.artefacts.get(key) == b"x" and not state.artefacts.has(artefact_key("survey", 2))
    assert (folder / MARK).exists() and [kept.key for kept in state.artefacts.walk()] == [key]


class _Nobody:
    def update(self, done: float, total: float, note: str = "") -> None:
        """Nobody looks."""


@pytest.mark.parametrize("kind", ["finish", "aggregate", "report"])
def test_a_damaged_result_of_a_run_that_is_over_is_refused_and_then_made_again(
    state: State, tmp_path: Path, kind: str
) -> None:
    smear = tmp_path / "a.tif"
    write_smear(smear, 500, 400, 3, mpp=0.2, cells_per_mm2=900.0, layout="field")
    tables = []
    for _ in range(2):
        written = screening.screen(gather([smear]), Settings(), tmp_path / "out", "default", 1, _Nobody(), state)
        assert not written.n_failed
        tables.append((tmp_path / "out" / "cells.csv").read_bytes())
        (key,) = [kept.key for kept in state.artefacts.walk() if kept.key.startswith(kind)]
        _file(state, key).write_bytes(_file(state, key).read_bytes()[:-1])
        with pytest.raises(OutputError, match="damaged"):
            state.artefacts.get(key)
    assert tables[0] == tables[1]
