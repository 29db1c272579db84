"""The mask is that of the middle cell alone, empty where there is none, and the same however it is batched."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn_cells import disc, draw_crop, draw_smear
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.crops.mask import (
    CellSegmenter,
    central_cell,
    is_on_black,
    load_segmenter,
    make_mask,
    mask_from_black,
    network_window,
    segment_cells,
)
from smearscan.crops.network import CellMaskNet, MaskNetPlan, folded
from smearscan.errors import WeightsError
from smearscan.geometry import Box
from smearscan.records import Crop


@pytest.fixture(scope="module")
def segmenter() -> CellSegmenter:
    """The shipped weights."""
    return load_segmenter()


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize(("cell_um", "nucleus_um"), [(8.5, 7.0), (13.0, 9.0), (18.0, 12.0)])
def test_a_drawn_cell_is_outlined(segmenter: CellSegmenter, cell_um: float, nucleus_um: float) -> None:
    """Small, middling and large cells, none of which the network has seen."""
    crop = draw_crop(cell_um, nucleus_um)
    (mask,) = segment_cells(segmenter, [crop])
    assert _dice(mask.cell, disc(450, cell_um / crop.um_per_px)) > 0.88
    assert _dice(mask.nucleus, disc(450, nucleus_um / crop.um_per_px)) > 0.85
    assert mask.area_um2 == pytest.approx(mask.cell.sum() * crop.um_per_px**2)
    assert not (mask.nucleus & ~mask.cell).any()


def test_the_mask_is_that_of_the_middle_cell_alone(segmenter: CellSegmenter) -> None:
    """A leukocyte that touches it stays outside."""
    um_per_px = 29 / 450
    pixels = draw_smear(450, um_per_px, [(225 + 12.5 / um_per_px, 225, 12, 10), (225, 225, 12, 10)])
    (mask,) = segment_cells(segmenter, [Crop(pixels, Box(0, 0, 450, 450), um_per_px, False)])
    assert _dice(mask.cell, disc(450, 12 / um_per_px)) > 0.85
    assert mask.cell[:, 350:].mean() < 0.05


def test_results_do_not_depend_on_the_batch(segmenter: CellSegmenter) -> None:
    """To the last bit: every batch is filled up to one shape."""
    windows = np.random.default_rng(0).integers(0, 256, (37, 128, 128, 3), dtype=np.uint8)
    together = segmenter.chances(windows)
    assert together.dtype == np.float32
    assert (together[36] == segmenter.chances(windows[36:])[0]).all()
    assert (together[:3] == segmenter.chances(windows[:3])).all()


def test_outlines_are_where_chances_are_above_one_half(segmenter: CellSegmenter) -> None:
    """Pixel for pixel, whatever fills the batch: on noise many chances lie close to it."""
    noise = np.random.default_rng(1).integers(0, 256, (11, 128, 128, 3), dtype=np.uint8)
    drawn = [network_window(draw_crop(um, um - 2).pixels, 29 / 450, segmenter.plan) for um in (8.0, 12.0, 17.0)]
    windows = np.concatenate([noise, np.stack(drawn)])
    chances = segmenter.chances(windows)
    outlines = segmenter.outlines(windows)
    assert outlines.shape == (14, 2, 128, 128)
    assert (outlines == (chances > 0.5).transpose(0, 3, 1, 2)).all()
    assert outlines[-1].any(axis=(1, 2)).all()


@pytest.mark.parametrize(("cell_um", "nucleus_um"), [(8.5, 7.0), (13.0, 9.0), (15.5, 11.0)])
def test_of_a_cell_that_lies_well_inside_the_middle_says_as_much_as_the_whole_window(
    segmenter: CellSegmenter, cell_um: float, nucleus_um: float
) -> None:
    """It is all that is looked at: what lies beyond it may be anything."""
    crop = _at_own_scale(draw_crop(cell_um, nucleus_um))
    whole, middle = (segment_cells(segmenter, [crop], [side])[0] for side in (29.0, cell_um))
    assert _dice(middle.cell, whole.cell) > 0.95
    assert _dice(middle.nucleus, whole.nucleus) > 0.92
    beyond = crop.pixels.copy()
    beyond[:10] = beyond[:, -10:] = 0
    (unmoved,) = segment_cells(segmenter, [dataclasses.replace(crop, pixels=beyond)], [cell_um])
    assert (unmoved.cell == middle.cell).all()
    assert (unmoved.nucleus == middle.nucleus).all()


def test_only_a_cell_whose_box_is_small_is_outlined_by_the_middle(
    segmenter: CellSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 17 µm, and on the network's own pixels; where no box is known it may be of any size."""
    seen: list[tuple[int, ...]] = []
    plain = CellSegmenter.outlines
    monkeypatch.setattr(CellSegmenter, "outlines", lambda self, w: (seen.append(w.shape[:2]), plain(self, w))[1])
    fine = draw_crop(12.0, 9.0)
    crops = [_at_own_scale(fine), fine, _at_own_scale(fine), _at_own_scale(fine)]
    segment_cells(segmenter, crops, [17.0, 12.0, 17.1, 8.0])
    assert seen == [(2, 96), (1, 128)]
    segment_cells(segmenter, crops[:1])
    assert seen[2:] == [(1, 128)]


