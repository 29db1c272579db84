"""Reader of vendor formats through OpenSlide: Hamamatsu, MIRAX, DICOM, Leica, Ventana, Philips."""

from __future__ import annotations

import numpy as np
import openslide

from smearscan.errors import UnreadableSlideError, UnsupportedImageError
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import SlideInfo
from smearscan.slide.base import Slide
from smearscan.slide.cache import DEFAULT_MAX_BYTES
from smearscan.slide.colour import on_white
from smearscan.slide.metadata import plausible


class VendorSlide(Slide):
    """A scan that OpenSlide knows; `pixels_decoded` counts what was asked of it.

    Raises
    ------
    UnreadableSlideError, UnsupportedImageError
        See `open_slide`.
    """

    def __init__(self, path: str) -> None:
        try:
            self._scan = openslide.OpenSlide(path)
        except openslide.OpenSlideUnsupportedFormatError as error:
            raise UnsupportedImageError(
                f"{path} is of a format or variant that OpenSlide does not know", "export it as a tiled TIFF"
            ) from error
        except (openslide.OpenSlideError, OSError) as error:
            raise UnreadableSlideError(f"{path} cannot be opened ({error})", "copy or export it again") from error
        # OpenSlide keeps decoded tiles itself: bound it as our own cache is.
        self._scan.set_cache(openslide.OpenSlideCache(DEFAULT_MAX_BYTES))
        levels = tuple(Size(*size) for size in self._scan.level_dimensions)
        vendor = self._scan.properties.get(openslide.PROPERTY_NAME_VENDOR, "")
        self.info = SlideInfo(path, levels[0], levels, self._mpp(), "openslide", "", vendor)

    def _mpp(self) -> Mpp | None:
        names = (openslide.PROPERTY_NAME_MPP_X, openslide.PROPERTY_NAME_MPP_Y)
        try:
            x, y = (float(self._scan.properties[name]) for name in names)
        except (KeyError, ValueError):
            return None
        return plausible(x, y)

    def _read_level(self, level: int, box: Box) -> np.ndarray:
        # OpenSlide takes the corner in level-0 pixels and the size in level pixels.
        factor_x, factor_y = self._downsample(level)
        corner = (round(box.x * factor_x), round(box.y * factor_y))
        try:
            image = self._scan.read_region(corner, level, (box.width, box.height))
        except (openslide.OpenSlideError, OSError) as error:
            raise UnreadableSlideError(
                f"{self.info.path} has damaged pixels ({error})", "copy or export it again"
            ) from error
        self.pixels_decoded += box.area
        rgba = np.asarray(image)
        # Where nothing was scanned OpenSlide gives transparent pixels: glass.
        return np.ascontiguousarray(on_white(rgba[..., :3], rgba[..., 3]))

    def close(self) -> None:
        self._scan.close()
