"""Which pages of a TIFF are the smear: its pyramid levels and focal planes, or why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import tifffile

from smearscan.errors import UnreadableSlideError, UnsupportedImageError

#: A page of this share of the largest one's area is a second image, not a thumbnail, label or macro.
_SECOND_IMAGE = 0.5
#: What standards call images that lie beside a scan.
_BESIDE = ("label", "macro", "thumbnail", "overview")
#: Pages of a series beside the smear that are looked at.
_MOST_PAGES = 16
#: NewSubfileType of a reduced image (1) and of a mask (4).
_NO_IMAGE = 1 | 4


@dataclass(frozen=True)
class TiffLayout:
    """Pages of the smear: `planes[z][level]`, level 0 first.

    `unmarked` are pages, levels among them, that nothing marks as what they are: they may show something else.
    """

    planes: tuple[tuple[Any, ...], ...]
    index: int
    unmarked: tuple[Any, ...] = ()


def find_layout(tif: tifffile.TiffFile, path: str) -> TiffLayout:
    """The largest series of the file, by level and focal plane.

    Thumbnails, labels and macro images beside it are passed over.

    Raises
    ------
    UnreadableSlideError
        If the file holds no image.
    UnsupportedImageError
        If it holds several images of which none is the reduced other, or stacks channels or times.
    """
    series = [one for one in tif.series if {"X", "Y"} <= set(one.axes)]
    if not series:
        raise UnreadableSlideError(f"{path} holds no image", "export it again")
    areas = [_extent(one, "X") * _extent(one, "Y") for one in series]
    index = areas.index(max(areas))
    rivals = [k for k, area in enumerate(areas) if k != index and area >= _SECOND_IMAGE * areas[index]]
    if rivals and not (tif.is_svs or tif.is_qpi):
        raise _several(path, len(rivals) + 1)
    main = series[index]
    depth = _extent(main, "Z")
    for axis in set(main.axes) - set("ZYXS"):
        if _extent(main, axis) > 1:
            raise _several(path, _extent(main, axis), "channel" if axis == "C" else "image")
    levels = [level for level in main.levels if _extent(level, "Z") == depth]
    planes = tuple(tuple(_page(level, z) for level in levels) for z in range(depth))
    others = [page for k, one in enumerate(series) if k != index for page in _image_pages(one)]
    unmarked = tuple(page for page in (*planes[0][1:], *others) if _is_unmarked(page))
    return TiffLayout(planes, index, () if tif.is_svs or tif.is_qpi else unmarked)


def _image_pages(series: Any) -> Iterator[Any]:
    """Pages of a series that its name does not call something else than smear."""
    if not any(word in (series.name or "").lower() for word in _BESIDE):
        yield from (page for page in islice(series.pages, _MOST_PAGES) if page is not None)


def _is_unmarked(page: Any) -> bool:
    """Whether a page is one of the file's own, neither marked as reduced or as a mask nor kept below another one."""
    return isinstance(page.index, int) and not page.keyframe.subfiletype & _NO_IMAGE


def _extent(series: Any, axis: str) -> int:
    return int(series.shape[series.axes.index(axis)]) if axis in series.axes else 1


def _page(level: Any, z: int) -> Any:
    page = level.pages[z]
    if page is None:
        raise UnreadableSlideError(f"{level.parent.filename} lacks focal plane {z + 1}", "export it again")
    return page


def _several(path: str, n: int, what: str = "image") -> UnsupportedImageError:
    if what == "channel":
        return UnsupportedImageError(
            f"{path} holds {n} separate channels, as fluorescence does", "export the smear as an RGB image"
        )
    return UnsupportedImageError(
        f"{path} holds {n} images of which none is the others' pyramid",
        "split it into one file per field and put these in one folder",
    )
