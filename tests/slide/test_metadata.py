"""The scale a file states is believed if it is one of a microscope, and only then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smearscan.geometry import Box, Mpp
from smearscan.slide import open_slide
from smearscan.slide.metadata import aperio_mpp, imagej_mpp, plausible, resolution_mpp


def mpp_of(path: Path) -> Mpp | None:
    with open_slide(path) as slide:
        return slide.info.mpp


def tiff(path: Path, image: np.ndarray, **options: object) -> Path:
    options = {"photometric": "rgb", "metadata": None} | options
    tifffile.imwrite(path, image, **options)
    return path


@given(um=st.floats(0.02, 5.0))
def test_resolution_tags_in_centimetres_and_inches_give_the_same_scale(um: float) -> None:
    for unit, length in ((2, 25_400.0), (3, 10_000.0)):
        found = resolution_mpp(length / um, length / um, unit)
        assert found is None or found.mean == pytest.approx(um)
        if 0.0201 < um < 4.99:
            assert found is not None


@pytest.mark.parametrize("dpi", [0, 1, 72, 96, 150, 300, 600, 1200, 4000])
def test_a_print_resolution_is_no_scale(dpi: int) -> None:
    assert resolution_mpp(dpi, dpi, 2) is None


def test_a_resolution_without_unit_is_no_scale() -> None:
    assert resolution_mpp(100_000, 100_000, 1) is None


def test_tags_of_a_tiff_are_read_along_both_axes(tmp_path: Path, picture: np.ndarray) -> None:
    path = tiff(tmp_path / "a.tif", picture, resolution=(1e4 / 0.1, 1e4 / 0.2), resolutionunit="CENTIMETER")
    found = mpp_of(path)
    assert found is not None
    assert (found.x, found.y) == (pytest.approx(0.1), pytest.approx(0.2))
    assert mpp_of(tiff(path, picture, resolution=(300, 300), resolutionunit="INCH")) is None


def test_a_turned_field_turns_its_scale_too(tmp_path: Path, picture: np.ndarray) -> None:
    tags = {"resolution": (1e4 / 0.1, 1e4 / 0.2), "resolutionunit": "CENTIMETER", "extratags": [(274, "H", 1, 6)]}
    found = mpp_of(tiff(tmp_path / "a.tif", picture, **tags))
    assert found is not None
    assert (found.x, found.y) == (pytest.approx(0.2), pytest.approx(0.1))


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [(0.25, "µm", 0.25), (250.0, "nm", 0.25), (0.00025, "mm", 0.25), (0.25, "pixel", None), (250.0, "µm", None)],
)
def test_ome_sizes_count_with_their_unit(
    size: float, unit: str, expected: float | None, tmp_path: Path, picture: np.ndarray
) -> None:
    path = tmp_path / "a.ome.tif"
    stated = {"PhysicalSizeX": size, "PhysicalSizeXUnit": unit, "PhysicalSizeY": size, "PhysicalSizeYUnit": unit}
    tifffile.imwrite(path, picture, photometric="rgb", metadata={"axes": "YXS"} | stated)
    found = mpp_of(path)
    assert found is None if expected is None else found is not None and found.mean == pytest.approx(expected)


def test_imagej_counts_in_the_unit_of_its_description(tmp_path: Path, picture: np.ndarray) -> None:
    assert imagej_mpp("ImageJ=1.53\nunit=micron\n", 10.0, 10.0) == Mpp(0.1, 0.1)
    assert imagej_mpp("ImageJ=1.53\nunit=\\u00B5m\n", 10.0, 10.0) == Mpp(0.1, 0.1)
    assert imagej_mpp("ImageJ=1.53\nunit=inch\n", 300.0, 300.0) is None
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, imagej=True, resolution=(4.0, 4.0), metadata={"unit": "um"})
    assert mpp_of(path) == Mpp(0.25, 0.25)


def test_aperio_states_it_in_words() -> None:
    assert aperio_mpp("Aperio Image Library\r\n1x1 |AppMag = 20|MPP = 0.4990|Left = 1") == Mpp(0.499, 0.499)
    assert aperio_mpp("Aperio Image Library\r\n1x1 |AppMag = 20") is None
    assert aperio_mpp("|MPP = 499") is None


def test_a_png_may_state_it_and_a_jpeg_may_not(tmp_path: Path, picture: np.ndarray) -> None:
    image = Image.fromarray(picture)
    image.save(tmp_path / "a.png", dpi=(254_000, 254_000))
    found = mpp_of(tmp_path / "a.png")
    assert found is not None and found.mean == pytest.approx(0.1, rel=1e-3)
    image.save(tmp_path / "b.png", dpi=(96, 96))
    assert mpp_of(tmp_path / "b.png") is None
    image.save(tmp_path / "a.jpg", dpi=(60_000, 60_000))
    assert mpp_of(tmp_path / "a.jpg") is None


@given(x=st.floats(allow_nan=True), y=st.floats(allow_nan=True))
def test_any_number_gives_a_plausible_scale_or_none(x: float, y: float) -> None:
    found = plausible(x, y)
    assert found is None or (0.02 <= found.x <= 5 and 0.02 <= found.y <= 5)


def test_the_shared_slides_state_their_scale(shared_data: Path) -> None:
    slides = shared_data / "slides"
    assert mpp_of(slides / "CMU-1-Small-Region.svs") == Mpp(0.499, 0.499)
    ndpi = mpp_of(slides / "test3-DAPI-2-_387_.ndpi")
    assert ndpi is not None and ndpi.mean == pytest.approx(0.228, abs=1e-3)
    assert mpp_of(slides / "fixtures" / "boxes_1.dcm") == Mpp(0.499, 0.499)
    assert mpp_of(slides / "fixtures" / "boxes.tiff") is None


def test_of_focal_planes_the_sharpest_is_read_and_named(tmp_path: Path, picture: np.ndarray) -> None:
    import cv2

    for sharp in range(4):
        planes = [cv2.GaussianBlur(picture, (0, 0), 0.1 + 1.5 * abs(z - sharp)) for z in range(4)]
        path = tmp_path / "a.ome.tif"
        tifffile.imwrite(path, np.stack(planes), photometric="rgb", metadata={"axes": "ZYXS"}, tile=(64, 64))
        with open_slide(path) as slide:
            assert slide.notes == (f"focal plane {sharp + 1} of 4, the sharpest",)
            np.testing.assert_array_equal(slide.read(Box(0, 0, 420, 300)), planes[sharp])


def test_of_equal_planes_the_middle_one_is_read(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.stack([picture] * 3), photometric="rgb", metadata={"axes": "ZYXS"})
    with open_slide(path) as slide:
        assert slide.notes == ("focal plane 2 of 3, the sharpest",)
