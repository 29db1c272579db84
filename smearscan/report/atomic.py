"""Files that are whole or not there: written beside their place, then renamed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

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
    with writing(path) as file:
        file.write(data)


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece, in its place once all is written; nothing of it stays if an error passes.

    Raises
    ------
    OutputError, TransientError
        As `write_bytes`.
    """
    beside = path.with_name(f".{path.name[:80]}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise _as_ours(path, error) from error
    finally:
        with suppress(OSError):  # where nothing can be written, nothing can be removed
            beside.unlink(missing_ok=True)


def remove_parts(folder: Path, before: float) -> None:
    """Remove what writers that were killed before (seconds since 1970) left half written in a folder."""
    for path in folder.glob(".*.part"):
        with suppress(OSError):  # another may tidy, or not permit it: it is in nobody's way
            if path.stat().st_mtime < before:
                path.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and its parents; one that is there must be one that files can be written into.

    Raises
    ------
    OutputError, TransientError
        As `write_bytes`.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise _as_ours(path, error) from error


def spare_inputs(places: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse places whose files are read too: they would be gone once the results are written.

    Raises
    ------
    OutputError
        If a place is an input, under whatever name.
    """
    taken = {file: place for place in places if (file := _file_of(place)) is not None}
    for given in inputs if taken else ():
        file = _file_of(given)
        if file is not None and file in taken:
            raise OutputError(f"{taken[file]} is an input and would be written over", "name another place for --out")


def _file_of(path: Path) -> tuple[int, int] | None:
    """What tells a file from every other one, whatever links to it; None for one that is not there."""
    try:
        status = path.stat()
    except (OSError, ValueError):  # a name that no file can have
        return None
    return status.st_dev, status.st_ino


def _as_ours(path: Path, error: OSError) -> SmearscanError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return TransientError(f"{path} cannot be written: the disk is full", "free some space and run again")
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}", "choose another --out folder, or mend its permissions"
    )
