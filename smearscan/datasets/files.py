"""Image files below a folder: which there are, in one order on every machine, and their pixels."""

from __future__ import annotations

import hashlib
import os
import re
import struct
from pathlib import Path

import numpy as np

from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError, UnreadableSlideError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})
#: Modes of more than eight bits a channel: Pillow would cut them off at 255.
_DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
#: Pillow decodes these and nothing else: a file that merely calls itself an image is told.
_FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError, TypeError, MemoryError)
_NUMBER = re.compile(r"(\d+)")


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts `a2` before `a10`; equal for nothing but equal texts."""
    parts = _NUMBER.split(text)
    return (*((0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts), (2, 0, text))


def images_below(folder: Path) -> list[Path]:
    """All images below a folder, hidden ones and macOS' companions (`._x.jpg`) left out, in natural order.

    Raises
    ------
    DatasetError
        If the folder is absent, no folder, or cannot be listed.
    """
    check_folder(folder)
    found = []
    for here, folders, names in os.walk(folder, onerror=_cannot_list):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        found += [Path(here, n) for n in names if not n.startswith(".") and Path(n).suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def check_folder(folder: Path) -> None:
    """Refuse what is no folder.

    Raises
    ------
    DatasetError
        With the path.
    """
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DatasetError(f"{folder} {what}", "give the folder that the set was unpacked into")


def _cannot_list(error: OSError) -> None:
    raise DatasetError(f"{error.filename} cannot be listed: {error.strerror}", "mend its permissions")


def read_image(path: Path) -> np.ndarray:
    """Pixels (H, W, 3) uint8 RGB of a JPEG, PNG, BMP or TIFF; EXIF rotation applied, grey repeated thrice.

    Raises
    ------
    UnreadableSlideError
        If it is absent, empty, truncated or no image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.mode in _DEEP:
                raise UnreadableSlideError(f"{path} has more than 8 bits a channel", "export it as 8-bit RGB")
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError:
        raise UnreadableSlideError(f"{path} does not exist", "check the path") from None
    except (Image.DecompressionBombError, *_DAMAGE) as error:
        raise UnreadableSlideError(f"{path} is no readable image ({error})", "copy it again") from error


def read_sample(sample_set: SampleSet, sample: Sample) -> np.ndarray:
    """Pixels (H, W, 3) uint8 RGB of a sample: the picture, or its box where the label is one's.

    Raises
    ------
    UnreadableSlideError
        As `read_image`, or if the box lies outside the picture.
    """
    rgb = read_image(sample_set.file(sample))
    if sample.box is None:
        return rgb
    x, y = max(0, sample.box.x), max(0, sample.box.y)
    part = rgb[y : sample.box.bottom, x : sample.box.right]
    if part.size == 0:
        raise UnreadableSlideError(f"{sample.path}: the box {sample.box} lies outside the picture", "mend the label")
    return part


def fingerprint(sample_set: SampleSet) -> str:
    """Digest of a set's paths and their sizes and times of change, 64 hexadecimal digits: no file is opened.

    Other pictures under the same names give another one; a file that cannot be looked at counts as absent.
    """
    digest = hashlib.sha256()
    for path in sorted({sample.path for sample in sample_set.samples}):
        try:
            found = (sample_set.root / path).stat()
            state = (found.st_size, found.st_mtime_ns)
        except OSError:
            state = None
        digest.update(f"{path!r} {state}\n".encode())
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    """Digest of a file, 64 hexadecimal digits.

    Raises
    ------
    UnreadableSlideError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableSlideError(f"{path} cannot be read ({error})", "check its permissions") from error
