"""What is read is what lies there, from any reader, any level, and outside the slide."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from smearscan.geometry import Box, Size
from smearscan.slide import open_slide
from smearscan.slide.base import Slide
from smearscan.slide.cache import TileCache

VARIANTS = {
    "tiled deflate": {"tile": (64, 64), "compression": "zlib"},
    "tiled lzw, predictor": {"tile": (64, 80), "compression": "lzw", "predictor": True},
    "striped raw": {"rowsperstrip": 7},
    "one raw strip": {},
    "striped deflate": {"rowsperstrip": 32, "compression": "zlib"},
    "planar": {"tile": (64, 64), "planarconfig": "separate"},
    "big-endian": {"byteorder": ">", "rowsperstrip": 11},
    "BigTIFF": {"bigtiff": True, "tile": (128, 128)},
}


def save(path: Path, image: np.ndarray, **options: object) -> Path:
    head = {key: options.pop(key) for key in ("bigtiff", "byteorder") if key in options}
    if options.get("planarconfig") == "separate":
        image = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    with tifffile.TiffWriter(path, **head) as writer:
        writer.write(image, photometric="rgb", metadata=None, **options)
    return path


def pyramid(path: Path, image: np.ndarray, n_levels: int = 3) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for level in range(n_levels):
            size = (image.shape[1] // 2**level, image.shape[0] // 2**level)
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            writer.write(small, photometric="rgb", tile=(64, 64), subfiletype=min(level, 1), metadata=None)
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tiff_of_any_layout_gives_its_pixels(variant: str, tmp_path: Path, picture: np.ndarray) -> None:
    with open_slide(save(tmp_path / "a.tif", picture, **VARIANTS[variant])) as slide:
        assert slide.info.size == (420, 300)
        np.testing.assert_array_equal(slide.read(Box(0, 0, 420, 300)), picture)
        np.testing.assert_array_equal(slide.read(Box(130, 95, 77, 61)), picture[95:156, 130:207])


@pytest.mark.parametrize("tile", [(64, 64), None])
def test_jpeg_in_tiff_has_the_colours_that_were_saved(
    tile: tuple[int, int] | None, tmp_path: Path, picture: np.ndarray
) -> None:
    smooth = cv2.GaussianBlur(picture[:, :250], (0, 0), 3)
    path = tmp_path / "a.tif"
    options = {"tile": tile} if tile else {"rowsperstrip": 64}
    tifffile.imwrite(path, smooth, photometric="rgb", compression="jpeg", compressionargs={"level": 95}, **options)
    with open_slide(path) as slide:
        assert slide.info.compression == "jpeg"
        difference = slide.read(Box(0, 0, 250, 300)).astype(int) - smooth
        assert np.abs(difference).mean() < 2


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_the_same_field_in_any_lossless_format_gives_the_same_pixels(
    suffix: str, tmp_path: Path, picture: np.ndarray
) -> None:
    path = tmp_path / f"field.{suffix}"
    Image.fromarray(picture).save(path)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(10, 20, 300, 200)), picture[20:220, 10:310])


def test_a_jpeg_field_is_read(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "field.JPG"
    Image.fromarray(picture).save(path, quality=98, subsampling=0)
    with open_slide(path) as slide:
        assert (slide.info.reader, slide.info.compression) == ("plain", "jpeg")
        assert np.abs(slide.read(Box(0, 0, 420, 300)).astype(int) - picture).mean() < 2


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(x=st.integers(-500, 500), y=st.integers(-400, 400), width=st.integers(1, 600), height=st.integers(1, 500))
def test_outside_the_slide_lies_white_glass(
    x: int, y: int, width: int, height: int, picture: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    if not path.exists():
        save(path, picture, tile=(64, 64))
    wide = np.full((1300, 1600, 3), 255, np.uint8)
    wide[500:800, 600:1020] = picture
    wide = np.pad(wide, ((500, 500), (600, 600), (0, 0)), constant_values=255)
    expected = wide[y + 1000 : y + 1000 + height, x + 1200 : x + 1200 + width]
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(x, y, width, height)), expected)


def test_a_small_request_decodes_the_level_that_just_suffices(tmp_path: Path, picture: np.ndarray) -> None:
    path = pyramid(tmp_path / "a.tif", picture)
    whole = Box(0, 0, 420, 300)
    decoded = []
    for size in (Size(420, 300), Size(230, 165), Size(210, 150), Size(105, 75), Size(20, 15)):
        with open_slide(path) as slide:
            assert slide.read(whole, size).shape == (size.height, size.width, 3)
            decoded.append(slide.pixels_decoded)
    assert decoded == [420 * 300, 420 * 300, 210 * 150, 105 * 75, 105 * 75]


def test_only_the_tiles_asked_for_are_decoded_and_each_once(tmp_path: Path, picture: np.ndarray) -> None:
    with open_slide(save(tmp_path / "a.tif", picture, tile=(64, 64))) as slide:
        slide.read(Box(0, 0, 10, 10))
        assert slide.pixels_decoded == 64 * 64
        slide.read(Box(60, 0, 10, 10))
        assert slide.pixels_decoded == 2 * 64 * 64


def test_shrinking_averages_and_enlarging_keeps_the_level(tmp_path: Path, picture: np.ndarray) -> None:
    with open_slide(save(tmp_path / "a.tif", picture, tile=(64, 64))) as slide:
        half = slide.read(Box(0, 0, 420, 300), Size(210, 150))
        expected = picture.reshape(150, 2, 210, 2, 3).mean(axis=(1, 3))
        assert np.abs(half - expected).max() <= 1
        double = slide.read(Box(40, 40, 20, 20), Size(40, 40))
        assert abs(double.mean() - picture[40:60, 40:60].mean()) < 1


@pytest.mark.parametrize(("factor", "most"), [(1.1, 1), (1.33, 3), (1.49, 4.2), (1.6, 0), (2.4, 1), (3.3, 0.4)])
def test_whatever_grain_shrinks_by_it_is_nearly_averaged(tmp_path: Path, factor: float, most: float) -> None:
    grain = np.random.default_rng(0).normal(128, 25, (300, 420, 3)).clip(0, 255).astype(np.uint8)
    size = Size(round(420 / factor), round(300 / factor))
    with open_slide(save(tmp_path / "a.tif", grain, tile=(64, 64))) as slide:
        small = slide.read(Box(0, 0, 420, 300), size)
    averaged = cv2.resize(grain, tuple(size), interpolation=cv2.INTER_AREA)
    # Sampled without averaging, grain comes out 4.8, 9.1 and 11.3 levels off at the last three factors.
    assert np.abs(small.astype(float) - averaged).mean() <= most


def test_a_large_request_read_in_blocks_equals_one_read_at_once(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.tif", picture, tile=(64, 64))
    with open_slide(path) as slide:
        at_once = slide.thumbnail(105)
    monkeypatch.setattr("smearscan.slide.base._MAX_BLOCK_PX", 5000)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.thumbnail(105), at_once)


def test_a_thumbnail_keeps_the_shape_and_never_enlarges(tmp_path: Path, picture: np.ndarray) -> None:
    with open_slide(save(tmp_path / "a.tif", picture, tile=(64, 64))) as slide:
        assert slide.thumbnail(42).shape == (30, 42, 3)
        assert slide.thumbnail(9000).shape == (300, 420, 3)


def test_what_was_read_may_be_written_to_without_harm(tmp_path: Path, picture: np.ndarray) -> None:
    for name, options in {"a.tif": {"tile": (64, 64)}, "b.png": None}.items():
        path = tmp_path / name
        if options is None:
            Image.fromarray(picture).save(path)
        else:
            save(path, picture, **options)
        with open_slide(path) as slide:
            slide.read(Box(0, 0, 64, 64))[:] = 0
            np.testing.assert_array_equal(slide.read(Box(0, 0, 64, 64)), picture[:64, :64])


def test_an_opened_slide_crosses_to_another_process(tmp_path: Path, picture: np.ndarray) -> None:
    path = save(tmp_path / "a.tif", picture, tile=(64, 64))
    with open_slide(path) as slide:
        slide.read(Box(0, 0, 420, 300))
        copy: Slide = pickle.loads(pickle.dumps(slide))
    with copy:
        np.testing.assert_array_equal(copy.read(Box(0, 0, 420, 300)), picture)
        assert copy.info.path == str(path)


def test_the_cache_stays_within_its_bytes_and_drops_the_oldest() -> None:
    cache = TileCache(max_bytes=250)
    n_decoded = []
    for key in ("a", "b", "a", "c", "a", "b"):
        cache.get(key, lambda k=key: n_decoded.append(k) or np.zeros(100, np.uint8))
        assert cache.n_bytes <= 250
    assert n_decoded == ["a", "b", "c", "b"]
    cache.get("large", lambda: np.zeros(1000, np.uint8))
    assert cache.n_bytes == 1000


def test_the_shared_slides_open_or_fail_by_name(shared_data: Path) -> None:
    from smearscan.errors import SlideError
    from smearscan.slide.discover import list_images

    outcome = {}
    for path in list_images(shared_data / "slides"):
        try:
            with open_slide(path) as slide:
                assert slide.thumbnail(64).shape[2] == 3
                outcome[path.name] = slide.info.reader
        except SlideError as error:
            assert path.name in error.what
            assert error.remedy
            outcome[path.name] = type(error).__name__
    assert outcome == {
        "CMU-1-Small-Region.svs": "tiff",
        "boxes-no-icc.png": "plain",
        "boxes.png": "plain",
        "boxes.tiff": "tiff",
        "boxes_1.dcm": "openslide",
        "small.svs": "tiff",
        "unopenable.tiff": "UnsupportedImageError",
        "unreadable.svs": "UnreadableSlideError",
        "test3-DAPI-2-_387_.ndpi": "openslide",
        "test3-TRITC_2_560_.ndpi": "openslide",
    }


def test_an_svs_gives_the_same_pixels_as_openslide(shared_data: Path) -> None:
    from smearscan.slide.vendor import VendorSlide

    path = str(shared_data / "slides" / "CMU-1-Small-Region.svs")
    box = Box(700, 900, 600, 500)
    with open_slide(path) as ours, VendorSlide(path) as theirs:
        assert ours.info.mpp == theirs.info.mpp
        assert np.abs(ours.read(box).astype(int) - theirs.read(box)).max() <= 3


@pytest.mark.parametrize(("method", "reader"), [("APERIO_JP2000_YCBC", "openslide"), ("APERIO_JP2000_RGB", "tiff")])
def test_jpeg_2000_of_aperio_goes_to_the_reader_that_knows_its_colours(
    method: str, reader: str, tmp_path: Path, picture: np.ndarray
) -> None:
    path = tmp_path / "a.svs"
    image = cv2.GaussianBlur(picture[:256, :256], (0, 0), 3)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]] if "YCBC" in method else image
    options = {"description": "Aperio Image Library v1 |MPP = 0.5|AppMag = 20", "tile": (256, 256), "metadata": None}
    tifffile.imwrite(path, stored, photometric="rgb", compression=method, **options)
    with open_slide(path) as slide:
        assert slide.info.reader == reader
        assert slide.info.mpp is not None
        assert np.abs(slide.read(Box(0, 0, 256, 256)).astype(int) - image).mean() < 3


def test_an_ome_pyramid_of_focal_planes_is_read_at_every_level(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.ome.tif"
    small = cv2.resize(picture, (210, 150), interpolation=cv2.INTER_AREA)
    options = {"photometric": "rgb", "tile": (64, 64)}
    with tifffile.TiffWriter(path) as writer:
        writer.write(np.stack([picture // 2, picture, picture // 2]), subifds=1, metadata={"axes": "ZYXS"}, **options)
        writer.write(np.stack([small // 2, small, small // 2]), subfiletype=1, **options)
    with open_slide(path) as slide:
        assert slide.info.levels == ((420, 300), (210, 150))
        assert slide.notes == ("focal plane 2 of 3, the sharpest",)
        np.testing.assert_array_equal(slide.read(Box(0, 0, 420, 300)), picture)
        np.testing.assert_array_equal(slide.read(Box(0, 0, 420, 300), Size(210, 150)), small)
