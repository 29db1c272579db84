"""Streaming a smear into a tiled, pyramidal TIFF: memory does not grow with its area.

Level 0 is painted in bands and compressed at once. The levels /4 and /16 shrink with it; their
compressed tiles wait in temporary files until level 0 is complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

import cv2
import numpy as np

from smearscan.geometry import Box, Size
from smearscan.synth.paint import TrueCell
from smearscan.synth.smear import Smear

TILE_PX = 256
_SHRINK = 4
_BAND_PX = TILE_PX * _SHRINK
_BLOCK_PX = 4096

#: JPEG quality of the shrunken levels, whose detail is finer.
_LEAST_QUALITY = 92

Progress = Callable[[int, int], None]


class _Level:
    """A shrunken level while it grows: a row of tiles in memory, compressed ones on disk."""

    def __init__(self, size: Size, quality: int, spool: IO[bytes]) -> None:
        self.size = size
        self._quality = quality
        self._spool = spool
        self._lengths: list[int] = []
        self._rows = np.full((0, size.width, 3), 255, np.uint8)

    def add(self, rows: np.ndarray) -> None:
        """Append rows of pixels; full rows of tiles are compressed and put away."""
        self._rows = np.concatenate([self._rows, rows])
        while len(self._rows) >= TILE_PX:
            self._put(self._rows[:TILE_PX])
            self._rows = self._rows[TILE_PX:]

    def close(self) -> None:
        """Compress what is left."""
        if len(self._rows):
            self._put(self._rows)
            self._rows = self._rows[:0]

    def tiles(self) -> Iterator[bytes]:
        """Compressed tiles, row by row."""
        self._spool.seek(0)
        for length in self._lengths:
            yield self._spool.read(length)

    def _put(self, rows: np.ndarray) -> None:
        for tile in compress_tiles(rows, self._quality):
            self._lengths.append(len(tile))
            self._spool.write(tile)


def write_pyramid(
    file: BinaryIO, smear: Smear, take: Callable[[list[TrueCell]], None], has_mpp: bool, progress: Progress | None
) -> None:
    """Paint and store a smear; hand its cells to `take` band by band.

    Parameters
    ----------
    take
        Called once per band with the cells whose centre lies in it.
    has_mpp
        Whether resolution tags and description say the scale.
    progress
        Called with (rows done, rows in all).
    """
    import tifffile

    quality = max(_LEAST_QUALITY, smear.laboratory.jpeg_quality)
    options = _tags(smear, has_mpp)
    with tempfile.TemporaryFile() as a, tempfile.TemporaryFile() as b:
        levels = [
            _Level(_shrunk(smear.size, _SHRINK), quality, a), _Level(_shrunk(smear.size, _SHRINK**2), quality, b)
        ]  # fmt: skip
        with tifffile.TiffWriter(file, bigtiff=smear.size.width * smear.size.height > 2**30) as writer:
            _write_level(writer, smear.size, _bands(smear, levels, take, progress), options)
            for level in levels:
                level.close()
                _write_level(writer, level.size, level.tiles(), {"subfiletype": 1, "software": False})


def compress_tiles(rows: np.ndarray, quality: int) -> Iterator[bytes]:
    """JPEG tiles of one row of tiles, edge tiles filled by repeating their border."""
    for x in range(0, rows.shape[1], TILE_PX):
        tile = rows[:TILE_PX, x : x + TILE_PX]
        below, beside = TILE_PX - tile.shape[0], TILE_PX - tile.shape[1]
        if below or beside:
            tile = np.pad(tile, ((0, below), (0, beside), (0, 0)), mode="edge")
        yield encode_jpeg(tile, quality)


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """A JPEG stream of (H, W, 3) uint8 RGB, chroma halved; the same codec for tiles and fields."""
    import imagecodecs

    packed = np.ascontiguousarray(pixels)
    return bytes(
        imagecodecs.jpeg8_encode(packed, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420")
    )


def _bands(
    smear: Smear, levels: list[_Level], take: Callable[[list[TrueCell]], None], progress: Progress | None
) -> Iterator[bytes]:
    """Compressed tiles of level 0; the other levels grow beside it."""
    width, height = smear.size
    for top in range(0, height, _BAND_PX):
        rows = min(_BAND_PX, height - top)
        band = np.empty((rows, width, 3), np.uint8)
        for left in range(0, width, _BLOCK_PX):
            block = Box(left, top, min(_BLOCK_PX, width - left), rows)
            band[:, left : block.right] = smear.paint(block)
        take(smear.true_cells(Box(0, top, width, rows)))
        _feed(levels, band)
        if progress is not None:  # before the tiles: the writer asks for no more than it needs
            progress(top + rows, height)
        for y in range(0, rows, TILE_PX):
            yield from compress_tiles(band[y : y + TILE_PX], smear.laboratory.jpeg_quality)


def _feed(levels: list[_Level], rows: np.ndarray) -> None:
    for level in levels:
        height = -(-rows.shape[0] // _SHRINK)
        below, beside = height * _SHRINK - rows.shape[0], level.size.width * _SHRINK - rows.shape[1]
        if below or beside:
            rows = cv2.copyMakeBorder(rows, 0, below, 0, beside, cv2.BORDER_REPLICATE)
        rows = cv2.resize(rows, (level.size.width, height), interpolation=cv2.INTER_AREA)
        level.add(rows)


def _shrunk(size: Size, factor: int) -> Size:
    return Size(-(-size.width // factor), -(-size.height // factor))


def _tags(smear: Smear, has_mpp: bool) -> dict[str, object]:
    scale = f"|MPP = {smear.mpp:g}" if has_mpp else ""
    description = f"smearscan synthetic smear|laboratory = {smear.laboratory.name}|seed = {smear.seed}{scale}"
    tags: dict[str, object] = {"description": description, "software": "smearscan synth"}
    if has_mpp:
        tags |= {"resolution": (1e4 / smear.mpp, 1e4 / smear.mpp), "resolutionunit": "CENTIMETER"}
    return tags


def _write_level(writer: object, size: Size, tiles: Iterator[bytes], options: dict[str, object]) -> None:
    writer.write(  # type: ignore[attr-defined]
        tiles,
        shape=(size.height, size.width, 3),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        compression="jpeg",
        photometric="ycbcr",
        subsampling=(2, 2),
        metadata=None,
        **options,
    )
