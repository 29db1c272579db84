"""Nothing phones home: a whole screening asks no name server and opens no connection."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WATCHED = """
import sys
asked = []
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        asked.append((event, str(arguments[1:])))
        print("NETWORK", event, arguments[1:], file=sys.stderr)
sys.addaudithook(watch)
from smearscan.cli.main import main
try:
    main()
finally:
    print("ASKED", len(asked), file=sys.stderr)
"""


def _run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_watch_sees_a_connection_when_there_is_one() -> None:
    code = (
        _WATCHED.split("from smearscan")[0]
        + "import socket\ntry:\n socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError:\n pass\n"
    )
    assert "NETWORK socket.connect" in _run(code).stderr


def test_a_screening_opens_no_connection(field_png: Path, tmp_path: Path) -> None:
    done = _run(_WATCHED, "screen", field_png, "--mpp", "0.2", "--out", tmp_path / "out", "--jobs", "1")
    assert "ASKED 0" in done.stderr, done.stderr
    assert done.returncode == 0


def test_loading_the_detector_and_the_doctor_open_no_connection(tmp_path: Path) -> None:
    done = _run(_WATCHED, "doctor")
    assert "ASKED 0" in done.stderr, done.stderr
