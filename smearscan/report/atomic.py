"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from smearscan.errors import OutputError, SmearscanError, TransientError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of either.

    Raises
    ------
    OutputError
        If the folder is not there or may not be written.
    TransientError
        If the disk is full.
    """
    beside = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
    try:
        _write_and_sync(beside, data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise _as_ours(path, error) from error


def make_folder(path: Path) -> None:
    """Make a folder and its parents; one that is there must be one that files can be written into.

    Raises
    ------
    OutputError, TransientError
        As `write_bytes`.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _as_ours(path, error) from error


def _write_and_sync(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _as_ours(path: Path, error: OSError) -> SmearscanError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TransientError(f"{path} cannot be written: the disk is full", "free some space and run again")
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}", "choose another --out folder, or mend its permissions"
    )
