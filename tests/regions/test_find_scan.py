"""On a scan: glass is skipped, thick and blurred film left out and counted, no nucleus lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from smearscan.errors import EmptySlideError, SlideError, UnsupportedImageError
from smearscan.geometry import Point
from smearscan.records import RegionMap, Scale
from smearscan.regions import find_regions
from smearscan.settings import RegionSettings
from smearscan.slide import open_slide

TILE = 160
#: Small tiles, so that a small drawing is a scan.
SMALL = {"tile_um": TILE, "max_field_mm2": 0.2}
SETTINGS = RegionSettings(**SMALL)


def searched(regions: RegionMap) -> set[tuple[int, int]]:
    """Columns and rows of the grid that are searched."""
    return {(round(tile.core.x / TILE), round(tile.core.y / TILE)) for tile in regions.tiles}


def find(slide, settings: RegionSettings = SETTINGS) -> RegionMap:  # type: ignore[no-untyped-def]
    return find_regions(slide, slide.scale, settings)


def places(columns: range, rows: range = range(4)) -> set[tuple[int, int]]:
    return {(column, row) for column in columns for row in rows}


@pytest.mark.parametrize("stain", [0.05, 0.12, 0.35])
@pytest.mark.parametrize("white", [(235, 230, 220), (150, 160, 170)])
def test_film_is_searched_and_glass_is_not_whatever_the_stain_and_light(
    stain: float, white: tuple[int, int, int], film: Callable
) -> None:
    regions = find(film(6 * TILE, 4 * TILE).red_cells(2 * TILE, 0, 3 * TILE, 4 * TILE).slide(stain, white))
    assert searched(regions) == places(range(2, 5))
    assert regions.searched_mm2 == pytest.approx(regions.film_mm2)
    # 9,000 discs of 44 µm² in a mm², overlapping by chance, on 12 tiles.
    assert regions.film_mm2 == pytest.approx((1 - np.exp(-0.4)) * 12 * 0.0256, rel=0.25)
    assert (regions.n_thick_tiles, regions.n_blurred_tiles) == (0, 0)


def test_a_lone_nucleus_on_glass_keeps_its_tile(film: Callable) -> None:
    drawn = film(6 * TILE, 4 * TILE).red_cells(0, 0, 2 * TILE, 4 * TILE).nuclei(500, 350, 14, 14)
    assert searched(find(drawn.slide())) == places(range(2)) | {(3, 2)}


def test_film_thicker_than_the_rest_is_left_out_and_counted(film: Callable) -> None:
    drawn = film(6 * TILE, 4 * TILE).red_cells(0, 0, 6 * TILE, 4 * TILE).red_cells(0, 0, 2 * TILE, 4 * TILE, 60_000)
    regions = find(drawn.slide())
    assert searched(regions) == places(range(2, 6))
    assert regions.n_thick_tiles == 8
    assert regions.searched_mm2 < 0.6 * regions.film_mm2


def test_tiles_crowded_with_nuclei_are_never_taken_for_thick(film: Callable) -> None:
    drawn = film(6 * TILE, 4 * TILE).red_cells(0, 0, 6 * TILE, 4 * TILE)
    drawn.red_cells(0, 0, 2 * TILE, 4 * TILE, 30_000).nuclei(0, 0, 2 * TILE, 4 * TILE)
    regions = find(drawn.slide())
    assert searched(regions) == places(range(6))
    assert regions.n_thick_tiles == 0


def test_a_slide_that_is_dense_throughout_is_searched_throughout(film: Callable) -> None:
    regions = find(film(4 * TILE, 3 * TILE + 50).red_cells(0, 0, 4 * TILE, 3 * TILE + 50, 60_000).slide())
    assert len(regions.tiles) == 12


def test_a_blurred_part_is_left_out_and_counted(film: Callable) -> None:
    drawn = film(6 * TILE, 4 * TILE).red_cells(0, 0, 6 * TILE, 4 * TILE).blurred(4 * TILE, 2 * TILE, 4.0)
    regions = find(drawn.slide(0.25))
    assert searched(regions) == places(range(4))
    assert regions.n_blurred_tiles == 8
    assert regions.focus > 0.5


def test_blur_is_followed_from_the_sampled_tiles_to_their_neighbours(film: Callable) -> None:
    drawn = film(6 * TILE, 4 * TILE).red_cells(0, 0, 6 * TILE, 4 * TILE).blurred(4 * TILE, 2 * TILE, 4.0)
    regions = find(drawn.slide(0.25), RegionSettings(n_focus_samples=5, **SMALL))
    assert searched(regions) == places(range(4))


def test_a_slide_blurred_throughout_is_searched_and_says_so(film: Callable) -> None:
    drawn = film(4 * TILE, 4 * TILE).red_cells(0, 0, 4 * TILE, 4 * TILE).blurred(0, 4 * TILE, 4.0)
    regions = find(drawn.slide(0.25))
    assert len(regions.tiles) == 16
    assert regions.focus < SETTINGS.min_focus
    assert regions.n_blurred_tiles == 0


def test_the_same_slide_gives_the_same_map_in_reading_order(film: Callable) -> None:
    slide = film(4 * TILE, 4 * TILE).red_cells(150, 100, 350, 400).slide()
    first, second = find(slide), find(slide)
    assert first == second
    corners = [(tile.core.y, tile.core.x) for tile in first.tiles]
    assert corners == sorted(corners)


def test_each_pixel_is_decoded_about_once(film: Callable) -> None:
    slide = film(6 * TILE, 4 * TILE).red_cells(0, 0, 6 * TILE, 4 * TILE).slide()
    find(slide, RegionSettings(n_focus_samples=1, **SMALL))
    assert slide.pixels_decoded < 1.2 * slide.info.size.width * slide.info.size.height


def uneven(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    fall = 1 - 0.25 * (np.hypot(x / width - 0.5, y / height - 0.5))
    noise = np.random.default_rng(1).normal(0, 1.5, (height, width, 3))
    return np.clip(235 * fall[..., None] + noise, 0, 253).round().astype(np.uint8)


def refused(slide, kind: type[SlideError], saying: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(kind, match=saying) as caught:
        find(slide)
    assert "drawn.tif" in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(("width", "height"), [(750, 700), (300, 200)])
def test_blank_glass_is_empty_also_in_uneven_light(width: int, height: int, array_slide: type) -> None:
    refused(array_slide(uneven(width, height)), EmptySlideError, "glass")


@pytest.mark.parametrize(("width", "height"), [(750, 700), (300, 200), (16, 16)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_image_is_empty(value: int, width: int, height: int, array_slide: type) -> None:
    refused(array_slide(np.full((height, width, 3), value, np.uint8)), EmptySlideError, ".")


@pytest.mark.parametrize("side", [640, 320])
def test_grey_stored_as_rgb_is_refused(side: int, film: Callable, array_slide: type) -> None:
    pixels = film(side, side).red_cells(0, 0, side, side).slide().pixels
    refused(array_slide(np.repeat(pixels[..., 1:2], 3, axis=2)), UnsupportedImageError, "grey")


@pytest.mark.parametrize("side", [640, 320])
def test_bright_on_dark_is_refused_as_fluorescence(side: int, film: Callable, array_slide: type) -> None:
    pixels = film(side, side).red_cells(0, 0, side, side, 2000).slide(1.0, (240, 240, 240)).pixels
    refused(array_slide(248 - pixels), UnsupportedImageError, "fluorescence")


def test_the_borders_a_scanner_fills_in_are_neither_film_nor_white(film: Callable, array_slide: type) -> None:
    drawn = film(4 * TILE, 4 * TILE).red_cells(0, 0, 4 * TILE, 4 * TILE).slide(0.12, (200, 190, 180)).pixels
    for fill in (0, 255):
        framed = np.pad(drawn, ((0, 0), (4 * TILE, 0), (0, 0)), constant_values=fill)
        assert searched(find(array_slide(framed))) == places(range(4, 8))


def test_no_labelled_leukocyte_of_quilted_fields_lies_outside_the_cores(shared_data: Path, array_slide: type) -> None:
    # 640×480 fields are one laboratory's; different stains side by side are not one smear.
    images, labels = shared_data / "txl_pbc" / "images" / "val", shared_data / "txl_pbc" / "labels" / "val"
    pictures = [(path.stem, cv2.imread(str(path))) for path in sorted(images.iterdir())]
    fields = [(stem, image[..., ::-1]) for stem, image in pictures if image.shape == (480, 640, 3)][:42]
    quilt = np.concatenate([np.concatenate([image for _, image in fields[i : i + 6]], 1) for i in range(0, 42, 6)])
    centres = []
    for index, (stem, _) in enumerate(fields):
        row, column = divmod(index, 6)
        for line in (labels / f"{stem}.txt").read_text().splitlines():
            kind, x, y, *_ = (float(word) for word in line.split())
            if kind == 0:
                centres.append(Point((column + x) * 640, (row + y) * 480))
    assert len(centres) > 40
    regions = find(array_slide(quilt, 0.0724), RegionSettings(max_field_mm2=0.0, tile_um=60.0))
    assert [point for point in centres if sum(tile.core.contains(point) for tile in regions.tiles) != 1] == []


def test_the_shared_fluorescence_scans_are_refused(shared_data: Path) -> None:
    for path in sorted((shared_data / "slides").glob("*.ndpi")):
        with open_slide(path) as slide, pytest.raises(UnsupportedImageError, match="fluorescence"):
            assert slide.info.mpp is not None
            find_regions(slide, Scale(slide.info.mpp, "metadata"), SETTINGS)
