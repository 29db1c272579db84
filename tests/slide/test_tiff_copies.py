"""A page beside the smear that nothing marks: a smaller copy is a level, another image is left out by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from smearscan.geometry import Box, Size
from smearscan.slide import open_slide
from smearscan.synth import write_smear


@pytest.fixture(scope="module")
def smears(tmp_path_factory: pytest.TempPathFactory) -> tuple[np.ndarray, np.ndarray]:
    """Two fields of one size, (480, 640, 3) uint8 RGB."""
    folder = tmp_path_factory.mktemp("smears")
    for seed in (3, 4):
        write_smear(folder / f"{seed}.png", 640, 480, seed, mpp=0.2, cells_per_mm2=800.0)
    first, second = (cv2.imread(str(folder / f"{seed}.png"))[..., ::-1] for seed in (3, 4))
    return np.ascontiguousarray(first), np.ascontiguousarray(second)


def shrunken(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)


def save(path: Path, pages: Sequence[np.ndarray], **options: object) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for page in pages:
            colour = "rgb" if page.ndim == 3 else "minisblack"
            writer.write(page, photometric=colour, metadata=None, **options)
    return path


@pytest.mark.parametrize("options", [{"tile": (64, 64)}, {"rowsperstrip": 16, "compression": "zlib"}, {}])
def test_a_second_smaller_field_is_named_and_never_read_as_a_level(
    options: dict[str, object], tmp_path: Path, smears: tuple[np.ndarray, np.ndarray]
) -> None:
    first, second = smears
    with open_slide(save(tmp_path / "a.tif", [first, shrunken(second, 2)], **options)) as slide:
        assert slide.info.levels == ((640, 480),)
        (note,) = slide.notes
        assert note.startswith("page 2 (320×240 px) is another image and not searched")
        half = slide.read(Box(0, 0, 640, 480), Size(320, 240))
    assert np.abs(half.astype(int) - shrunken(first, 2)).mean() < 1


def test_several_other_images_are_counted_grey_ones_too(tmp_path: Path, smears: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = smears
    small = shrunken(second, 2.5)
    with open_slide(save(tmp_path / "a.tif", [first, small, small[..., 0], second[:90, :120]])) as slide:
        (note,) = slide.notes
        assert note.startswith("page 2 (256×192 px) and 2 more are other images")
        np.testing.assert_array_equal(slide.read(Box(0, 0, 640, 480)), first)


@pytest.mark.parametrize("way", ["averaged", "every second", "thirds", "jpeg", "odd sizes"])
def test_a_pyramid_whose_levels_are_not_marked_is_no_other_image(
    way: str, tmp_path: Path, smears: tuple[np.ndarray, np.ndarray]
) -> None:
    whole = smears[0][:477, :631] if way == "odd sizes" else smears[0]
    if way in ("every second", "odd sizes"):
        pages = [np.ascontiguousarray(whole[:: 2**k, :: 2**k]) for k in range(4)]
    else:
        pages = [whole, *(shrunken(whole, (3 if way == "thirds" else 2) ** k) for k in (1, 2))]
    options = {"compression": "jpeg"} if way == "jpeg" else {}
    with open_slide(save(tmp_path / "a.tif", pages, tile=(64, 64), **options)) as slide:
        assert slide.notes == ()
        assert slide.info.levels[0] == (whole.shape[1], whole.shape[0])


def test_pages_that_say_what_they_are_need_no_note(tmp_path: Path, smears: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = smears
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(first, photometric="rgb", metadata=None, tile=(64, 64))
        writer.write(second[:200, :200], photometric="rgb", metadata=None, subfiletype=1)
    with open_slide(path) as slide:
        assert slide.notes == ()


def test_the_label_and_the_macro_image_of_a_scanner_are_no_other_smear(
    tmp_path: Path, smears: tuple[np.ndarray, np.ndarray]
) -> None:
    first, second = smears
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as writer:
        head = "Aperio Image Library v12.0.15\r\n640x480 [0,0 640x480] (64x64) JPEG/RGB Q=70|AppMag = 40|MPP = 0.25"
        writer.write(first, photometric="rgb", metadata=None, tile=(64, 64), description=head)
        thumbnail = "Aperio Image Library v12.0.15\r\n640x480 -> 160x120 - |AppMag = 40"
        writer.write(shrunken(first, 4), photometric="rgb", metadata=None, description=thumbnail)
        for name, kind in (("label", 1), ("macro", 9)):
            text = f"Aperio Image Library v12.0.15\r\n{name} 90x80"
            writer.write(second[:80, :90], photometric="rgb", metadata=None, subfiletype=kind, description=text)
    with open_slide(path) as slide:
        assert slide.info.vendor == "aperio" and slide.notes == ()
    with tifffile.TiffWriter(tmp_path / "a.ome.tif") as writer:
        for name, image in (("smear", first), ("label image", second[:80, :90]), ("macro image", second[:90, :200])):
            writer.write(image, photometric="rgb", metadata={"axes": "YXS", "Name": name})
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert slide.info.vendor == "ome" and slide.notes == ()


def test_blank_glass_says_nothing_against_a_level(tmp_path: Path) -> None:
    glass = np.full((480, 640, 3), 240, np.uint8)
    with open_slide(save(tmp_path / "a.tif", [glass, glass[::2, ::2].copy()], tile=(64, 64))) as slide:
        assert slide.notes == () and len(slide.info.levels) == 2
