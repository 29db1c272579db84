"""A network gets the window, background, resolution and size its card asks for, or the slide is refused."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from drawn_cells import disc, draw_crop
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.crops.mask import make_mask
from smearscan.crops.prepare import CardInput, apply_mask, low_pass, native_um_per_px, prepare_input
from smearscan.errors import UnsupportedImageError, WeightsError
from smearscan.geometry import Box
from smearscan.records import CellMask, Crop

CARD = CardInput(window_um=29.0, um_per_px=0.4, side_px=96, background="black", coarsest_um_per_px=0.55)
UM_PER_PX = 29 / 450


def _crop(level0_px: int = 290, pixels: np.ndarray | None = None) -> Crop:
    if pixels is None:
        pixels = np.random.default_rng(1).integers(0, 256, (450, 450, 3), dtype=np.uint8)
    return Crop(pixels, Box(0, 0, level0_px, level0_px), UM_PER_PX, False)


def _mask(diameter_um: float = 12.0) -> CellMask:
    return make_mask(disc(450, diameter_um / UM_PER_PX), disc(450, diameter_um / 2 / UM_PER_PX), UM_PER_PX)


@settings(max_examples=25, deadline=None)
@given(st.integers(24, 300), st.floats(0.07, 0.8), st.floats(10, 29), st.sampled_from(["black", "kept"]))
def test_every_card_gets_its_side(side: int, resolution: float, window: float, background: str) -> None:
    """Whatever the card's resolution and window."""
    card = CardInput(window, resolution, side, background, 1.0)  # type: ignore[arg-type]
    picture = prepare_input(_crop(), _mask(), card)
    assert picture.shape == (side, side, 3)
    assert picture.dtype == np.uint8


def test_black_leaves_only_the_cell() -> None:
    """The corners are black, the middle is not; with the background kept both are lit."""
    crop = _crop(pixels=np.full((450, 450, 3), 180, np.uint8))
    black = prepare_input(crop, _mask(), CARD)
    kept = prepare_input(crop, _mask(), dataclasses.replace(CARD, background="kept"))
    assert (black[:20, :20] == 0).all()
    assert (black[48, 48] == 180).all()
    assert (kept == 180).all()


def test_a_sharp_crop_is_filtered_to_the_cards_resolution() -> None:
    """Noise of single pixels, which a coarse network has never seen, is averaged away."""
    sharp = dataclasses.replace(CARD, background="kept", um_per_px=0.05, side_px=450)
    coarse = dataclasses.replace(sharp, um_per_px=0.5)
    assert prepare_input(_crop(), _mask(), sharp).std() > 60
    assert prepare_input(_crop(), _mask(), coarse).std() < 20


def test_a_softened_cell_loses_its_grain_and_keeps_its_edge_and_colour() -> None:
    """The black around it does not darken its rim; outside stays black."""
    noise = np.random.default_rng(1).integers(120, 201, (450, 450, 3), dtype=np.uint8)
    fine = dataclasses.replace(CARD, um_per_px=UM_PER_PX, side_px=450)
    sharp = prepare_input(_crop(pixels=noise), _mask(), fine)
    soft = prepare_input(_crop(pixels=noise), _mask(), dataclasses.replace(fine, softened_um=0.4))
    cell = _mask().cell
    assert (soft[~cell] == 0).all() and (soft[cell] > 0).all()
    assert soft[cell].std() < 0.15 * sharp[cell].std()
    assert soft[cell].mean() == pytest.approx(160, abs=1.5)
    coarse = dataclasses.replace(fine, um_per_px=0.2)  # kept on as many pixels as before: as soft in µm
    assert prepare_input(_crop(pixels=noise), _mask(), dataclasses.replace(coarse, softened_um=0.4))[cell].std() < 6
    rim = cell & ~cv2.erode(cell.astype(np.uint8), np.ones((3, 3))).astype(bool)
    assert soft[rim].mean() == pytest.approx(160, abs=2)