def test_cells_of_both_kinds_keep_their_order(segmenter: CellSegmenter) -> None:
    """Each has the mask that it has alone, on the pixels of its crop."""
    sizes = [9.0, 18.0, 12.0, 19.0, 14.0]
    crops = [_at_own_scale(draw_crop(um, um - 3)) for um in sizes]
    together = segment_cells(segmenter, crops, sizes)
    for crop, side, mask in zip(crops, sizes, together, strict=True):
        (alone,) = segment_cells(segmenter, [crop], [side])
        assert mask.cell.shape == (128, 128)
        assert (mask.cell == alone.cell).all()
        assert mask.area_um2 == alone.area_um2 == pytest.approx(np.pi * side**2 / 4, rel=0.25)


def test_the_company_of_finer_crops_changes_no_mask(segmenter: CellSegmenter) -> None:
    """Crops on the network's own pixels take a shorter way when they are alone; it ends at the same place."""
    crops = [_at_own_scale(draw_crop(um, um - 3)) for um in (9.0, 13.0)]
    alone = segment_cells(segmenter, crops)
    together = segment_cells(segmenter, [*crops, draw_crop(11.0, 8.0)])[:2]
    assert all((one.cell == two.cell).all() for one, two in zip(alone, together, strict=True))
    assert all((one.nucleus == two.nucleus).all() for one, two in zip(alone, together, strict=True))
    assert all(mask.nucleus.any() for mask in alone)


def _at_own_scale(crop: Crop) -> Crop:
    pixels = cv2.resize(crop.pixels, (128, 128), interpolation=cv2.INTER_AREA)
    return dataclasses.replace(crop, pixels=pixels, um_per_px=29 / 128)


def test_threads_may_share_a_segmenter(segmenter: CellSegmenter) -> None:
    """The same bytes from two threads at once as from one."""
    crops = [draw_crop(size, size - 3) for size in (9.0, 14.0)]
    alone = [segment_cells(segmenter, [crop])[0] for crop in crops]
    with ThreadPoolExecutor(2) as pool:
        shared = list(pool.map(lambda crop: segment_cells(segmenter, [crop])[0], crops))
    assert all((one.cell == two.cell).all() for one, two in zip(alone, shared, strict=True))


def test_no_crops_give_no_masks(segmenter: CellSegmenter) -> None:
    """An empty slide is no error."""
    assert segment_cells(segmenter, []) == []


@pytest.mark.parametrize("colour", [0, 128, 255])
def test_a_flat_picture_has_no_cell(segmenter: CellSegmenter, colour: int) -> None:
    """Area 0, flagged, rather than a made-up mask."""
    pixels = np.full((450, 450, 3), colour, np.uint8)
    (mask,) = segment_cells(segmenter, [Crop(pixels, Box(0, 0, 450, 450), 29 / 450, False)])
    assert mask.area_um2 == 0
    assert mask.nucleus_area_um2 == 0
    assert mask.cell.shape == (450, 450)


