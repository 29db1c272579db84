"""Explanations point at what decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import noise, small_card, small_package

from smearscan.models import Package, create_model
from smearscan.models.explain import feature_maps, fine_cam, grad_cam


def _bright_is_class_one(tmp_path: Path) -> Package:
    """A `cnn_cbam` wired by hand: class 1 is the brightness of the image."""
    card = small_card("cnn_cbam").model_copy(
        update={"options": {"head": "gap", "pool": 4, "widths": [8], "attention": False, "hidden": 4}}
    )
    model = create_model("cnn_cbam", 3, **card.options).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.blocks[0][0].weight[0, :, 1, 1] = 1  # type: ignore[index, union-attr]
        model.fc5.weight[0] = 1  # type: ignore[index, union-attr]
        model.fc6.weight[1, 0] = 1  # type: ignore[index, union-attr]
    return Package(model, card)


def test_grad_cam_is_bright_where_the_evidence_is(tmp_path: Path) -> None:
    package = _bright_is_class_one(tmp_path)
    images = np.zeros((1, 32, 32, 3), np.uint8)
    images[0, 4:12, 20:28] = 255

    cam = grad_cam(package, images, class_index=1)[0]

    assert cam[6:10, 22:26].min() > 0.9
    outside = cam.copy()
    outside[2:14, 18:30] = 0
    assert outside.max() < 0.3 * cam.max()


def test_grad_cam_of_a_class_nothing_speaks_for_is_all_zero(tmp_path: Path) -> None:
    cam = grad_cam(_bright_is_class_one(tmp_path), noise(2, 32), class_index=2)
    assert not cam.any()


def test_without_a_class_the_most_probable_one_is_explained(tmp_path: Path) -> None:
    package = _bright_is_class_one(tmp_path)
    images = np.full((1, 32, 32, 3), 200, np.uint8)
    assert np.array_equal(grad_cam(package, images), grad_cam(package, images, class_index=1))


def test_where_the_last_map_is_fine_enough_it_is_grad_cams(tmp_path: Path) -> None:
    package, images = _bright_is_class_one(tmp_path), noise(2, 32)
    assert np.array_equal(fine_cam(package, images, 1), grad_cam(package, images, 1))


def test_where_little_is_left_of_a_small_image_an_earlier_layer_says_where(tmp_path: Path) -> None:
    """Of 64 px a ResNet's end leaves 2×2: along no line does such a map turn twice."""
    torch.manual_seed(7)  # of most untrained ones nothing speaks for class 1
    card = small_card("resnet18_cbam").model_copy(update={"options": {"channels": [4, 8, 8, 8]}})
    package = Package(create_model("resnet18_cbam", 3, **card.options).eval(), card)
    images = noise(2, 64)

    cams = fine_cam(package, images, 1)

    assert cams.shape == (2, 64, 64) and cams.min() >= 0 and cams.max() == 1
    slopes = [column[column != 0] for column in np.diff(cams[0], axis=0).T]
    assert max(np.count_nonzero(np.diff(np.sign(slope))) for slope in slopes) >= 2
    assert grad_cam(package, images, 1).shape == cams.shape and not np.array_equal(grad_cam(package, images, 1), cams)
    assert np.array_equal(fine_cam(package, images[:1], 1)[0], cams[0])
    assert not any(module._forward_hooks for module in package.model.modules())


def test_explaining_leaves_no_hook_and_no_gradient_behind(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    grad_cam(package, noise(1, package.card.input.side_px))
    assert not any(module._forward_hooks for module in package.model.modules())
    assert all(p.grad is None for p in package.model.parameters())


def test_no_images_give_no_maps(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    assert grad_cam(package, np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 32, 32)


def test_feature_maps_of_the_first_block_have_its_channels(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    assert feature_maps(package, noise(2, 32), "blocks.0").shape == (2, 32, 16, 16)


def test_a_layer_that_is_not_there_is_refused(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    with pytest.raises(AttributeError, match="no attribute `9`"):
        feature_maps(package, noise(1, 32), "blocks.9")
