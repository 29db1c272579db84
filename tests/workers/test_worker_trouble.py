"""A defect, a lost chunk, a database away in between: one slide is put aside, the others go on."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from screened import screen_here
from sqlalchemy import select, update
from sqlalchemy.exc import InterfaceError

from smearscan.local import work_off
from smearscan.settings import Settings
from smearscan.stages import execute, slide_stages
from smearscan.stages.progress import run_progress
from smearscan.stages.submission import new_run
from smearscan.store.schema import chunks
from smearscan.store.state import State
from smearscan.store.submit import submit
from smearscan.submission import gather
from smearscan.synth import write_smear


def test_a_defect_puts_its_slide_aside_after_three_tries_with_the_traceback(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "c.tif"
    write_smear(other, 500, 400, 9, mpp=0.2, cells_per_mm2=900.0, layout="field")
    calls: Counter[str] = Counter()

    def defect(chunk: object) -> None:
        calls["crop"] += 1
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(execute, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(slide_stages, "crop_chunk", defect)
    run = screen_here(state, gather([other]), Settings())
    progress = state.database.run(run_progress, run)
    assert (progress.state, progress.n_failed, calls["crop"]) == ("done", 1, 3)
    with state.database.transaction() as connection:
        trouble = connection.execute(select(chunks.c.trouble).where(chunks.c.run_id == run)).scalars().all()
    assert any("ZeroDivisionError: a defect" in text and "Traceback" in text for text in trouble)


def test_a_chunk_left_between_two_steps_of_giving_it_up_is_given_up_at_the_next_start(
    state: State, smear: Path
) -> None:
    run, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "killed", is_embedded=True))
    with state.database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.run_id == run).values(status="lost"))
    work_off(state, run, 1, lambda progress: None)
    assert state.database.run(run_progress, run).n_failed == 1


def test_a_lease_is_renewed_whatever_the_database_said_in_between(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats, twice = [], threading.Event()

    def beat(*_: object) -> None:
        beats.append(1)
        if len(beats) == 1:
            raise InterfaceError("", None, Exception("the connection is closed"))
        twice.set()

    monkeypatch.setattr(execute, "beat", beat)
    with execute.beating(state, [], 0.03):
        assert twice.wait(10)