@pytest.mark.parametrize(("side", "window_um"), [(300, 29.0), (600, 40.0), (200, 20.0)])
def test_crops_of_other_windows_are_measured_alike(segmenter: CellSegmenter, side: int, window_um: float) -> None:
    """The network looks at its own 29 µm of whatever it is given."""
    um_per_px = window_um / side
    pixels = draw_smear(side, um_per_px, [(side / 2, side / 2, 13, 9)])
    (mask,) = segment_cells(segmenter, [Crop(pixels, Box(0, 0, side, side), um_per_px, False)])
    assert mask.cell.shape == (side, side)
    assert _dice(mask.cell, disc(side, 13 / um_per_px)) > 0.85


@settings(max_examples=20, deadline=None)
@given(st.integers(100, 700), st.floats(0.03, 0.3))
def test_the_networks_window_keeps_the_middle(side: int, um_per_px: float) -> None:
    """A disc in the middle stays there and keeps its size in µm."""
    picture = np.dstack([disc(side, 8 / um_per_px).astype(np.uint8) * 255] * 3)
    seen = network_window(picture, um_per_px, MaskNetPlan())[..., 0] > 127
    ys, xs = np.nonzero(seen)
    assert seen.shape == (128, 128)
    if side * um_per_px > 9:
        assert abs(xs.mean() - 63.5) < 0.6
        assert abs(ys.mean() - 63.5) < 0.6
        assert 2 * np.sqrt(seen.sum() / np.pi) * 29 / 128 == pytest.approx(8, rel=0.06)


def test_only_the_piece_in_the_middle_is_kept_and_closed() -> None:
    """A far piece goes, a hole is filled, a nucleus outside the cell goes."""
    chance = np.zeros((128, 128, 2), np.float32)
    chance[50:80, 50:80, 0] = 0.9
    chance[60:64, 60:64, 0] = 0.1
    chance[5:25, 5:25] = 0.9
    kept = central_cell(chance, 29 / 128)
    assert (kept[50:80, 50:80, 0] > 0.5).all()
    assert (kept[..., 0] > 0.5).sum() == 900
    assert not kept[:40, :40].any()


def test_small_holes_of_a_nucleus_are_closed_and_rings_stay() -> None:
    """A nucleolus is chromatin's, the eye of a ring is not."""
    nucleus = disc(128, 60) & ~disc(128, 24)
    speckled = disc(128, 60) & ~disc(128, 4)
    cell = disc(128, 80)
    ring, full = (
        central_cell(np.dstack([cell, part]).astype(np.float32), 29 / 128)[..., 1] > 0.5 for part in (nucleus, speckled)
    )
    assert (ring == nucleus).all()
    assert (full == disc(128, 60)).all()


def test_what_is_not_black_is_the_cell() -> None:
    """JPEG's dark noise is no cell, specks are not, a dark hole inside belongs to it."""
    picture = np.random.default_rng(0).integers(0, 9, (200, 200, 3), dtype=np.uint8)
    cell = disc(200, 90)
    picture[cell] = (90, 40, 120)
    picture[98:103, 98:103] = 0
    picture[3:6, 3:6] = 200
    assert (mask_from_black(picture) == cell).all()
    assert is_on_black(picture)


def test_black_pictures_are_told_from_others() -> None:
    """A field with background is not on black; nor is a picture with nothing in it."""
    assert not is_on_black(draw_crop().pixels)
    assert not is_on_black(np.zeros((50, 50, 3), np.uint8))
    assert not mask_from_black(np.zeros((50, 50, 3), np.uint8)).any()


def test_a_cell_on_black_is_outlined_by_the_network_too(segmenter: CellSegmenter) -> None:
    """So that its nucleus is found."""
    crop = draw_crop(13.0, 9.0)
    cell = disc(450, 13 / crop.um_per_px)
    cut_out = dataclasses.replace(crop, pixels=crop.pixels * cell[..., None])
    (mask,) = segment_cells(segmenter, [cut_out])
    assert _dice(mask.cell, cell) > 0.85
    assert _dice(mask.nucleus, disc(450, 9 / crop.um_per_px)) > 0.8


