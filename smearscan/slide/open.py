"""The one seam through which a slide is opened."""

from __future__ import annotations

import os
from pathlib import Path

from smearscan.errors import UnreadableSlideError, UnsupportedImageError
from smearscan.slide.base import Slide
from smearscan.slide.content import no_file
from smearscan.slide.discover import why_unlistable
from smearscan.slide.formats import choose_reader, identify

#: Both sides must reach it: less holds no cell.
MIN_SIDE_PX = 8

_HEAD_BYTES = 132

#: TIFF compression: Aperio's JPEG 2000 with YCbCr components.
_APERIO_YCBCR = 33003


def open_slide(path: str | os.PathLike[str]) -> Slide:
    """Open any smear image; see `smearscan.slide.formats` for which reader takes which file.

    Parameters
    ----------
    path
        A scan or a field.

    Returns
    -------
    Slide
        To be used in a ``with`` block.

    Raises
    ------
    UnreadableSlideError
        No such file, truncated, damaged, or not the format its name promises.
    UnsupportedImageError
        Grey, too small, too large for a plain image, several images in one file, an unknown codec.
    """
    name = os.fspath(path)
    head = _head(name)
    vendor = _tiff_vendor(name) if identify(head) == "TIFF" else ""
    slide = _open_with(choose_reader(name, head, vendor), name)
    if min(slide.info.size) < MIN_SIDE_PX:
        slide.close()
        width, height = slide.info.size
        raise UnsupportedImageError(f"{name} is {width}×{height} px, too small to hold a cell", "export it again")
    return slide


def _open_with(reader: str, name: str) -> Slide:
    # Imported here: tifffile and OpenSlide take a while, and most runs need one of the three.
    if reader == "tiff":
        from smearscan.slide.tiff import TiffSlide

        return TiffSlide(name)
    if reader == "plain":
        from smearscan.slide.plain import PlainSlide

        return PlainSlide(name)
    from smearscan.slide.vendor import VendorSlide

    return VendorSlide(name)


def _head(name: str) -> bytes:
    file = Path(name)
    try:
        if file.is_dir():
            if why := why_unlistable(file):
                raise UnreadableSlideError(f"{name} is a folder that cannot be listed ({why})", "mend its permissions")
            raise UnreadableSlideError(f"{name} is a folder, not an image", "name the files in it")
        if not file.is_file():
            if file.exists():
                raise no_file(name)
            if file.is_symlink():
                raise UnreadableSlideError(f"{name} is a link that leads nowhere", "mend the link")
            raise UnreadableSlideError(f"{name} does not exist", "check the path")
        with file.open("rb") as handle:
            head = handle.read(_HEAD_BYTES)
    except (OSError, ValueError) as error:
        raise UnreadableSlideError(f"{name} cannot be read ({error})", "check the path and the permissions") from error
    if not head:
        raise UnreadableSlideError(f"{name} is empty", "copy it again")
    return head


def _tiff_vendor(name: str) -> str:
    """The scanner of a TIFF whose layout only OpenSlide knows; empty for every other TIFF."""
    import tifffile

    from smearscan.slide.quiet import quiet

    with quiet():
        try:
            with tifffile.TiffFile(name) as tif:
                page = tif.pages.first
                flags = {"hamamatsu": page.is_ndpi, "leica": page.is_scn, "ventana": page.is_bif}
                # Its components are not marked as YCbCr in the file; OpenSlide knows.
                flags["aperio"] = page.compression == _APERIO_YCBCR
                flags |= {"philips": page.is_philips, "trestle": (page.software or "").startswith("MedScan")}
        except (tifffile.TiffFileError, ValueError, KeyError, IndexError, TypeError, OSError, RuntimeError):
            return ""  # damaged: the TIFF reader says so
    return next((vendor for vendor, is_it in flags.items() if is_it), "")
