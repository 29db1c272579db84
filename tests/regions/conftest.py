"""A film drawn in memory: red cells and nuclei as optical density, on glass of any colour."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Scale, SlideInfo
from smearscan.slide.base import Slide

#: µm per pixel of everything drawn here.
UM = 1.0


class ArraySlide(Slide):
    """An image in memory as a slide of one level."""

    def __init__(self, pixels: np.ndarray, um: float = UM) -> None:
        self.pixels = np.ascontiguousarray(pixels)
        size = Size(pixels.shape[1], pixels.shape[0])
        self.info = SlideInfo("drawn.tif", size, (size,), Mpp(um, um), "array")

    @property
    def scale(self) -> Scale:
        assert self.info.mpp is not None
        return Scale(self.info.mpp, "metadata")

    def _read_level(self, level: int, box: Box) -> np.ndarray:
        self.pixels_decoded += box.area
        return self.pixels[box.y : box.bottom, box.x : box.right].copy()

    def close(self) -> None:
        pass


class Film:
    """Optical density in green, for red cells (1 each, in layers where they overlap) and nuclei (5)."""

    def __init__(self, width_um: int, height_um: int, seed: int = 0) -> None:
        shape = (round(height_um / UM), round(width_um / UM))
        self.eosin, self.azure = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._rng = np.random.default_rng(seed)

    def red_cells(self, x: int, y: int, width: int, height: int, per_mm2: float = 9000) -> Film:
        n = self._rng.poisson(per_mm2 * width * height / 1e6)
        columns, rows = self._rng.uniform(x, x + width, n), self._rng.uniform(y, y + height, n)
        self.eosin += _discs(self.eosin.shape, rows, columns, 3.75)
        return self

    def nuclei(self, x: int, y: int, width: int, height: int, spacing_um: int = 14) -> Film:
        rows, columns = np.mgrid[y + 6 : y + height - 5 : spacing_um, x + 6 : x + width - 5 : spacing_um]
        self.azure += 5 * _discs(self.azure.shape, rows.ravel(), columns.ravel(), 4.5)
        return self

    def blurred(self, x: int, width: int, sigma_um: float) -> Film:
        for stain in (self.eosin, self.azure):
            part = stain[:, x : x + width]
            part[:] = cv2.GaussianBlur(part, (0, 0), sigma_um / UM)
        return self

    def slide(self, stain: float = 0.12, white: tuple[int, int, int] = (235, 230, 220)) -> ArraySlide:
        eosin, azure = np.array([0.5, 1.0, 0.7], np.float32), np.array([0.5, 1.0, 0.2], np.float32)
        density = stain * (self.eosin[..., None] * eosin + self.azure[..., None] * azure)
        noise = self._rng.normal(0, 1.0, density.shape)
        return ArraySlide(np.clip(np.array(white) * 10**-density + noise, 0, 253).round().astype(np.uint8))


def _discs(shape: tuple[int, int], rows: np.ndarray, columns: np.ndarray, radius_um: float) -> np.ndarray:
    seeds = np.zeros(shape, np.float32)
    inside = (rows < shape[0]) & (columns < shape[1])
    np.add.at(seeds, (rows[inside].astype(int), columns[inside].astype(int)), 1)
    reach = int(np.ceil(radius_um / UM)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius_um / UM + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return cv2.filter2D(seeds, cv2.CV_32F, disc, borderType=cv2.BORDER_CONSTANT)


@pytest.fixture
def film() -> Callable[..., Film]:
    """Draws a film of this width and height in µm."""
    return Film


@pytest.fixture
def array_slide() -> type[ArraySlide]:
    """Makes a slide of an array."""
    return ArraySlide
