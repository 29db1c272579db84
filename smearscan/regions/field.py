"""A camera field: a person chose it, so all of it is searched, unless there is nothing on it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smearscan.errors import EmptySlideError, UnsupportedImageError
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import RegionMap, Tile
from smearscan.regions.film import GREEN, densities, film_density, measure_white
from smearscan.regions.sharpness import judge_tile
from smearscan.slide.base import Slide

#: Scale at which a field is looked over: noise is averaged away, a platelet still shows.
_UM_PER_PX = 1.0

#: Window in which something must stand out, µm, and by how much of white, over at least this share.
_WINDOW_UM, _MIN_CONTRAST, _MIN_SHARE = 8.0, 0.06, 0.001

#: Window of the local white, µm: larger than a leukocyte; and how far light may fall off, of the brightest.
_LIGHT_UM, _MAX_FALL = 40.0, 0.7

#: Darker than this is no transmitted light.
_MIN_WHITE = 40
#: Most of a stained film lets more light through than this, in some channel; white has all three.
_DARK_BACKGROUND, _ONE_COLOUR = 0.15, 0.2

#: Channels that never differ by more than this hold no colour.
MAX_GREY = 3


def search_field(slide: Slide, tiles: Sequence[Tile], mpp: Mpp) -> RegionMap:
    """All tiles of a field, with its film area and focus.

    Raises
    ------
    EmptySlideError
        If nothing stands out on it, or it is black.
    UnsupportedImageError
        If it is grey, or bright on dark as fluorescence is.
    """
    um = max(_UM_PER_PX, mpp.x, mpp.y)
    width, height = slide.info.size
    size = Size(max(1, round(width * mpp.x / um)), max(1, round(height * mpp.y / um)))
    pixels = slide.read(Box(0, 0, width, height), size)
    histogram = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    white = measure_white(histogram)
    check_light(slide.info.path, white, histogram)
    if not _has_structure(pixels[..., GREEN], um, white[GREEN]):
        raise empty(slide.info.path)
    check_colour(slide.info.path, int((pixels.max(axis=2) - pixels.min(axis=2)).max()))
    film_mm2 = _film_fraction(pixels[..., GREEN], um, white[GREEN]) * width * mpp.x * height * mpp.y / 1e6
    scores = [judge_tile(slide, tile, 0.0, mpp) for tile in tiles]
    judged = [score for score in scores if score is not None]
    return RegionMap(tuple(tiles), film_mm2, film_mm2, float(np.median(judged)) if judged else 0.0)


def empty(path: str) -> EmptySlideError:
    """The error for blank glass."""
    return EmptySlideError(f"{path} shows nothing but glass", "check that the smear was scanned, and the right side up")


def check_light(path: str, white: np.ndarray, histogram: np.ndarray) -> None:
    """Refuse what was not seen in transmitted light; `histogram` is (3, 256) of the whole image.

    Raises
    ------
    EmptySlideError
        If it is black.
    UnsupportedImageError
        If most of it is dark beside a bright rest, or its white lacks a channel.
    """
    if white.max() < _MIN_WHITE:
        raise EmptySlideError(f"{path} is black", "check the lamp and the export")
    medians = [int(np.searchsorted(np.cumsum(channel), channel.sum() / 2)) for channel in histogram]
    # In every channel: a field full of nuclei is as dark in green, but lets red and blue pass.
    is_dark = all(median <= _DARK_BACKGROUND * light for median, light in zip(medians, white, strict=True))
    if is_dark or white.min() < _ONE_COLOUR * white.max():
        raise UnsupportedImageError(
            f"{path} is bright on a dark background, as fluorescence is", "scan the stained smear in transmitted light"
        )


def check_colour(path: str, max_colour: int) -> None:
    """Refuse an image whose channels are equal everywhere.

    Raises
    ------
    UnsupportedImageError
        If there is no colour in it.
    """
    if max_colour <= MAX_GREY:
        raise UnsupportedImageError(
            f"{path} is grey, though stored as RGB", "a Romanowsky stain is judged by its colour: save it in colour"
        )


def _has_structure(green: np.ndarray, um: float, white: float) -> bool:
    import cv2

    window = np.ones((max(2, round(_WINDOW_UM / um)),) * 2, np.uint8)
    contrast = cv2.dilate(green, window).astype(np.int16) - cv2.erode(green, window)
    return bool((contrast > _MIN_CONTRAST * white).mean() > _MIN_SHARE)


def _film_fraction(green: np.ndarray, um: float, white: float) -> float:
    """Share of pixels darker than the glass around them; light that falls off slowly is followed."""
    import cv2

    side = max(1, round(_LIGHT_UM / um)) | 1
    light = cv2.blur(cv2.dilate(green, np.ones((side, side), np.uint8)), (side, side))
    flat = np.clip(green * (white / np.maximum(light, _MAX_FALL * white)), 0, 255).astype(np.uint8)
    histogram = np.bincount(flat.ravel(), minlength=256)
    is_film = densities(white) > film_density(histogram, white)
    return float(histogram[is_film].sum() / histogram.sum())
