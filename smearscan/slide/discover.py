"""The smear images of a folder, one entry a slide."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

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

    Raises
    ------
    UnreadableSlideError
        If there is no such path, or the folder cannot be listed.
    """
    root = Path(path)
    if root.is_file():
        return [root]
    if not root.is_dir():
        raise UnreadableSlideError(f"{root} does not exist", "check the path")
    return sorted(_one_per_series(_walk(root)))


def _walk(folder: Path) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UnreadableSlideError(f"{folder} cannot be listed ({error})", "check the permissions") from error
    mirax = {entry.stem for entry in entries if entry.suffix.lower() == ".mrxs"}
    for entry in entries:
        if entry.name.startswith("."):
            continue
        # A linked folder is not followed: it may lead back to where it lies.
        if entry.is_dir() and not entry.is_symlink() and entry.name not in mirax:
            yield from _walk(entry)
        elif entry.is_file() and entry.suffix.lower() in IMAGE_SUFFIXES:
            yield entry


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
