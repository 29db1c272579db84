"""What cannot be judged is refused by name, with a remedy; what only looks odd is set right."""

from __future__ import annotations

import logging
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from smearscan.errors import SlideError, UnreadableSlideError, UnsupportedImageError
from smearscan.geometry import Box
from smearscan.slide import open_slide
from smearscan.slide.content import stamp_files


def read_all(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return slide.read(Box(0, 0, *slide.info.size))


def refused(path: Path, kind: type[SlideError], saying: str = ".") -> None:
    with pytest.raises(kind, match=saying) as caught:
        read_all(path)
    assert str(path) in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("suffix", ["tif", "jpg", "png", "bmp"])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_truncated_file_is_unreadable(suffix: str, share: float, tmp_path: Path, picture: np.ndarray) -> None:
    whole, path = tmp_path / f"whole.{suffix}", tmp_path / f"half.{suffix}"
    if suffix == "tif":
        tifffile.imwrite(whole, picture, photometric="rgb", tile=(64, 64), compression="zlib")
    else:
        Image.fromarray(picture).save(whole)
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refused(path, UnreadableSlideError)


def test_a_tile_of_garbage_is_unreadable(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[3], tif.pages[0].databytecounts[3]
    content = bytearray(path.read_bytes())
    content[offset : offset + count] = b"\x55" * count
    path.write_bytes(content)
    refused(path, UnreadableSlideError, "damaged")


@pytest.mark.parametrize("name", ["a.svs", "a.ndpi", "a.dcm", "a.tif", "a.png", "a.jpg", "a.mrxs", "a.xyz"])
def test_a_text_file_under_an_image_name_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("This is no slide.\n" * 50)
    with pytest.raises(SlideError) as caught:
        open_slide(path)
    assert name in caught.value.what


def test_a_jpeg_named_svs_is_refused_and_one_named_png_is_read(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.svs"
    Image.fromarray(picture).save(path, format="jpeg")
    refused(path, UnreadableSlideError, "named .svs but is a JPEG")
    renamed = path.rename(tmp_path / "a.png")
    assert read_all(renamed).shape == picture.shape


def test_no_file_an_empty_file_and_a_folder_are_named(tmp_path: Path) -> None:
    refused(tmp_path / "absent.tif", UnreadableSlideError, "does not exist")
    (tmp_path / "empty.tif").touch()
    refused(tmp_path / "empty.tif", UnreadableSlideError, "is empty")
    refused(tmp_path, UnreadableSlideError, "is a folder, not an image")
    (tmp_path / "link.tif").symlink_to(tmp_path / "absent.tif")
    refused(tmp_path / "link.tif", UnreadableSlideError, "is a link that leads nowhere")
    (tmp_path / "round.tif").symlink_to(tmp_path / "round.tif")
    refused(tmp_path / "round.tif", UnreadableSlideError, "is a link that leads nowhere")
    refused(tmp_path / ("a" * 300 + ".tif"), UnreadableSlideError, "File name too long")


def test_a_folder_that_cannot_be_listed_says_so(tmp_path: Path, ordinary_rights: None) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    refused(folder, UnreadableSlideError, r"cannot be listed \(Permission denied\)")


def test_a_pipe_and_a_device_are_named_and_never_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "f.png"
    os.mkfifo(path)
    for endless in (path, Path("/dev/zero")):
        refused(endless, UnreadableSlideError, "is no file but a pipe")
        with pytest.raises(UnreadableSlideError, match=str(endless)):
            stamp_files([str(endless)])


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_an_image_of_one_pixel_is_too_small(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (1, 1), "white").save(path)
    refused(path, UnsupportedImageError, "1×1 px")


@pytest.mark.parametrize(
    ("suffix", "mode"), [(s, m) for s in ("png", "tif") for m in ("L", "1", "LA", "I;16")] + [("tif", "F")]
)
def test_a_grey_image_is_refused_for_want_of_colour(suffix: str, mode: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new(mode, (40, 40)).save(path)
    refused(path, UnsupportedImageError, "without colour")


def test_sixteen_bit_grey_is_refused_and_floating_point_colour_too(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((40, 40), np.uint16), photometric="minisblack")
    refused(path, UnsupportedImageError, "16-bit image")
    tifffile.imwrite(path, np.zeros((40, 40, 3), np.float32), photometric="rgb")
    refused(path, UnsupportedImageError, "float32")


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_sixteen_bit_colour_is_scaled_by_the_bits_in_use(bits: int, tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture.astype(np.uint16) << (bits - 8), photometric="rgb", tile=(64, 64))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(0, 0, 420, 300)), picture)
        assert slide.notes == (f"{bits} significant bits scaled to 8",)


def test_a_cmyk_jpeg_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (64, 64), (200, 100, 150)).convert("CMYK").save(path, quality=98)
    assert np.abs(read_all(path).astype(int) - (200, 100, 150)).max() < 6


def test_a_cmyk_tiff_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.new("CMYK", (64, 64), (55, 155, 105, 0)).save(path)
    assert np.abs(read_all(path).astype(int) - (200, 100, 150)).max() < 2


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_what_is_transparent_becomes_white(suffix: str, tmp_path: Path) -> None:
    image = np.zeros((40, 40, 4), np.uint8)
    image[:, 20:] = (200, 0, 100, 255)
    image[:20, :20] = (200, 0, 100, 128)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image).save(path)
    pixels = read_all(path)
    assert tuple(pixels[30, 10]) == (255, 255, 255)
    assert tuple(pixels[30, 30]) == (200, 0, 100)
    assert np.abs(pixels[10, 10].astype(int) - (227, 127, 177)).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_is_looked_up(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (40, 40), (200, 100, 150)).quantize(4).save(path)
    assert np.abs(read_all(path).astype(int) - (200, 100, 150)).max() <= 1


