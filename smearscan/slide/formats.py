"""Which reader reads which file: one table by content, one by name. There is no second try.

=========================  ======================================  ===========
content                    name                                    reader
=========================  ======================================  ===========
TIFF, BigTIFF              any but those below (also .svs)         tifffile
TIFF of Hamamatsu, Leica,  any                                     OpenSlide
Ventana, Philips, Trestle;
Aperio's YCbCr JPEG 2000
JPEG, PNG, BMP             any but those below                     Pillow
DICOM                      any                                     OpenSlide
anything                   .mrxs .vms .vmu .scn .bif .ndpi .dcm    OpenSlide
=========================  ======================================  ===========

A name that promises a TIFF (.svs) or a DICOM file over other content is an error, not a guess.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from smearscan.errors import UnreadableSlideError, UnsupportedImageError

Reader = Literal["tiff", "plain", "openslide"]

TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8", ".svs"})
PLAIN_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".bmp"})
VENDOR_SUFFIXES = frozenset({".ndpi", ".mrxs", ".dcm", ".vms", ".vmu", ".scn", ".bif"})
#: Every suffix that a folder is searched for.
IMAGE_SUFFIXES = TIFF_SUFFIXES | PLAIN_SUFFIXES | VENDOR_SUFFIXES

#: What the content must be where the name promises it.
_PROMISED = {".svs": "TIFF", ".ndpi": "TIFF", ".scn": "TIFF", ".bif": "TIFF", ".dcm": "DICOM"}
_PLAIN = {"JPEG", "PNG", "BMP"}
_REFUSED = {"GIF", "WebP", "JPEG 2000", "PDF", "ZIP"}

_DICOM_OFFSET = 128


def identify(head: bytes) -> str:
    """Name of a format from a file's first 132 bytes; empty if it is none of those known."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[_DICOM_OFFSET : _DICOM_OFFSET + 4] == b"DICM":
        return "DICOM"
    return "WebP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


_MAGIC = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
)


def choose_reader(path: str, head: bytes, vendor: str = "") -> Reader:
    """The reader for a file, from its name, its first bytes and, for a TIFF, the scanner it names.

    Raises
    ------
    UnreadableSlideError
        If the content is not what the name promises, or no image at all.
    UnsupportedImageError
        If it is an image of a format that is not read.
    """
    suffix, content = Path(path).suffix.lower(), identify(head)
    promised = _PROMISED.get(suffix)
    if promised and content != promised:
        raise UnreadableSlideError(
            f"{path} is named {suffix} but is {_a(content)}, not {promised}", "give it its right name, or copy it again"
        )
    if suffix in VENDOR_SUFFIXES or content == "DICOM" or (content == "TIFF" and vendor):
        return "openslide"
    if content == "TIFF":
        return "tiff"
    if content in _PLAIN:
        return "plain"
    if content in _REFUSED:
        raise UnsupportedImageError(f"{path} is {_a(content)} file, which is not read", "save it as PNG or TIFF")
    raise UnreadableSlideError(f"{path} is not an image that is known here", "save it as PNG or TIFF")


def _a(content: str) -> str:
    return f"a {content}" if content else "no image known here"
