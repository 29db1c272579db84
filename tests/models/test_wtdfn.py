"""WT-DFN: boxes on a planted spot, the crop, the erasure, the vote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import noise, small_package
from torch import Tensor, nn

from smearscan.geometry import Box
from smearscan.models.explain import attention
from smearscan.models.networks.wtdfn import WtDfn, bounding_boxes, crop_and_resize, normalised_attention, vote


class _Brightness(nn.Module):
    """A backbone that sees brightness: its one feature map is the image's mean over channels, at a quarter the size."""

    num_features = 1

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x.mean(1, keepdim=True), 4)


def _bright_network() -> WtDfn:
    """Attention is brightness: one map, weight one, no bias."""
    model = WtDfn(_Brightness(), 2, n_maps=1, threshold=0.5, scale=1.0)
    nn.init.ones_(model.maps.conv.weight)
    return model.eval()


def _spot(x: int, y: int, side: int, size: int = 64) -> Tensor:
    image = torch.zeros(1, 3, size, size)
    image[:, :, y : y + side, x : x + side] = 1
    return image


@given(x=st.integers(0, 10), y=st.integers(0, 10), side=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_the_box_lies_on_a_planted_bright_spot(x: int, y: int, side: int) -> None:
    x, y, side = 4 * x, 4 * y, 4 * side
    image = _spot(x, y, side)
    model = _bright_network()

    view = model.look(image, model.classify(image)[1])

    left, top, right, bottom = view.boxes[0].tolist()
    # The map has a quarter of the resolution; half height of its bilinear edge lies within half a map pixel.
    for found, true in ((left, x), (top, y), (right, x + side), (bottom, y + side)):
        assert abs(found - true) <= 2


def test_the_crop_shows_the_spot_full_frame_and_the_erasure_leaves_nothing_of_it() -> None:
    image = _spot(20, 32, 16)
    model = _bright_network()
    view = model.look(image, model.classify(image)[1])

    assert view.crop.shape == image.shape
    assert view.crop.mean() > 0.85
    assert view.erase.shape == image.shape
    assert view.erase.mean() < 0.1 * image.mean()


def test_a_flat_image_keeps_its_whole_frame_and_loses_nothing() -> None:
    image = torch.full((1, 3, 64, 64), 0.7)
    model = _bright_network()
    view = model.look(image, model.classify(image)[1])

    assert view.boxes[0].tolist() == [0, 0, 64, 64]
    assert torch.equal(view.erase, image)
    assert torch.allclose(view.crop, image, atol=1e-6)


@given(seed=st.integers(0, 999))
@settings(max_examples=30, deadline=None)
def test_boxes_are_the_smallest_that_hold_every_hit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hit = rng.random((3, 12, 17)) < 0.03
    boxes = bounding_boxes(torch.from_numpy(hit)).numpy()
    for one, box in zip(hit, boxes, strict=True):
        rows, columns = np.nonzero(one)
        expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] if len(rows) else [0, 0, 17, 12]
        assert box.tolist() == expected


def test_cropping_to_a_quarter_is_that_quarter_enlarged() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 3, 16, 16)
    crop = crop_and_resize(image, torch.tensor([[8.0, 0.0, 16.0, 8.0]]))
    enlarged = nn.functional.interpolate(image[:, :, :8, 8:], (16, 16), mode="bilinear", align_corners=False)
    # At the crop's inner edges the enlarged quarter repeats its border where the crop still sees its neighbours.
    assert torch.allclose(crop[:, :, :-1, 1:], enlarged[:, :, :-1, 1:], atol=1e-5)


def test_cropping_to_the_whole_image_changes_nothing() -> None:
    torch.manual_seed(0)
    image = torch.rand(2, 3, 16, 16)
    assert torch.allclose(crop_and_resize(image, torch.tensor([[0.0, 0.0, 16.0, 16.0]] * 2)), image, atol=1e-5)


def test_attention_is_stretched_to_0_and_1_image_by_image() -> None:
    maps = torch.stack([torch.linspace(2, 3, 16).reshape(4, 4), torch.linspace(0, 90, 16).reshape(4, 4)])
    stretched = normalised_attention(maps, (8, 8))
    assert torch.allclose(stretched.amin((1, 2)), torch.zeros(2))
    assert torch.allclose(stretched.amax((1, 2)), torch.ones(2))


def test_the_vote_is_the_mean_of_the_streams_that_won() -> None:
    streams = torch.tensor([[[0.9, 0.1]], [[0.6, 0.4]], [[0.2, 0.8]]])
    assert torch.allclose(vote(streams), torch.tensor([[0.75, 0.25]]))


def test_where_all_three_streams_differ_all_three_count() -> None:
    streams = torch.tensor([[[0.8, 0.1, 0.1]], [[0.2, 0.7, 0.1]], [[0.2, 0.1, 0.7]]])
    assert torch.allclose(vote(streams), torch.tensor([[0.4, 0.3, 0.3]]))


def test_the_score_is_the_softmax_of_what_the_network_returns() -> None:
    torch.manual_seed(0)
    model = _bright_network()
    images = torch.rand(5, 3, 64, 64)
    voted = vote(model.streams(images).softmax(-1))
    assert torch.allclose(model(images).softmax(-1), voted, atol=1e-5)


def test_in_training_the_map_is_drawn_by_the_generator_alone() -> None:
    torch.manual_seed(0)
    model = WtDfn(_Brightness(), 2, n_maps=8, threshold=0.5, scale=1.0).train()
    image = torch.rand(4, 3, 64, 64)
    maps = torch.rand(4, 8, 16, 16)

    def boxes(seed: int) -> Tensor:
        return model.look(image, maps, torch.Generator().manual_seed(seed)).attention

    assert torch.equal(boxes(3), boxes(3))
    assert not torch.equal(boxes(3), boxes(4))


def test_in_evaluation_nothing_is_drawn() -> None:
    model = WtDfn(_Brightness(), 2, n_maps=8, threshold=0.5, scale=1.0).eval()
    before = torch.get_rng_state()
    model(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(torch.get_rng_state(), before)


def test_explained_boxes_are_those_of_the_attention_and_what_is_erased(tmp_path: Path) -> None:
    package = small_package("wtdfn_mobilenetv2", tmp_path)
    side = package.card.input.side_px
    found = attention(package, noise(3, side))

    assert found.maps.shape == found.erased.shape == (3, side, side)
    assert found.maps.min() >= 0
    assert found.maps.max() <= 1
    for box, erased in zip(found.boxes, found.erased, strict=True):
        rows, columns = np.nonzero(erased)
        assert box == Box(int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)


def test_attention_of_a_network_that_has_none_is_refused(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    with pytest.raises(ValueError, match="no attention maps"):
        attention(package, noise(1, package.card.input.side_px))
