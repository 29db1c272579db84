"""The queue as a laboratory runs it: real Redis, real workers, real slides; the same bytes as `smearscan screen`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result
from servers import short_folder

from smearscan.cli.main import cli
from smearscan.synth import write_smear

_CLI = [sys.executable, "-m", "smearscan.cli.main"]


@dataclass
class Night:
    """`smearscan up` on a state of its own."""

    state: Path
    process: subprocess.Popen[bytes]

    def call(self, *arguments: object) -> Result:
        """Run a command on the state."""
        return CliRunner().invoke(cli, [*map(str, arguments), "--state", str(self.state)])

    def children(self, word: str) -> list[psutil.Process]:
        """Child processes with a word on their command line."""
        found = []
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # one that has just ended has no command line any more
                if any(word in part for part in child.cmdline()):
                    found.append(child)
        return found


@pytest.fixture(scope="module")
def smears(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worksheet of three fields of two patients, one of them torn."""
    folder = tmp_path_factory.mktemp("smears")
    for n in range(3):
        write_smear(folder / f"s{n}.png", 900, 700, 40 + n, mpp=0.2, cells_per_mm2=900.0)
    torn = (folder / "s1.png").read_bytes()
    (folder / "whole.bin").write_bytes(torn)
    (folder / "s1.png").write_bytes(torn[: len(torn) // 3])
    (folder / "w.csv").write_text("path,patient_id,mpp\ns0.png,P1,0.2\ns1.png,P1,0.2\ns2.png,P2,0.2\n")
    return folder


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """Redis, a worker, the sweeper: started, and stopped cleanly at the end."""
    state = short_folder("smearscan-up")
    log = (tmp_path_factory.mktemp("log") / "up.log").open("wb")
    command = [*_CLI, "up", "--state", str(state), "--processes", "1", "--metrics-port", "0", "--lease", "5"]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    yield Night(state, process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 0, "up must end cleanly"
    log.close()


def _screen(smears: Path, out: Path) -> None:
    arguments = ["screen", "--worksheet", str(smears / "w.csv"), "--out", str(out), "--jobs", "1"]
    CliRunner().invoke(cli, [*arguments, "--state", str(out.with_suffix(".state"))], catch_exceptions=False)


def _within(seconds: float, is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.1)


@pytest.mark.slow
def test_a_night_with_a_torn_slide_a_dead_worker_and_an_emptied_redis(
    night: Night, smears: Path, tmp_path: Path
) -> None:
    """39 of 40 done, its row says why, exit non-zero; nothing lost to the killed; retry does only what failed."""
    killer = threading.Thread(target=_kill_once_at_work, args=(night,))
    killer.start()
    submitted = night.call("submit", "--worksheet", smears / "w.csv", "--wait")
    killer.join()
    assert submitted.exit_code == 1, submitted.output
    assert "2 slides done, 1 failed" in submitted.output
    status = night.call("status", "last").output
    assert ("failed: s1" in status and "truncated" in status) or "s1.png" in status
    exported = night.call("export", "last", "--out", tmp_path / "queue")
    assert exported.exit_code == 1
    _screen(smears, tmp_path / "quiet")
    for name in ("patients.csv", "cells.csv", "cells.parquet"):
        assert (tmp_path / "queue" / name).read_bytes() == (tmp_path / "quiet" / name).read_bytes(), name
    (smears / "s1.png").write_bytes((smears / "whole.bin").read_bytes())
    retried = night.call("retry", "last", "--wait")
    assert retried.exit_code == 0, retried.output
    assert "1 slides are tried again" in retried.output
    assert night.call("export", "last", "--out", tmp_path / "whole").exit_code == 0
    resubmitted = night.call("submit", "--worksheet", smears / "w.csv", "--wait", "--out", tmp_path / "again").output
    assert "r2" in resubmitted
    twice = night.call("submit", "--worksheet", smears / "w.csv", "--out", tmp_path / "twice")
    assert "submitted before" in twice.output and (tmp_path / "twice" / "patients.csv").is_file()
    again = night.call("submit", "--worksheet", smears / "w.csv").output
    assert "r2" in again, "a mended file makes another submission"


def _kill_once_at_work(night: Night) -> None:
    _within(60, lambda: any(worker.children() for worker in night.children("worker")))
    for worker in night.children("worker"):
        for child in worker.children():
            child.kill()
    for server in night.children("redis-server"):
        server.kill()
