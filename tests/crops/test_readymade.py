"""A picture that somebody else cut becomes the crop a live cell would have been, and what was assumed is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from drawn_cells import disc, draw_crop, draw_smear

from smearscan.crops.mask import CellSegmenter, load_segmenter
from smearscan.crops.measure import measure_cell
from smearscan.crops.readymade import (
    ReadyMade,
    frame_picture,
    measure_diameter_px,
    nucleus_by_threshold,
    outline_framed,
)
from smearscan.errors import UnsupportedImageError


@pytest.fixture(scope="module")
def segmenter() -> CellSegmenter:
    """The shipped weights."""
    return load_segmenter()


def read_ready_made(rgb: np.ndarray, segmenter: CellSegmenter, **known: Any) -> ReadyMade:
    """One picture framed and outlined by itself."""
    return outline_framed([frame_picture(rgb, segmenter, **known)], segmenter)[0]


def _on_black(side: int, um_per_px: float, cell_um: float) -> np.ndarray:
    picture = draw_smear(side, um_per_px, [(side / 2, side / 2, cell_um, cell_um - 3)])
    return picture * disc(side, cell_um / um_per_px)[..., None]


def _diameter(made: ReadyMade) -> float:
    return measure_cell(made.mask, made.crop.um_per_px)["cell_diameter_um"]


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("on_black", [False, True])
def test_a_given_scale_is_kept(segmenter: CellSegmenter, um_per_px: float, on_black: bool) -> None:
    """A 13 µm cell measures 13 µm whatever the size of its picture."""
    side = round(24 / um_per_px)
    picture = draw_smear(side, um_per_px, [(side / 2, side / 2, 13, 10)])
    if on_black:
        picture = _on_black(side, um_per_px, 13)
    made = read_ready_made(picture, segmenter, um_per_px=um_per_px)
    assert made.crop.pixels.shape == (450, 450, 3)
    assert made.has_scale
    assert made.is_on_black is on_black
    assert _diameter(made) == pytest.approx(13, rel=0.09)


def test_a_given_cell_diameter_sets_the_scale(segmenter: CellSegmenter) -> None:
    """The cell on black measures what it was said to."""
    made = read_ready_made(_on_black(200, 0.12, 13), segmenter, cell_um=16.0)
    assert made.has_scale
    assert "16 µm" in made.notes[0]
    assert _diameter(made) == pytest.approx(16, rel=0.02)


def test_450_px_on_black_is_taken_at_cnmcs_scale_untouched(segmenter: CellSegmenter) -> None:
    """Its pixels stay as they are and the cell keeps its size."""
    picture = _on_black(450, 29 / 450, 10)
    made = read_ready_made(picture, segmenter)
    assert (made.crop.pixels == picture).all()
    assert made.has_scale
    assert "C-NMC" in made.notes[0]
    assert _diameter(made) == pytest.approx(10, rel=0.03)


def test_450_px_on_black_with_an_impossible_cell_is_no_cnmc_picture(segmenter: CellSegmenter) -> None:
    """A cell that fills it would be 28 µm: the scale is assumed, and told so."""
    made = read_ready_made(_on_black(450, 12 / 430, 12), segmenter)
    assert not made.has_scale
    assert "no scale" in made.notes[0]
    assert _diameter(made) == pytest.approx(12, rel=0.03)


@pytest.mark.parametrize(("side", "um_per_px"), [(90, 0.25), (230, 0.1), (500, 0.07)])
def test_without_a_scale_the_cell_is_taken_for_a_typical_one(
    segmenter: CellSegmenter, side: int, um_per_px: float
) -> None:
    """With background, the network finds the cell at any magnification; the note says that its size was assumed."""
    picture = draw_smear(side, um_per_px, [(side / 2, side / 2, 13, 10)])
    made = read_ready_made(picture, segmenter)
    assert not made.has_scale
    assert "taken as 12 µm" in made.notes[0]
    assert _diameter(made) == pytest.approx(12, rel=0.15)


def test_a_cell_is_measured_in_pixels_at_any_magnification(segmenter: CellSegmenter) -> None:
    """Within a tenth, without a scale."""
    for um_per_px in (0.08, 0.15, 0.3):
        side = round(26 / um_per_px)
        picture = draw_smear(side, um_per_px, [(side / 2, side / 2, 13, 10)])
        assert measure_diameter_px(picture, segmenter) == pytest.approx(13 / um_per_px, rel=0.12)


def test_the_diameter_is_the_one_that_most_widths_agree_on(segmenter: CellSegmenter) -> None:
    """Shown a cell too closely the network outlines pieces of its nucleus: of four sizes, against two that agree."""
    true_px, side = 75.0, 128
    pieces_px = iter([21.0, 25.5, 31.0, 38.0])

    class Told:
        plan = segmenter.plan

        def chances(self, windows: np.ndarray) -> np.ndarray:
            out = np.zeros((*windows.shape[:3], 2), np.float32)
            for i in range(len(windows)):
                width_um = 10.0 * 1.19**i
                fine_px = side * (29 / 128) / width_um  # px of the picture that one of the window's shows
                whole_um = true_px * width_um / side
                if 10 < whole_um < 15.5:
                    out[i] = disc(128, true_px / fine_px)[..., None]
                elif 30 < whole_um < 65 and (piece := next(pieces_px, None)):
                    out[i] = disc(128, piece / fine_px)[..., None]
            return out

    picture = np.full((side, side, 3), 200, np.uint8)
    assert measure_diameter_px(picture, Told()) == pytest.approx(true_px, rel=0.05)  # type: ignore[arg-type]
    assert next(pieces_px, None) is None


def test_an_oblong_picture_becomes_a_square_crop_and_says_it_was_padded(segmenter: CellSegmenter) -> None:
    """Black around a cell on black, white elsewhere."""
    black = read_ready_made(_on_black(200, 0.1, 12)[20:180], segmenter, um_per_px=0.1)
    assert black.crop.is_padded
    assert not black.crop.pixels[0].any()
    light = read_ready_made(draw_smear(200, 0.1, [(100, 80, 12, 9)])[:160], segmenter, um_per_px=0.1)
    assert light.crop.is_padded
    assert (light.crop.pixels[0] == 255).all()


def test_a_cell_on_black_off_the_middle_is_centred(segmenter: CellSegmenter) -> None:
    """Its rectangle's middle becomes the crop's."""
    picture = np.roll(_on_black(300, 0.1, 10), (40, -60), axis=(0, 1))
    made = read_ready_made(picture, segmenter, um_per_px=0.1)
    ys, xs = np.nonzero(made.mask.cell)
    assert abs(xs.mean() - 224.5) < 4
    assert abs(ys.mean() - 224.5) < 4


def test_a_red_cell_that_hangs_on_a_cell_on_black_is_left_out(segmenter: CellSegmenter) -> None:
    """And told; the cell itself stays whole."""
    alone = _on_black(450, 29 / 450, 12)
    picture = alone.copy()
    red_cell = np.roll(disc(450, 100), (0, 140), axis=(0, 1)) & ~alone.any(axis=2)
    picture[red_cell] = (150, 90, 100)
    made = read_ready_made(picture, segmenter)
    assert (made.mask.cell & red_cell).sum() < 0.3 * red_cell.sum()
    assert (made.mask.cell & alone.any(axis=2)).sum() > 0.98 * alone.any(axis=2).sum()
    assert "hangs" in made.notes[1]


def test_a_cell_on_black_that_the_network_does_not_see_is_kept(segmenter: CellSegmenter) -> None:
    """A grey disc is no cell to the network, but somebody cut it out: all of it counts, its nucleus by threshold."""
    picture = np.zeros((450, 450, 3), np.uint8)
    picture[np.roll(disc(450, 150), 120, axis=1)] = 100
    made = read_ready_made(picture, segmenter)
    assert (made.mask.cell == np.roll(disc(450, 150), 120, axis=1)).all()
    assert "threshold" in made.notes[-1]


def test_a_picture_is_outlined_alike_whatever_its_company(segmenter: CellSegmenter) -> None:
    """To the last pixel, nineteen together, cells on black and with background beside each other."""
    pictures = [draw_smear(200, 0.14, [(100, 100, 9 + 0.4 * i, 7 + 0.3 * i)]) for i in range(12)]
    pictures += [_on_black(180, 0.15, 10 + i) for i in range(7)]
    framed = [frame_picture(picture, segmenter, um_per_px=0.145) for picture in pictures]
    for picture, together in zip(pictures, outline_framed(framed, segmenter), strict=True):
        alone = read_ready_made(picture, segmenter, um_per_px=0.145)
        assert (together.mask.cell == alone.mask.cell).all() and (together.mask.nucleus == alone.mask.nucleus).all()
        assert together.notes == alone.notes and together.mask.area_um2 > 0
    assert outline_framed([], segmenter) == []


def test_no_cell_is_told(segmenter: CellSegmenter) -> None:
    """An empty picture yields an empty mask and two notes."""
    made = read_ready_made(np.full((120, 120, 3), 230, np.uint8), segmenter)
    assert made.mask.area_um2 == 0
    assert "no cell to measure" in made.notes[0]
    assert "no cell found" in made.notes[1]


@pytest.mark.parametrize("um_per_px", [1e-5, 8.0, float("inf")])
def test_a_scale_that_cannot_be_is_refused(segmenter: CellSegmenter, um_per_px: float) -> None:
    """Rather than a picture of gigabytes or of one pixel."""
    with pytest.raises(UnsupportedImageError, match=r"odd\.png"):
        read_ready_made(draw_crop().pixels, segmenter, um_per_px=um_per_px, name="odd.png")


def test_a_picture_of_a_few_pixels_is_refused(segmenter: CellSegmenter) -> None:
    """By name."""
    with pytest.raises(UnsupportedImageError, match=r"dot\.png"):
        read_ready_made(np.zeros((5, 40, 3), np.uint8), segmenter, name="dot.png")


def test_a_nucleus_by_threshold_is_the_darker_part() -> None:
    """In red light, inside the cell only."""
    picture = draw_smear(200, 0.1, [(100, 100, 14, 9)])
    cell = disc(200, 140)
    found = nucleus_by_threshold(picture, cell)
    truth = disc(200, 90)
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.95
    assert not nucleus_by_threshold(picture, np.zeros((200, 200), bool)).any()


def test_real_cnmc_pictures_keep_their_scale(segmenter: CellSegmenter, shared_data: Path) -> None:
    """Every third of the 42: black, 450 px, a cell of 6 to 20 µm with a nucleus that fills most of it."""
    files = sorted((shared_data / "cnmc" / "sample").glob("*.bmp"))[::3]
    made = [read_ready_made(cv2.imread(str(file))[..., ::-1].copy(), segmenter) for file in files]
    assert len(made) == 14
    assert all(one.is_on_black and one.has_scale for one in made)
    sizes = [_diameter(one) for one in made]
    assert min(sizes) > 6
    assert max(sizes) < 20
    ratios = [one.mask.nucleus_area_um2 / one.mask.area_um2 for one in made]
    assert np.median(ratios) > 0.6