def test_the_network_gives_logits_of_the_inputs_size() -> None:
    """(N, 3, S, S) in and out, with no more parameters than the card says."""
    import torch

    network = CellMaskNet().eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 128, 128)).shape == (2, 3, 128, 128)
    assert sum(value.numel() for value in network.parameters()) == 621_936


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    """Absent, not weights at all, or of other layers."""
    from safetensors.numpy import save_file

    with pytest.raises(WeightsError, match=r"nowhere\.safetensors"):
        load_segmenter(tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    with pytest.raises(WeightsError, match=r"text\.safetensors"):
        load_segmenter(tmp_path / "text.safetensors")
    save_file({"layer": np.zeros(3, np.float32)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="another network"):
        load_segmenter(tmp_path / "other.safetensors")


def test_altered_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped file must be the one its card names."""
    from smearscan.crops import mask as module

    (tmp_path / "cellmask.safetensors").write_bytes(b"altered")
    monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="not the file that its card names"):
        load_segmenter()


def test_hand_drawn_masks_that_were_held_out_are_met(segmenter: CellSegmenter, shared_data: Path) -> None:
    """Mean Dice of 61 images that the network never trained on: whole cell ≥ 0.88, nucleus ≥ 0.92."""
    from smearscan.train.mask_data import read_labelled
    from smearscan.train.masks import dice_of_cells

    folder = shared_data / "segmentation_wbc"
    held_out = [cell for name in ("dataset1", "dataset2") for cell in read_labelled(folder / name)[4::5]]
    um_per_px = 29 / 128

    def outline(windows: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        crops = [Crop(window, Box(0, 0, 128, 128), um_per_px, False) for window in windows]
        return [(mask.cell, mask.nucleus) for mask in segment_cells(segmenter, crops)]

    whole, nucleus = dice_of_cells(outline, held_out, 12.0).mean(axis=0)
    assert len(held_out) == 61
    assert whole >= 0.88
    assert nucleus >= 0.92


def test_masks_measure_in_um() -> None:
    """A hundred pixels of half a µm are 25 µm²."""
    square = np.zeros((20, 20), bool)
    square[5:15, 5:15] = True
    mask = make_mask(square, cv2.erode(square.astype(np.uint8), np.ones((3, 3))) > 0, 0.5)
    assert (mask.area_um2, mask.nucleus_area_um2) == (25.0, 16.0)


@pytest.mark.parametrize(("is_bfloat16", "off"), [(False, 1e-4), (True, 0.1)])
def test_the_network_that_runs_is_the_one_that_was_trained(is_bfloat16: bool, off: float) -> None:
    """Pixel for pixel, at the rims too: of noise, of a bright window, of a dark one."""
    import torch

    trained = _with_norms()
    trained.head.weight.data *= 20  # sure of something
    windows = np.random.default_rng(3).integers(0, 256, (8, 128, 128, 3), dtype=np.uint8)
    windows[1], windows[2] = 255, 0
    with torch.inference_mode():
        plain = trained(torch.from_numpy(windows).permute(0, 3, 1, 2) / 255).softmax(1).numpy()
    found = CellSegmenter(trained, is_bfloat16=is_bfloat16).chances(windows)
    assert np.abs(found[..., 0] - (1 - plain[:, 0])).max() < off
    assert np.abs(found[..., 1] - plain[:, 2]).max() < off
    assert plain.std() > 0.05


def _with_norms() -> CellMaskNet:
    """A network of random weights whose norms have statistics of their own."""
    import torch

    torch.manual_seed(0)
    network = CellMaskNet()
    with torch.no_grad():
        for _ in range(2):
            network(torch.rand(4, 3, 128, 128))
    return network.eval()


def test_folded_norms_change_no_result() -> None:
    """The network that runs is the one that was trained, within rounding."""
    import torch

    trained = _with_norms()
    images = torch.rand(2, 3, 128, 128)
    with torch.inference_mode():
        assert torch.allclose(trained.eval()(images), folded(trained)(images), atol=1e-4)
