"""A card may ask for the cell's nucleus in place of blue: on the same grid, in training as at run time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from smearscan.crops.mask import make_mask
from smearscan.cut_cells import network_pictures, picture_key
from smearscan.geometry import Box
from smearscan.models import InputCard, create_model
from smearscan.models.infer import standardise
from smearscan.records import CellMask, Crop
from smearscan.train.celltype import INPUT, without_blue
from smearscan.train.restain import Restainer, Strength
from smearscan.train.windows import masked_pictures, nucleus_pictures

UM_PER_PX = 29 / 128
PLAIN = InputCard(window_um=24.0, um_per_px=0.25, side_px=96, background="black", stain="cell")
SHOWN = PLAIN.model_copy(update={"third": "nucleus", "mean": (0.5,) * 3, "sd": (0.2, 0.2, 0.5)})
STILL = Strength(scale=0.0, blur_px=0.0, mix=0.0, gain=0.0, offset=0.0)


def _cell(shift_px: int = 0) -> tuple[Crop, CellMask]:
    """A round cell of 12 µm whose nucleus, 6 µm, lies `shift_px` to the right of the middle."""
    axis = np.arange(128) - 63.5
    cell = np.hypot(axis[None], axis[:, None]) * UM_PER_PX < 6
    nucleus = np.hypot(axis[None] - shift_px, axis[:, None]) * UM_PER_PX < 3
    rgb = np.full((128, 128, 3), 230, np.uint8)
    rgb[cell], rgb[nucleus] = (190, 170, 210), (90, 60, 150)
    return Crop(rgb, Box(0, 0, 128, 128), UM_PER_PX, False), make_mask(cell, nucleus, UM_PER_PX)


def _pictures(card: InputCard, *cells: tuple[Crop, CellMask]) -> np.ndarray:
    return network_pictures([card], [crop for crop, _ in cells], [mask for _, mask in cells])[picture_key(card)]


def test_the_nucleus_stands_in_blues_place_and_changes_no_other_colour() -> None:
    cells = _cell(), _cell(8)
    shown, plain = _pictures(SHOWN, *cells), _pictures(PLAIN, *cells)
    assert shown.shape == plain.shape == (2, 96, 96, 3)
    assert np.array_equal(shown[..., :2], plain[..., :2])
    assert not np.array_equal(shown[..., 2], plain[..., 2])
    assert picture_key(SHOWN) != picture_key(PLAIN)


def test_the_channel_is_full_inside_the_nucleus_and_empty_away_from_it() -> None:
    channel = _pictures(SHOWN, _cell())[0, ..., 2]
    assert channel[48, 48] == 255
    assert (channel[:30] == 0).all()
    assert channel.mean() / 255 == pytest.approx(np.pi * 9 / 24**2, rel=0.05)
    columns = _pictures(SHOWN, _cell(8))[0, ..., 2].sum(0)
    assert np.average(np.arange(96), weights=columns) == pytest.approx(47.5 + 8 * UM_PER_PX / 0.25, abs=0.3)


def test_a_cell_without_a_nucleus_shows_none() -> None:
    crop, mask = _cell()
    bare = make_mask(mask.cell, np.zeros_like(mask.cell), UM_PER_PX)
    assert not _pictures(SHOWN, (crop, bare))[..., 2].any()


def test_a_whole_image_has_no_nucleus_to_show() -> None:
    with pytest.raises(ValidationError, match="nucleus"):
        InputCard(window_um=29.0, um_per_px=0.3, side_px=32, background="kept", takes="image", third="nucleus")


def test_a_network_that_was_shown_blue_begins_by_seeing_nothing_in_the_nucleus() -> None:
    torch.manual_seed(0)
    model = create_model("vgg16_eca", 3, width=0.125, head="gap", batch_norm=True).eval()
    images = torch.randn(2, 3, 96, 96)
    other = torch.cat([images[:, :2], torch.randn(2, 1, 96, 96)], 1)
    assert not torch.allclose(model(images), model(other))
    without_blue(model)
    assert torch.equal(model(images), model(other))


def _five(shift_px: int) -> torch.Tensor:
    crop, mask = _cell(shift_px)
    outline = (mask.cell.astype(np.uint8) + mask.nucleus)[None]
    masked = masked_pictures(crop.pixels[None], outline, INPUT.window_um, INPUT.side_px)
    five = np.concatenate([masked, nucleus_pictures(outline, INPUT.window_um, INPUT.side_px)[..., None]], axis=3)
    return torch.from_numpy(five).permute(0, 3, 1, 2)


def test_training_turns_the_nucleus_with_its_cell() -> None:
    """Whatever was drawn, the channel is high where the picture is densest."""
    pictures = _five(8).repeat(24, 1, 1, 1)
    made = Restainer(1, shows_nucleus=True)(pictures, STILL)
    assert made.shape == (24, 3, 96, 96)
    inside = made[:, 2] > 0.5
    is_shown = inside.flatten(1).any(1)
    assert 15 < int(is_shown.sum()) < 24  # a tenth is missed on purpose
    for picture, nucleus in zip(made[is_shown], inside[is_shown], strict=True):
        assert picture[0][nucleus].mean() > picture[0][~nucleus].max() - 1.0
    colours = Restainer(1)(pictures[:, :4], STILL)
    assert torch.equal(colours[:, :2], made[:, :2])
    assert not torch.equal(colours[:, 2], made[:, 2])


class _Unmoved(Restainer):
    """Leaves every cell where it lies, so that it can be laid upon the picture of run time."""

    def _move(self, x: torch.Tensor, scale: float, shrinks: torch.Tensor | None = None) -> torch.Tensor:
        return x


def test_what_training_shows_of_a_nucleus_is_what_runs() -> None:
    """But where it was drawn wider, narrower or missed on purpose: four in ten."""
    at_run = standardise(torch.from_numpy(_pictures(INPUT, _cell(8))), INPUT)[0, 2]
    made = _Unmoved(2, shows_nucleus=True)(_five(8).repeat(48, 1, 1, 1), STILL)[:, 2]
    is_alike = (made - at_run).abs().amax((1, 2)) < 0.02
    assert 0.4 < is_alike.float().mean() < 0.9
