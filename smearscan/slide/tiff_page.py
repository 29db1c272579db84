"""One page of a TIFF as a grid of segments (tiles or strips), each decoded on demand to RGB."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import tifffile

from smearscan.errors import UnreadableSlideError, UnsupportedImageError
from smearscan.geometry import Box, Size
from smearscan.slide.colour import from_cmyk, on_white, refuse_grey, significant_bits, to_eight_bits

#: Pixels of the largest compressed segment; a strip has to be decoded whole to read one row of it.
MAX_SEGMENT_PX = 100_000_000

#: Rows of an uncompressed strip are read by their offset, about this many pixels at a time.
_ROWS_PX = 1_000_000

_COLOUR = {
    tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.YCBCR,
    tifffile.PHOTOMETRIC.SEPARATED,
    tifffile.PHOTOMETRIC.PALETTE,
}
#: Kinds of an extra sample that are opacity: premultiplied, and not.
_OPACITY = {1, 2}
#: Codecs that turn YCbCr into RGB themselves.
_DECODES_COLOUR = {6, 7, 50001, 50002}


class TiffPage:
    """A level: segments found by row and column, decoded to (h, w, 3) uint8 RGB.

    Parameters
    ----------
    tif
        The open file.
    page
        A page or frame of it.
    path
        Named in errors.

    Raises
    ------
    UnsupportedImageError
        If it is grey, floating point, of an unknown compression, or one giant compressed strip.
    UnreadableSlideError
        If segments lie behind the file's end.
    """

    def __init__(self, tif: tifffile.TiffFile, page: tifffile.TiffPage | tifffile.TiffFrame, path: str) -> None:
        self.path = path
        key: Any = page.keyframe
        self.key = key
        self.size = Size(key.imagewidth, key.imagelength)
        self.bits = key.bitspersample if isinstance(key.bitspersample, int) else 8
        self._handle = tif.filehandle
        self._byteorder = tif.byteorder
        self._offsets = tuple(page.dataoffsets)
        self._counts = tuple(page.databytecounts)
        self._check_kind()
        self._check_extent()
        self._has_raw_rows = key.compression == 1 and not key.is_tiled and bool(page.is_contiguous)
        self.segment = self._segment_size()
        self._check_segments()

    def _segment_size(self) -> Size:
        width, height = self.size
        if self.key.is_tiled:
            return Size(self.key.tilewidth, self.key.tilelength)
        if self._has_raw_rows and self.key.planarconfig == 1 and self.key.predictor == 1:
            return Size(width, max(1, min(height, _ROWS_PX // width)))
        self._has_raw_rows = False
        return Size(width, min(height, self.key.rowsperstrip))

    def _check_kind(self) -> None:
        key = self.key
        if key.photometric not in _COLOUR or (
            key.photometric != tifffile.PHOTOMETRIC.PALETTE and key.samplesperpixel < 3
        ):
            name = getattr(key.photometric, "name", str(key.photometric)).lower()
            raise refuse_grey(self.path, f"a {self.bits}-bit image of {key.samplesperpixel} sample(s), {name}")
        if key.dtype not in (np.uint8, np.uint16):
            raise UnsupportedImageError(f"{self.path} holds samples of type {key.dtype}", "save it as 8-bit RGB")
        if key.compression != 1 and key.compression not in tifffile.TIFF.DECOMPRESSORS:
            raise UnsupportedImageError(
                f"{self.path} is compressed by TIFF method {int(key.compression)}, which is unknown here",
                "save it with JPEG, LZW, Deflate or no compression",
            )
        if key.photometric == tifffile.PHOTOMETRIC.YCBCR and int(key.compression) not in _DECODES_COLOUR:
            raise UnsupportedImageError(
                f"{self.path} holds YCbCr samples that are neither JPEG nor WebP",
                "save it as RGB or with JPEG compression",
            )

    def _check_extent(self) -> None:
        ends = (offset + count for offset, count in zip(self._offsets, self._counts, strict=False) if count)
        if max(ends, default=0) > self._handle.size:
            raise UnreadableSlideError(f"{self.path} is truncated: pixels are missing at its end", "copy it again")

    def _check_segments(self) -> None:
        if self.segment.width * self.segment.height > MAX_SEGMENT_PX:
            raise UnsupportedImageError(
                f"{self.path} is one compressed piece of {self.segment.width}×{self.segment.height} px "
                "that cannot be read in parts",
                "save it as a tiled TIFF (tiles of 256 or 512 px)",
            )
        planes = self.key.samplesperpixel if self.key.planarconfig == 2 else 1
        rows, columns = self.grid
        if not self._has_raw_rows and len(self._offsets) < rows * columns * planes:
            raise UnreadableSlideError(f"{self.path} lists too few pieces for its size", "export it again")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of segments."""
        return -(-self.size.height // self.segment.height), -(-self.size.width // self.segment.width)

    def box(self, row: int, column: int) -> Box:
        """Where a segment lies in the level, cut off at its edges."""
        x, y = column * self.segment.width, row * self.segment.height
        width, height = min(self.segment.width, self.size.width - x), min(self.segment.height, self.size.height - y)
        return Box(x, y, width, height)

    def decode(self, row: int, column: int) -> np.ndarray:
        """A segment as (h, w, 3) uint8 RGB; one that the file leaves out is white.

        Raises
        ------
        UnreadableSlideError
            If its bytes are damaged.
        """
        samples = self.samples(row, column)
        if samples is None:
            box = self.box(row, column)
            return np.full((box.height, box.width, 3), 255, np.uint8)
        return np.ascontiguousarray(self._to_rgb(samples))

    def samples(self, row: int, column: int) -> np.ndarray | None:
        """A segment as stored, (h, w, samples) uint8 or uint16; None where the file leaves it out."""
        box = self.box(row, column)
        if self._has_raw_rows:
            return self._raw_rows(box)
        rows, columns = self.grid
        index = row * columns + column
        if self.key.planarconfig == 2:
            planes = [self._decoded(index + plane * rows * columns) for plane in range(self.key.samplesperpixel)]
            if any(plane is None for plane in planes):
                return None
            samples: np.ndarray | None = np.concatenate(planes, axis=2)  # type: ignore[arg-type]
        else:
            samples = self._decoded(index)
        return None if samples is None else samples[: box.height, : box.width]

    def _raw_rows(self, box: Box) -> np.ndarray:
        dtype = np.dtype(self.key.dtype).newbyteorder(self._byteorder)
        row_bytes = self.size.width * self.key.samplesperpixel * dtype.itemsize
        data = self._bytes_at(self._offsets[0] + box.y * row_bytes, box.height * row_bytes)
        samples = np.frombuffer(data, dtype).reshape(box.height, box.width, self.key.samplesperpixel)
        return samples.astype(dtype.newbyteorder("="), copy=False)

    def _decoded(self, index: int) -> np.ndarray | None:
        if not self._counts[index]:
            return None
        data = self._bytes_at(self._offsets[index], self._counts[index])
        options: dict[str, Any] = {}
        if self.key.jpegtables is not None:
            options["jpegtables"] = self.key.jpegtables
        if self.key.jpegheader is not None:
            options["jpegheader"] = self.key.jpegheader
        try:
            samples, _, shape = self.key.decode(data, index, **options)
        # Each codec has its own error; all of them derive from these.
        except (RuntimeError, ValueError, TypeError, OSError, EOFError, MemoryError) as error:
            raise self._damaged(str(error)) from error
        if samples is None:
            return None
        height, width = shape[1], shape[2]
        if samples.size != height * width * samples.shape[-1]:
            raise self._damaged("a piece has the wrong size")
        return samples.reshape(height, width, -1)

    def _bytes_at(self, offset: int, count: int) -> bytes:
        try:
            self._handle.seek(offset)
            data = self._handle.read(count)
        except OSError as error:
            raise self._damaged(str(error)) from error
        if len(data) != count:
            raise self._damaged("the file ends too early")
        return data

    def _damaged(self, detail: str) -> UnreadableSlideError:
        return UnreadableSlideError(f"{self.path} has damaged pixels ({detail})", "copy or export it again")

    @cached_property
    def _palette(self) -> np.ndarray:
        """(entries, 3) uint8 RGB."""
        colours = np.asarray(self.key.colormap)
        # Entries have 16 bits; some writers put 8-bit values there. Colours that are all as dark as that are none.
        return (colours if colours.max() < 256 else colours >> 8).astype(np.uint8).T

    def _to_rgb(self, samples: np.ndarray) -> np.ndarray:
        key = self.key
        if key.photometric == tifffile.PHOTOMETRIC.PALETTE:
            return self._palette[samples[..., 0]]
        samples = to_eight_bits(samples, self.bits)
        if key.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            return from_cmyk(samples[..., :4])
        # A fourth sample that is marked as unspecified may be anything, mostly nothing: opacity is what says so.
        if samples.shape[2] == 4 and key.extrasamples and key.extrasamples[0] in _OPACITY:
            return on_white(samples[..., :3], samples[..., 3], is_premultiplied=key.extrasamples[0] == 1)
        return samples[..., :3]


def segments(page: TiffPage, box: Box) -> Iterator[tuple[int, int]]:
    """Row and column of all segments that a box of pixels touches."""
    width, height = page.segment
    for row in range(box.y // height, -(-box.bottom // height)):
        for column in range(box.x // width, -(-box.right // width)):
            yield row, column


def slices(part: Box, whole: Box) -> tuple[slice, slice]:
    """Where a part lies in the array of a whole."""
    y, x = part.y - whole.y, part.x - whole.x
    return slice(y, y + part.height), slice(x, x + part.width)


def measure_bits(page: TiffPage, n_samples: int = 16) -> int:
    """Significant bits of a 16-bit page, from evenly spread segments of it; 8 for an 8-bit page."""
    if page.key.dtype == np.uint8:
        return 8
    rows, columns = page.grid
    step = max(1, rows * columns // n_samples)
    maximum = 0
    for index in range(0, rows * columns, step):
        samples = page.samples(*divmod(index, columns))
        if samples is not None:
            maximum = max(maximum, int(samples[..., :3].max()))
    return significant_bits(maximum)