@pytest.mark.parametrize("shift", [0, 8])
def test_a_palette_of_eight_bit_values_in_its_sixteen_bits_is_looked_up_too(shift: int, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    indices = np.tile(np.arange(256, dtype=np.uint8), (40, 1))
    colours = np.stack([np.arange(256), np.arange(256) // 2, np.full(256, 150)]).astype(np.uint16)
    tifffile.imwrite(path, indices, photometric="palette", colormap=colours << shift)
    np.testing.assert_array_equal(read_all(path), colours.astype(np.uint8).T[indices])


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_a_fourth_sample_that_is_not_called_opacity_is_left_out(planes: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = np.zeros((40, 40, 4), np.uint8)
    image[..., :3] = (200, 100, 150)
    stored = image if planes == "contig" else np.ascontiguousarray(np.moveaxis(image, -1, 0))
    for kind, seen in (("unspecified", (200, 100, 150)), ("unassalpha", (255, 255, 255))):
        tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planes, extrasamples=[kind])
        assert {tuple(pixel) for pixel in read_all(path).reshape(-1, 3).tolist()} == {seen}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_camera_held_askew_gives_an_upright_field(
    orientation: int, suffix: str, tmp_path: Path, picture: np.ndarray
) -> None:
    from PIL import ImageOps

    path = tmp_path / f"a.{suffix}"
    image = Image.fromarray(picture)
    if suffix == "tif":
        tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=16, extratags=[(274, "H", 1, orientation)])
    else:
        exif = image.getexif()
        exif[0x0112] = orientation
        image.save(path, exif=exif, quality=100, subsampling=0)
    image.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(image))
    with open_slide(path) as slide:
        assert (slide.info.size.height, slide.info.size.width) == upright.shape[:2]
        part = slide.read(Box(33, 41, 120, 90))
    assert np.abs(part.astype(int) - upright[41:131, 33:153]).mean() < 2


def bomb(path: Path, width: int, height: int) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize("side", [13_400, 20_000, 60_000])
def test_a_decompression_bomb_is_refused_before_it_goes_off(side: int, tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.png", side, side)
    refused(path, UnsupportedImageError, "megapixels")


def test_one_giant_compressed_strip_is_refused_with_the_remedy(
    tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smearscan.slide.tiff_page.MAX_SEGMENT_PX", 100_000)
    monkeypatch.setattr("smearscan.slide.tiff_page._ROWS_PX", 10_000)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=300, compression="zlib")
    with pytest.raises(UnsupportedImageError, match="tiled TIFF"):
        open_slide(path)
    tifffile.imwrite(path, picture, photometric="rgb", rowsperstrip=300)
    np.testing.assert_array_equal(read_all(path), picture)


def test_pages_that_are_no_pyramid_are_refused(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    for second in (picture, picture[:, :400]):
        with tifffile.TiffWriter(path) as writer:
            for page in (picture, second):
                writer.write(page, photometric="rgb", metadata=None)
        refused(path, UnsupportedImageError, "2 images of which none")


def test_a_label_beside_the_smear_is_passed_over(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in (picture[:50, :60], picture):
            writer.write(page, photometric="rgb", metadata=None)
    np.testing.assert_array_equal(read_all(path), picture)


def test_separate_channels_are_refused_as_fluorescence(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.zeros((4, 40, 40), np.uint8), photometric="minisblack", metadata={"axes": "CYX"})
    refused(path, UnsupportedImageError, "without colour|4 separate channels")


@pytest.mark.parametrize("name", ["with space.png", "smear 🩸 № 7.tif", "ümläut.bmp", "a'b\"c;$(d).png", "...png"])
def test_any_file_name_is_read(name: str, tmp_path: Path, picture: np.ndarray) -> None:
    (tmp_path / "sub").mkdir()
    Image.fromarray(picture).save(tmp_path / name, format={"tif": "tiff"}.get(name[-3:], name[-3:]))
    assert read_all(tmp_path / name).shape == picture.shape
    assert read_all(tmp_path / "sub" / ".." / name).shape == picture.shape


def test_black_is_read_and_left_to_be_judged(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    assert read_all(tmp_path / "a.png").max() == 0


def test_a_tile_left_out_of_the_file_is_white(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", tile=(64, 64), compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for tag in (324, 325):
            values = list(tif.pages[0].tags[tag].value)
            values[0] = 0
            tif.pages[0].tags[tag].overwrite(values)
    assert read_all(path)[:64, :64].min() == 255


def test_nothing_that_tifffile_grumbles_of_reaches_the_user(
    tmp_path: Path, picture: np.ndarray, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, picture, photometric="rgb", extratags=[(274, "s", 0, "up")])
    with caplog.at_level(logging.DEBUG):
        read_all(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UnreadableSlideError):
        open_slide(path)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
