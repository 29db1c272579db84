"""Flower, the way docs/operations.md starts it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from servers import Redis


@pytest.mark.slow
def test_flower_finds_the_broker_in_its_environment_and_no_password_on_a_command_line(
    redis_server: Redis, tmp_path: Path
) -> None:
    pytest.importorskip("flower", reason="the extra flower is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "celery", "flower", "--address=127.0.0.1", f"--port={port}"]
    settings = {**os.environ, "CELERY_BROKER_URL": redis_server.url}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=settings, stdout=log, stderr=log, cwd=tmp_path) as process,
    ):
        try:
            page, until = "", time.monotonic() + 45
            while "Flower" not in page and process.poll() is None and time.monotonic() < until:
                try:
                    with opener.open(f"http://127.0.0.1:{port}/broker", timeout=20) as answer:
                        page = answer.read().decode()
                except urllib.error.URLError:
                    time.sleep(0.2)
            assert "Flower" in page and f"127.0.0.1:{redis_server.port}" in page, (tmp_path / "log").read_text()
        finally:
            process.terminate()
