"""One `smearscan up` for a state: a second one would take the first one's Redis away, and with its own when it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from smearscan.errors import SettingsError
from smearscan.store.location import Location

_FILE = "up.lock"


@contextmanager
def only_one(location: Location) -> Iterator[None]:
    """Hold a state's folder, until the end or the death of this process; a state without a folder needs no holding.

    Raises
    ------
    SettingsError
        If another process holds it, or it is another user's.
    """
    if location.folder is None:
        yield
        return
    with _opened(location.folder / _FILE) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise SettingsError(
                f"`smearscan up` runs for {location.folder} already (process {file.read().strip() or 'unknown'})",
                "stop that one first, or name another --state",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _opened(path: Path) -> TextIO:
    try:
        return path.open("a+", encoding="ascii")
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", "run it as the user that ran it before") from error