def test_what_is_softened_is_as_good_interpolated_as_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrunk by no more than a third; the network of blasts is shown a cell within a grey level of what it was."""
    drawn = draw_crop(13.0, 9.0)
    pixels = cv2.resize(drawn.pixels, (128, 128), interpolation=cv2.INTER_AREA)
    crop = Crop(pixels, Box(0, 0, 290, 290), 29 / 128, False)
    cell = disc(128, 13.0 / crop.um_per_px)
    mask = make_mask(cell, cell, crop.um_per_px)
    asked = CardInput(20.0, 20.0 / 64, 64, "black", 0.62, softened_um=0.4)
    fast = prepare_input(crop, mask, asked).astype(int)
    monkeypatch.setattr("smearscan.crops.prepare._LEAST_INTERPOLATED", 2.0)
    slow = prepare_input(crop, mask, asked).astype(int)
    inside = (fast > 0) & (slow > 0)
    assert (fast != slow).any()
    assert np.abs(fast - slow)[inside].mean() < 1
    assert ((fast > 0) != (slow > 0)).mean() < 0.01


def test_low_pass_keeps_the_mean_and_does_not_sharpen() -> None:
    """Area averaging; a coarser picture stays as it is."""
    pixels = _crop().pixels
    small = low_pass(pixels, 0.1, 0.3)
    assert small.shape == (150, 150, 3)
    assert small.mean() == pytest.approx(pixels.mean(), abs=0.6)
    assert low_pass(pixels, 0.4, 0.3) is pixels


def test_a_smaller_window_shows_the_cell_larger() -> None:
    """Half the window, the same side: the cell covers about four times the area."""
    crop = _crop(pixels=np.full((450, 450, 3), 180, np.uint8))
    whole = prepare_input(crop, _mask(), CARD)
    half = prepare_input(crop, _mask(), dataclasses.replace(CARD, window_um=14.5))
    assert (half[..., 0] > 90).sum() == pytest.approx(4 * (whole[..., 0] > 90).sum(), rel=0.1)


def test_a_slide_coarser_than_the_card_can_bear_is_refused_by_name() -> None:
    """29 µm on 30 px is nearly 1 µm/px."""
    with pytest.raises(UnsupportedImageError, match=r"ward 7\.tif has 0\.967 µm/px, coarser than the 0\.55"):
        prepare_input(_crop(level0_px=30), _mask(), CARD, "ward 7.tif")


def test_a_slide_at_the_limit_is_taken() -> None:
    """The limit itself still counts."""
    card = dataclasses.replace(CARD, coarsest_um_per_px=29 / 53)
    assert prepare_input(_crop(level0_px=53), _mask(), card).any()


def test_a_window_larger_than_the_crop_is_an_error() -> None:
    """It is never stretched in silence."""
    with pytest.raises(ValueError, match=r"2\.0\d? times the crop"):
        prepare_input(_crop(), _mask(), dataclasses.replace(CARD, window_um=58.0))


def test_the_slides_own_resolution_is_read_from_the_window() -> None:
    """A crop enlarged from 58 px is no sharper than the slide."""
    assert native_um_per_px(_crop(level0_px=58)) == pytest.approx(0.5)


@pytest.mark.parametrize("key", ["window_um", "um_per_px", "side_px", "background", "coarsest_um_per_px"])
def test_a_card_without_a_key_is_named(key: str) -> None:
    """The reader of the card learns which."""
    table = {k: v for k, v in dataclasses.asdict(CARD).items() if k != key} | {"mean": [0.5]}
    with pytest.raises(WeightsError, match=key):
        CardInput.from_table(table)


def test_a_card_is_read_from_its_table() -> None:
    """Keys for other readers are left alone; nonsense is refused."""
    assert CardInput.from_table(dataclasses.asdict(CARD) | {"mean": [0.5]}) == CARD
    with pytest.raises(WeightsError, match="background"):
        CardInput.from_table(dataclasses.asdict(CARD) | {"background": "white"})
    with pytest.raises(WeightsError, match="positive"):
        CardInput.from_table(dataclasses.asdict(CARD) | {"um_per_px": 0.0})


def test_a_mask_changes_nothing_inside_the_cell() -> None:
    """And everything outside is black."""
    pixels, cell = _crop().pixels, disc(450, 200)
    masked = apply_mask(pixels, cell)
    assert (masked[cell] == pixels[cell]).all()
    assert not masked[~cell].any()
