"""Reader of the TIFF family: tiled, striped, BigTIFF, OME-TIFF, Aperio SVS; tile by tile through tifffile."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import tifffile

from smearscan.errors import SlideError, UnreadableSlideError
from smearscan.geometry import Box
from smearscan.records import SlideInfo
from smearscan.slide.base import Slide
from smearscan.slide.cache import TileCache
from smearscan.slide.metadata import tiff_mpp
from smearscan.slide.orientation import Orientation
from smearscan.slide.planes import sharpest_plane
from smearscan.slide.quiet import quiet
from smearscan.slide.tiff_copies import is_shrunken
from smearscan.slide.tiff_layout import TiffLayout, find_layout
from smearscan.slide.tiff_page import TiffPage, measure_bits, segments, slices

#: What tifffile and the codecs raise on files that are damaged or lie about themselves.
_DAMAGE = (
    tifffile.TiffFileError, ValueError, KeyError, IndexError, TypeError, AttributeError,
    RuntimeError, OSError, EOFError, struct.error, MemoryError, ZeroDivisionError,
)  # fmt: skip


class TiffSlide(Slide):
    """A TIFF of any size; memory is bounded by a small cache of decoded segments.

    Of an OME-TIFF's focal planes the sharpest is read, judged on a few segments; `notes` says which.

    Raises
    ------
    UnreadableSlideError, UnsupportedImageError
        See `open_slide`.
    """

    def __init__(self, path: str) -> None:
        with quiet():
            try:
                with ExitStack() as undo:  # closes the file again, whatever goes wrong before it is of use
                    self._tif = undo.enter_context(tifffile.TiffFile(path))
                    self._open(path)
                    undo.pop_all()
            except _DAMAGE as error:
                raise _unreadable(path, error) from error

    def _open(self, path: str) -> None:
        layout = find_layout(self._tif, path)
        planes = [TiffPage(self._tif, plane[0], path) for plane in layout.planes]
        bits = measure_bits(planes[len(planes) // 2])
        for plane in planes:
            plane.bits = bits
        z = sharpest_plane(planes)
        strangers = {page.index: page for page in layout.unmarked if not self._is_copy(page, planes[z])}
        levels = [page for level, page in enumerate(layout.planes[z]) if not level or page.index not in strangers]
        self._pages = tuple(TiffPage(self._tif, page, path) for page in levels)
        for page in self._pages:
            page.bits = bits
        self._cache = TileCache()
        self._orientation = Orientation.from_tag(_orientation_tag(self._pages[0]))
        self.notes = tuple(_notes(layout, z, bits, list(strangers.values())))
        self.info = self._describe(path)

    def _is_copy(self, page: Any, whole: TiffPage) -> bool:
        """Whether a page that does not say what it is shows the smear, smaller."""
        try:
            small = TiffPage(self._tif, page, whole.path)
            small.bits = whole.bits
            return is_shrunken(small, whole)
        except (SlideError, *_DAMAGE):  # nothing of the smear is lost by it
            return False

    def _describe(self, path: str) -> SlideInfo:
        page = self._pages[0]
        mpp = tiff_mpp(self._tif, page.key, page.size)
        levels = tuple(self._orientation.size(page.size) for page in self._pages)
        vendor = "aperio" if self._tif.is_svs else "ome" if self._tif.is_ome else ""
        compression = getattr(page.key.compression, "name", str(page.key.compression)).lower()
        return SlideInfo(path, levels[0], levels, self._orientation.mpp(mpp), "tiff", compression, vendor)

    def _read_level(self, level: int, box: Box) -> np.ndarray:
        page = self._pages[level]
        stored = self._orientation.to_stored(box, page.size)
        result = np.empty((stored.height, stored.width, 3), np.uint8)
        for row, column in segments(page, stored):
            where = page.box(row, column)
            part = where.intersection(stored)
            if part is None:
                continue
            pixels = self._cache.get((level, row, column), partial(self._decode, page, row, column))
            result[slices(part, stored)] = pixels[slices(part, where)]
        return self._orientation.apply(result)

    def _decode(self, page: TiffPage, row: int, column: int) -> np.ndarray:
        pixels = page.decode(row, column)
        self.pixels_decoded += pixels.shape[0] * pixels.shape[1]
        return pixels

    def close(self) -> None:
        self._cache.clear()
        self._tif.close()


def _orientation_tag(page: TiffPage) -> int:
    tag = page.key.tags.get(274)
    return tag.value if tag is not None and isinstance(tag.value, int) else 1


def _notes(layout: TiffLayout, z: int, bits: int, strangers: Sequence[Any]) -> Iterator[str]:
    if len(layout.planes) > 1:
        yield f"focal plane {z + 1} of {len(layout.planes)}, the sharpest"
    if bits > 8:
        yield f"{bits} significant bits scaled to 8"
    if strangers:
        first, n_more = strangers[0], len(strangers) - 1
        which = f"page {first.index + 1} ({first.keyframe.imagewidth}×{first.keyframe.imagelength} px)"
        which += f" and {n_more} more are other images" if n_more else " is another image"
        yield f"{which} and not searched: what shows smear belongs into a file of its own"


def _unreadable(path: str, error: BaseException) -> UnreadableSlideError:
    return UnreadableSlideError(f"{path} is no readable TIFF ({error})", "it may be truncated: copy or export it again")
