"""Child processes are started again when they die, and none outlives its supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from smearscan.cli.main import cli
from smearscan.errors import SettingsError
from smearscan.store.location import find_location
from smearscan.store.sweep import LONGEST_LEASE_S
from workers import supervise
from workers.alone import only_one
from workers.commands import options
from workers.commands.up import _redis
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


def test_a_child_that_has_lost_its_socket_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lives behind a socket that somebody removed is reached by nobody, and would be for ever."""
    monkeypatch.setattr(supervise, "_MAKES_WITHIN_S", 0.3)
    log, reached_by, over = tmp_path / "log", tmp_path / "socket", threading.Event()
    reached_by.touch()
    child = _napper(log)
    child.keeps = reached_by
    thread = threading.Thread(target=keep_alive, args=([child], over))
    thread.start()
    _until(lambda: len(_started(log)) == 1)
    reached_by.unlink()
    _until(lambda: len(_started(log)) >= 2)
    reached_by.touch()
    over.set()
    thread.join(30)
    assert not psutil.pid_exists(_started(log)[0])


def test_a_child_that_cannot_be_started_yet_is_tried_again_and_the_others_go_on(tmp_path: Path) -> None:
    log, other, over = tmp_path / "log", tmp_path / "other", threading.Event()
    late = Child("late", [str(tmp_path / "program")])
    thread = threading.Thread(target=keep_alive, args=([late, _napper(other)], over))
    thread.start()
    _until(lambda: len(_started(other)) == 1)
    program = tmp_path / "program.part"
    program.write_text(f"#!{sys.executable}\n{_NAP.format(str(log))}\n")
    program.chmod(0o755)
    program.rename(tmp_path / "program")
    _until(lambda: len(_started(log)) == 1)
    over.set()
    thread.join(30)
    assert not thread.is_alive()


def test_a_second_up_for_the_same_state_is_refused_with_the_process_that_runs(tmp_path: Path) -> None:
    """It would take the first one's Redis away, and its own with it when it ends."""
    where = find_location(str(tmp_path))
    with only_one(where):
        holding = (
            "from smearscan.store.location import find_location\nfrom workers.alone import only_one\n"
            f"with only_one(find_location({str(tmp_path)!r})): pass"
        )
        second = subprocess.run([sys.executable, "-c", holding], capture_output=True, text=True)
        assert f"runs for {tmp_path} already (process {os.getpid()})" in second.stderr
    with only_one(where):
        pass


def test_a_state_that_another_user_holds_is_named(tmp_path: Path) -> None:
    (tmp_path / "up.lock").mkdir()  # as little to be opened as another user's file, also for root
    with pytest.raises(SettingsError, match=r"up\.lock: .*as the user"), only_one(find_location(str(tmp_path))):
        pass


def test_a_state_without_a_folder_is_held_by_nobody() -> None:
    where = find_location("postgresql://db.lab/smears?artefacts=/shared&broker=redis://db.lab:6379/0")
    with only_one(where), only_one(where):
        pass


def test_up_says_at_once_that_its_port_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = CliRunner().invoke(cli, ["up", "--state", str(tmp_path / "state"), "--metrics-port", str(port)])
    assert said.exit_code == 2
    assert f"metrics cannot listen on port {port}" in said.output and "--metrics-port" in said.output


def test_a_lease_that_would_be_taken_for_one_of_a_clock_set_back_is_refused(tmp_path: Path) -> None:
    for command in ("up", "worker"):
        said = CliRunner().invoke(cli, [command, "--state", str(tmp_path / "state"), "--lease", "3700"])
        assert said.exit_code == 2 and "is not in the range" in said.output
    assert options._LONGEST_LEASE_S < LONGEST_LEASE_S


def test_who_may_write_the_state_may_wake_its_workers_and_nobody_else(tmp_path: Path) -> None:
    """A socket for want of room put among everybody's files is for one user; in the state's folder for its group."""
    short, long = tmp_path / "s", tmp_path / ("long" * 25)
    modes = []
    for folder in (short, long):
        (server,) = _redis(find_location(str(folder)))
        modes.append(server.command[server.command.index("--unixsocketperm") + 1])
        assert (server.keeps is not None) and (server.keeps.parent == folder) == (folder == short)
    assert modes == ["770", "700"]
