"""What a slide's files are: their content for the names of artefacts, their stamp to see that one was replaced."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from pathlib import Path

from smearscan.errors import UnreadableSlideError

#: (path, bytes, time of last change in ns) of every file.
Stamp = list[list[str | int]]


def slide_files(path: str | Path) -> list[Path]:
    """The files that make one image: itself, and what formats of several files keep beside it."""
    main = Path(path)
    if main.suffix.lower() == ".mrxs":
        beside = sorted(file for file in main.with_suffix("").rglob("*") if file.is_file())
        return [main, *beside]
    if main.suffix.lower() == ".dcm":
        return sorted(file for file in main.parent.iterdir() if file.suffix.lower() == ".dcm")
    return [main]


def stamp_files(paths: Sequence[str]) -> Stamp:
    """Size and time of every file of some images; two stamps differ where a file was replaced.

    Raises
    ------
    UnreadableSlideError
        If a file is not there or may not be read, or is a pipe or a device, which may have no end.
    """
    stamp: Stamp = []
    for path in paths:
        try:
            found = [(file, file.stat()) for file in slide_files(path)]
        except OSError as error:
            raise UnreadableSlideError(
                f"{path}: {error.strerror or error}", "mend the path or its permissions"
            ) from error
        for file, status in found:
            if not stat.S_ISREG(status.st_mode):
                raise no_file(str(file))
        stamp += [[str(file), status.st_size, status.st_mtime_ns] for file, status in found]
    return stamp


def content_digest(path: str) -> str:
    """SHA-256 over the bytes of an image's files and the names of those beside it.

    Raises
    ------
    UnreadableSlideError
        If a file cannot be read to its end.
    """
    files = slide_files(path)
    digest = hashlib.sha256()
    try:
        for file in files:
            with file.open("rb") as handle:
                part = hashlib.file_digest(handle, "sha256").hexdigest()
            name = file.name if len(files) > 1 else ""
            digest.update(f"{name}:{part};".encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def no_file(path: str) -> UnreadableSlideError:
    """The error for what is there and is no file: opening a pipe to which nobody writes would wait for ever."""
    return UnreadableSlideError(f"{path} is no file but a pipe, a device or a folder", "name a file")


def _unreadable(path: str, error: OSError) -> UnreadableSlideError:
    return UnreadableSlideError(f"{path}: {error.strerror or error}", "mend the path, the file or its permissions")
