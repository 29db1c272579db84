"""Processes of `smearscan screen` that cannot work end it by name; one that dies is replaced."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smearscan import local
from smearscan.errors import PermanentError


def test_a_process_that_refuses_the_run_ends_it_with_the_remedy() -> None:
    with pytest.raises(PermanentError, match=r"changed while it ran.* Run it again"):
        local._give_up_if_hopeless(local._REFUSED, 1, 2)


def test_processes_that_die_one_after_another_with_nothing_done_end_it() -> None:
    with pytest.raises(PermanentError, match="11 worker processes died"):
        local._give_up_if_hopeless(1, 5 * 2 + 1, 2)


@pytest.mark.parametrize("n_deaths", [1, 5, 10])
def test_a_few_deaths_are_only_replaced(n_deaths: int) -> None:
    assert local._give_up_if_hopeless(-9, n_deaths, 2) is None


_HANGS = """
import sys, threading
from pathlib import Path
from smearscan import local
from smearscan.settings import Settings
from smearscan.stages import slide_stages
from smearscan.stages.submission import new_run
from smearscan.store.location import find_location
from smearscan.store.state import open_state
from smearscan.store.submit import submit
from smearscan.submission import gather

local.LIMIT_S = 0.5
slide_stages.plan_slide = lambda job: threading.Event().wait()
state = open_state(find_location(sys.argv[1]))
run, _ = state.database.run(submit, new_run(gather([sys.argv[2]]), Settings(), "test", is_embedded=True))
local.work_off(state, run, 1, lambda progress: None)
"""


@pytest.mark.slow
def test_a_screening_that_hangs_ends_with_the_remedy_and_its_slide_fails_after_some_starts(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"on a share that hangs")
    command = [sys.executable, "-c", _HANGS, str(tmp_path / "state"), str(tmp_path / "a.tif")]
    for _ in range(local.MOST_LOSSES):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == local._STUCK
        assert "(survey) has not ended in 0 s" in ended.stderr and "Run again" in ended.stderr
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0, "it failed by name"
