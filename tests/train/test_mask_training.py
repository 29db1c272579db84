"""Training windows keep picture and label together, are the same for the same seed, and can be learnt from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.crops.mask import CellSegmenter, load_segmenter
from smearscan.crops.network import CellMaskNet
from smearscan.train.cells import SOURCES, CellTable
from smearscan.train.mask_data import (
    LabelledCell,
    MaskSource,
    draw_window,
    label_cell,
    make_field,
    read_labelled,
)
from smearscan.train.mask_sources import read_fields, split_cells
from smearscan.train.mask_stain import anchors_of_cell, draw_target, map_stain, to_density, to_rgb
from smearscan.train.mask_taught import TaughtCells, taught_cells
from smearscan.train.masks import MaskRecipe, dice, mask_loss, train_masks, upright_window

GLASS, PLASM, CHROMATIN = (240, 232, 220), (170, 168, 214), (92, 52, 142)


def _disc(side: int, diameter: float, x: float | None = None) -> np.ndarray:
    ys, xs = np.mgrid[:side, :side]
    return np.hypot(xs - (side / 2 if x is None else x), ys - side / 2) <= diameter / 2


def _cell() -> LabelledCell:
    whole, nucleus = _disc(160, 90), _disc(160, 60, 72)
    picture = np.full((160, 160, 3), GLASS, np.uint8)
    picture[whole], picture[nucleus] = PLASM, CHROMATIN
    noisy = picture + np.random.default_rng(3).normal(0, 3, picture.shape)
    return label_cell("drawn", np.clip(noisy, 0, 255).astype(np.uint8), whole, nucleus)


def _source() -> MaskSource:
    field = np.full((200, 200, 3), GLASS, np.uint8)
    for x in range(20, 200, 36):
        cv2.circle(field, (x, 60), 14, (214, 168, 160), -1)
    cv2.circle(field, (150, 140), 22, CHROMATIN, -1)
    made = make_field(field, 0.25)
    assert made is not None
    return MaskSource([_cell()], [made])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_a_window_is_a_picture_with_its_label(seed: int) -> None:
    """Shapes and classes, whatever was drawn; every nucleus lies within a cell that is not torn from the middle."""
    rgb, label = draw_window(_source(), np.random.default_rng(seed))
    assert rgb.shape == (128, 128, 3)
    assert rgb.dtype == np.uint8
    assert label.shape == (128, 128)
    assert set(np.unique(label)) <= {0, 1, 2}
    if label.any():
        ys, xs = np.nonzero(label)
        assert np.hypot(xs.mean() - 63.5, ys.mean() - 63.5) < 30


def test_the_same_seed_draws_the_same_window() -> None:
    """To the byte."""
    one, two = (draw_window(_source(), np.random.default_rng(9)) for _ in range(2))
    assert (one[0] == two[0]).all()
    assert (one[1] == two[1]).all()


def test_only_the_largest_piece_of_a_drawn_mask_is_the_cell() -> None:
    """A second cell in a picture is background."""
    whole = _disc(160, 60, 60) | _disc(160, 20, 140)
    made = label_cell("two", np.full((160, 160, 3), 200, np.uint8), whole, whole)
    assert (made.masks[0][..., 0] > 0.5).sum() == _disc(160, 60, 60).sum()
    assert made.centre == pytest.approx((60, 80), abs=0.5)
    assert made.diameter == pytest.approx(60, rel=0.01)


def test_restaining_moves_each_part_onto_its_target() -> None:
    """With hard parts and gain 1, the mean of a part is the target's."""
    cell = _cell()
    whole, nucleus = cell.masks[0][..., 0], cell.masks[0][..., 1]
    anchors = anchors_of_cell(cell.pictures[0], whole > 0.5, nucleus > 0.5)
    target = draw_target(_source().fields[0].anchors, anchors, np.random.default_rng(0))
    parts = np.dstack([1 - whole, np.zeros_like(whole), whole - nucleus, nucleus])
    moved = map_stain(to_density(cell.pictures[0]), parts, anchors, target, np.ones(4, np.float32))
    assert moved[nucleus > 0.5].mean(axis=0) == pytest.approx(target.nucleus, abs=0.02)
    assert moved[(whole > 0.5) & (nucleus < 0.5)].mean(axis=0) == pytest.approx(target.cytoplasm, abs=0.02)


def test_density_and_back_is_the_same_picture() -> None:
    """Every grey level but black, which has none."""
    levels = np.arange(1, 256, dtype=np.uint8).reshape(1, -1, 1).repeat(3, axis=2)
    assert (to_rgb(to_density(levels)) == levels).all()


def test_a_few_steps_lower_the_loss_and_write_weights_that_load(tmp_path: Path) -> None:
    """The same recipe twice gives the same bytes."""
    losses: list[float] = []
    recipe = MaskRecipe(n_steps=12, batch_size=4, save_every=4)
    for name in ("a", "b"):
        train_masks(_source(), recipe, tmp_path / name, lambda step, loss, seconds: losses.append(loss), n_workers=0)
    assert losses[2] < losses[0]
    assert losses[:3] == losses[3:]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert isinstance(load_segmenter(tmp_path / "a"), CellSegmenter)


