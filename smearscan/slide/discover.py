"""The smear images of a folder, one entry a slide."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from smearscan.errors import UnreadableSlideError
from smearscan.slide.formats import IMAGE_SUFFIXES

#: Where a DICOM file keeps its Series Instance UID (0020,000E), explicit VR, little endian; it stands
#: near the beginning, before any pixel.
_SERIES_UID = re.compile(rb"\x20\x00\x0e\x00UI(..)", re.DOTALL)
_DICOM_HEADER_BYTES = 65_536


def list_images(path: str | os.PathLike[str]) -> list[Path]:
    """Images in a folder and the folders below it, sorted by path; of a file, that file.

    Known suffixes only (`smearscan.slide.formats.IMAGE_SUFFIXES`, in any case), so that tables and notes
    lying beside images are passed over. Hidden files and folders are left out, and so is a MIRAX slide's
    data folder (the folder named as an .mrxs file beside it). Files of one DICOM series in one folder are
    one slide: the largest file, which holds level 0, stands for it.

    What cannot be looked at is listed as it is, so that opening it says why: a link that leads nowhere, an image in a
    folder that may not be entered, a folder that cannot be listed.

    Raises
    ------
    UnreadableSlideError
        If there is no such path.
    """
    root = Path(path)
    if is_file(root):
        return [root]
    if not is_folder(root):
        raise UnreadableSlideError(f"{root} does not exist", "check the path")
    return sorted(_one_per_series(_walk(root)))


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a file at a path; False also where that cannot be found out."""
    return _kind(Path(path)) == "file"


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder at a path; False also where that cannot be found out."""
    return _kind(Path(path)) == "folder"


def why_unlistable(folder: Path) -> str:
    """Why a folder cannot be listed; empty where it can."""
    try:
        with os.scandir(folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _kind(path: Path) -> Literal["file", "folder", "other", "unknown"]:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # not there, a link that leads nowhere or in a circle, forbidden, no name at all
        return "unknown"
    return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"


def _walk(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = [(Path(entry.path), _is_own_folder(entry)) for entry in listing if entry.name[0] != "."]
    except OSError:
        yield folder
        return
    mirax = {entry.stem for entry, _ in entries if entry.suffix.lower() == ".mrxs"}
    for entry, is_own_folder in entries:
        if is_own_folder:
            if entry.name not in mirax:
                yield from _walk(entry)
        # A linked folder is not followed: it may lead back to where it lies.
        elif entry.suffix.lower() in IMAGE_SUFFIXES and _kind(entry) in ("file", "unknown"):
            yield entry


def _is_own_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder and no link: the listing says so, even of a folder that may be listed but not entered."""
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _one_per_series(files: Iterable[Path]) -> Iterator[Path]:
    series: dict[tuple[Path, bytes], list[Path]] = {}
    for file in files:
        uid = _series_uid(file) if file.suffix.lower() == ".dcm" else b""
        if uid:
            series.setdefault((file.parent, uid), []).append(file)
        else:
            yield file
    for members in series.values():
        yield min(members, key=lambda file: (-file.stat().st_size, file))


def _series_uid(file: Path) -> bytes:
    try:
        with file.open("rb") as handle:
            head = handle.read(_DICOM_HEADER_BYTES)
    except OSError:
        return b""  # listed by itself, so that opening it reports the error
    match = _SERIES_UID.search(head)
    if match is None:
        return b""
    length = int.from_bytes(match.group(1), "little")
    return head[match.end() : match.end() + length].rstrip(b"\0 ")
