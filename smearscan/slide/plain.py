"""Reader of plain images (JPEG, PNG, BMP) through Pillow: one field, decoded once, whole."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from smearscan.errors import UnreadableSlideError, UnsupportedImageError
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import SlideInfo
from smearscan.slide.base import Slide
from smearscan.slide.colour import on_white, refuse_grey
from smearscan.slide.metadata import plausible
from smearscan.slide.orientation import Orientation
from smearscan.slide.quiet import quiet

#: A plain image has to be decoded whole: beyond this it is a scan (or a bomb) and wants tiles.
#: Twice Pillow's own limit, at which Pillow refuses too.
MAX_PLAIN_PX = 178_000_000

#: A camera's multi-picture JPEG comes through the first of these; its first picture is read.
_FORMATS = ("JPEG", "PNG", "BMP")
#: What Pillow raises on damaged files.
_DAMAGE = (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, struct.error, IndexError, KeyError)
_EXIF_ORIENTATION = 0x0112


class PlainSlide(Slide):
    """A JPEG, PNG or BMP field.

    The header is read at once, the pixels at the first `read`. EXIF rotation is applied, CMYK converted,
    alpha composited on white, 16-bit RGB cut to its high byte. The scale comes from a PNG's pHYs chunk if
    it is plausible; a JPEG's density cannot state an oil-immersion scale (16 bits of dpi) and is not asked.

    Raises
    ------
    UnreadableSlideError, UnsupportedImageError
        See `open_slide`.
    """

    def __init__(self, path: str) -> None:
        self._pixels: np.ndarray | None = None
        with quiet(), _opened(path) as image:
            try:
                tag = image.getexif().get(_EXIF_ORIENTATION, 1)
            except _DAMAGE:
                tag = 1  # broken EXIF says nothing of the pixels
            self._orientation = Orientation.from_tag(tag if isinstance(tag, int) else 1)
            stored = Size(*image.size)
            if stored.width * stored.height > MAX_PLAIN_PX:
                raise _too_large(path, f"{stored.width}×{stored.height} px")
            _check_colour(path, image)
            size = self._orientation.size(stored)
            mpp = self._orientation.mpp(_png_mpp(image))
            kind = (image.format or "").lower()
        self.info = SlideInfo(path, size, (size,), mpp, "plain", kind)

    def _read_level(self, level: int, box: Box) -> np.ndarray:
        if self._pixels is None:
            self._pixels = self._decode()
            self.pixels_decoded += self._pixels.shape[0] * self._pixels.shape[1]
        # A copy: what is handed out may be written to.
        return self._pixels[box.y : box.bottom, box.x : box.right].copy()

    def _decode(self) -> np.ndarray:
        path = self.info.path
        with quiet(), _opened(path) as image:
            try:
                pixels = _to_rgb(image)
            except (*_DAMAGE, MemoryError) as error:
                raise UnreadableSlideError(f"{path} is truncated or damaged ({error})", "copy it again") from error
        return self._orientation.apply(pixels)

    def close(self) -> None:
        self._pixels = None


def _opened(path: str) -> Image.Image:
    try:
        return Image.open(path, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(path, "more pixels than a plain image may have") from error
    except _DAMAGE as error:
        raise UnreadableSlideError(f"{path} is no readable image ({error})", "copy or export it again") from error


def _too_large(path: str, what: str) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{path} has {what}, over the limit of {MAX_PLAIN_PX // 1_000_000} megapixels for a plain image",
        "save it as a tiled TIFF, which is read in parts",
    )


def _check_colour(path: str, image: Image.Image) -> None:
    if image.mode in ("RGB", "RGBA", "RGBX", "CMYK", "YCbCr"):
        return
    if image.mode in ("P", "PA"):
        return
    raise refuse_grey(path, f"an image of mode {image.mode}")


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode in ("RGBA", "PA") or "transparency" in image.info:
        rgba = np.asarray(image.convert("RGBA"))
        return on_white(rgba[..., :3], rgba[..., 3])
    return np.array(image.convert("RGB"))


def _png_mpp(image: Any) -> Mpp | None:
    # Pillow gives pHYs (pixels per metre) as dpi, rounded to 2.54 cm an inch.
    dpi = image.info.get("dpi")
    if image.format != "PNG" or not dpi or min(dpi) <= 0:
        return None
    return plausible(25_400 / dpi[0], 25_400 / dpi[1])