def test_going_on_leaves_the_norms_as_they_are(tmp_path: Path) -> None:
    """Whole windows and their middles differ in their means: normed each by its own, they would not run alike."""
    start, recipe = CellMaskNet(), MaskRecipe(n_steps=4, batch_size=4)
    before = {name: value.clone() for name, value in start.state_dict().items()}
    after = train_masks(_source(), recipe, tmp_path / "more", n_workers=0, start=start).state_dict()
    kept = [name for name in before if "running" in name]
    assert kept and all(torch.equal(before[name], after[name]) for name in kept)
    assert not torch.equal(before["head.weight"], after["head.weight"])


def _taught() -> TaughtCells:
    whole, nucleus = _disc(128, 50), _disc(128, 16, 78)
    window = np.full((128, 128, 3), GLASS, np.uint8)
    window[whole], window[nucleus] = PLASM, CHROMATIN
    label = whole.astype(np.uint8) + nucleus
    return TaughtCells(window[None], label[None], np.array([1.0]))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_a_taught_cell_is_moved_with_its_outline(seed: int) -> None:
    """However it was turned, enlarged or degraded: the darkest pixels of the cell are those labelled nucleus."""
    rgb, label = _taught().draw(np.random.default_rng(seed))
    again, same = _taught().draw(np.random.default_rng(seed))
    assert (rgb == again).all() and (label == same).all()
    assert set(np.unique(label)) == {0, 1, 2}
    green = cv2.GaussianBlur(rgb[..., 1], (0, 0), 1.5).astype(float)
    darkest = (label > 0) & (green <= np.quantile(green[label > 0], (label == 2).sum() / (label > 0).sum()))
    assert dice(darkest, label == 2) > 0.7


def test_only_cells_that_nothing_is_measured_on_are_taught_by_source_alike() -> None:
    """Those outlined by hand are left out; so are test blocks, gaps, and the last fifth of every other laboratory."""
    names = ["Pre"] * 4 + ["pbc"] * 10 + ["seg1"] * 2
    n = len(names)
    table = CellTable(
        windows=np.zeros((n, 128, 128, 3), np.uint8),
        masks=np.arange(n, dtype=np.uint8)[:, None, None] * np.ones((1, 128, 128), np.uint8),
        sources=np.array([SOURCES.index(name) for name in names]),
        types=np.full(n, "lymphocyte"),
        readings=np.zeros(n, int),
        blocks=np.array([0, 0, 1, -1] + [0] * 12),
        orders=np.arange(n),
        stains=np.full(n, -1),
        measures=np.zeros((n, 5), np.float32),
    )
    taught = taught_cells(table)
    assert taught.labels[:, 0, 0].tolist() == [0, 1, *range(4, 12)]
    assert taught.chances == pytest.approx([1 / 4] * 2 + [1 / 16] * 8)


def test_training_with_taught_cells_repeats(tmp_path: Path) -> None:
    recipe = MaskRecipe(n_steps=2, batch_size=4, save_every=2)
    for name in ("a", "b"):
        train_masks(_source(), recipe, tmp_path / name, n_workers=0, taught=_taught())
    train_masks(_source(), recipe, tmp_path / "c", n_workers=0)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_a_perfect_answer_has_no_loss_and_a_wrong_one_has() -> None:
    """Cross entropy and both Dice terms."""
    labels = torch.from_numpy((_disc(32, 20).astype(np.int64) + _disc(32, 10))[None])
    perfect = torch.nn.functional.one_hot(labels, 3).permute(0, 3, 1, 2).float() * 40
    assert float(mask_loss(perfect, labels)) < 1e-3
    assert float(mask_loss(perfect.flip(1), labels)) > 5


def test_an_upright_window_has_the_diameter_asked_for() -> None:
    """12 µm are 53 px of the window."""
    _, masks = upright_window(_cell(), 12.0)
    assert 2 * np.sqrt(masks[..., 0].sum() / np.pi) * 29 / 128 == pytest.approx(12, rel=0.02)


def test_dice_of_nothing_and_nothing_is_one() -> None:
    """And of disjoint masks zero."""
    empty = np.zeros((4, 4), bool)
    assert dice(empty, empty) == 1
    assert dice(empty, ~empty) == 0
    assert dice(~empty, ~empty) == 1


def test_hand_drawn_masks_are_read_with_their_pictures(shared_data: Path) -> None:
    """81 of the second set; every nucleus lies in its cell."""
    cells = read_labelled(shared_data / "segmentation_wbc" / "dataset2")
    assert len(cells) == 81
    assert all((cell.masks[0][..., 1] <= cell.masks[0][..., 0]).all() for cell in cells)


def test_held_out_cells_are_never_trained_with(shared_data: Path) -> None:
    """61 of the 307 pictures, by name."""
    cells, held_out = split_cells(shared_data / "segmentation_wbc")
    assert len(held_out) == 61
    assert {cell.name for cell in cells}.isdisjoint(cell.name for cell in held_out)
    assert len({cell.name for cell in cells}) == 307 - 61


def test_fields_of_three_sources_are_read(shared_data: Path) -> None:
    """Each with a stain that can be told apart and room for a cell."""
    fields = read_fields(shared_data, n_a_source=6)
    assert {field.um_per_px for field in fields} == {0.45, 0.21, 0.2}
    assert all(field.room.shape == field.rgb.shape[:2] for field in fields)
    assert all(field.anchors.nucleus.sum() > field.anchors.glass.sum() for field in fields)
