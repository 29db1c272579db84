"""Child processes are started again when they die, and none outlives its supervisor."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from workers import supervise
from workers.supervise import Child, keep_alive

_NAP = "import time, pathlib, os; pathlib.Path({!r}).open('a').write(f'{{os.getpid()}}\\n'); time.sleep(600)"


def _napper(path: Path, name: str = "napper") -> Child:
    return Child(name, [sys.executable, "-c", _NAP.format(str(path))])


def _until(is_so: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _started(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_child_that_is_killed_is_started_again_and_all_end_when_told(tmp_path: Path) -> None:
    log, over = tmp_path / "log", threading.Event()
    child = _napper(log)
    thread = threading.Thread(target=keep_alive, args=([child], over))
    thread.start()
    _until(lambda: len(_started(log)) == 1)
    psutil.Process(_started(log)[0]).kill()
    _until(lambda: len(_started(log)) == 2)
    over.set()
    thread.join(30)
    assert not thread.is_alive()
    assert not psutil.pid_exists(_started(log)[1])


def test_children_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = (
        "import sys, threading\nfrom workers.supervise import Child, keep_alive\n"
        f"keep_alive([Child('n', [sys.executable, '-c', {_NAP.format(str(log))!r}])], threading.Event())"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code])
    _until(lambda: len(_started(log)) == 1)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    _until(lambda: not psutil.pid_exists(_started(log)[0]))


_DEAF = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
own = subprocess.Popen([sys.executable, "-c", "import signal, time; time.sleep(600)"])
pathlib.Path({!r}).write_text(str(own.pid) + chr(10))
time.sleep(600)
"""


def test_a_child_that_does_not_end_is_killed_with_its_own_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, over = tmp_path / "log", threading.Event()
    monkeypatch.setattr(supervise, "STOP_S", 0.5)
    thread = threading.Thread(
        target=keep_alive, args=([Child("deaf", [sys.executable, "-c", _DEAF.format(str(log))])], over)
    )
    thread.start()
    _until(lambda: len(_started(log)) == 1)
    over.set()
    thread.join(30)
    assert not thread.is_alive()
    _until(lambda: not psutil.pid_exists(_started(log)[0]) or _is_zombie(_started(log)[0]))


def _is_zombie(process: int) -> bool:
    return psutil.Process(process).status() == psutil.STATUS_ZOMBIE
