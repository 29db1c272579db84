"""What every network of the registry keeps to: the fast ones always, all of them in the full run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import noise, small_card, small_model, small_package

from smearscan.models import (
    count_parameters,
    create_model,
    infer,
    list_models,
    load_package,
    network_spec,
    save_package,
)
from smearscan.models.explain import grad_cam
from smearscan.models.infer import BATCH_SIZE, logits

#: One of each family, small enough for every run.
_FAST = {"vgg16", "vgg16_eca", "cnn_cbam", "resnet18_cbam", "wtdfn_mobilenetv2", "vit_tiny_patch16", "mobilenetv2"}
KEYS = [key if key in _FAST else pytest.param(key, marks=pytest.mark.slow) for key in list_models()]


@pytest.mark.parametrize("key", KEYS)
def test_a_package_survives_disk_and_gives_rows_that_know_nothing_of_their_batch(key: str, tmp_path: Path) -> None:
    package = small_package(key, tmp_path)
    images = noise(3, package.card.input.side_px)
    probabilities, together = infer(package, images), logits(package, images)

    assert probabilities.shape == together.shape == (3, 3)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(1), 1, atol=1e-5)
    assert len(np.unique(together[:, 0])) == 3, "three images, three answers"
    assert np.array_equal(logits(package, images[::-1]), together[::-1]), "in any order"
    assert np.array_equal(logits(package, images[1:2]), together[1:2]), "alone or with others"

    again = load_package(str(tmp_path / "small.toml"))
    assert np.array_equal(logits(again, images), together), "the same weights, twice the same"


@pytest.mark.parametrize("key", KEYS)
def test_what_is_loaded_is_what_was_built(key: str, tmp_path: Path) -> None:
    built = small_model(key)
    path, card = save_package(built, small_card(key), dtype="float32", folder=tmp_path)
    package = load_package(str(path))

    loaded = package.model.state_dict()
    assert loaded.keys() == built.state_dict().keys()
    assert all(torch.equal(loaded[name], value) for name, value in built.state_dict().items())
    assert package.card == card
    assert card.weights is not None
    assert card.weights.n_parameters == count_parameters(key, 3, **card.options)
    assert not package.model.training


@pytest.mark.parametrize("key", KEYS)
def test_every_parameter_gets_a_gradient(key: str) -> None:
    torch.manual_seed(0)
    card = small_card(key)
    model = create_model(key, 3, **card.options).train()
    for module in model.modules():
        # Blocks that start as the identity (last norm zero) hide their insides from the first gradient.
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    images = torch.randn(4, 3, card.input.side_px, card.input.side_px)

    (model(images) * torch.randn(4, 3)).sum().backward()

    without = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    still = [n for n, p in model.named_parameters() if p.grad is not None and not p.grad.any()]
    assert not without
    assert not still


@pytest.mark.parametrize("key", KEYS)
def test_grad_cam_covers_the_image_in_0_to_1_for_any_batch(key: str, tmp_path: Path) -> None:
    package = small_package(key, tmp_path)
    side = package.card.input.side_px
    images = noise(2, side)

    maps = grad_cam(package, images, class_index=1)

    assert maps.shape == (2, side, side)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert np.array_equal(grad_cam(package, images[1:], class_index=1), maps[1:])


def test_the_batch_shape_is_the_same_however_many_images_come(tmp_path: Path) -> None:
    package = small_package("cnn_cbam", tmp_path)
    shapes = []
    package.model.register_forward_pre_hook(lambda _m, args: shapes.append(tuple(args[0].shape)))
    side = package.card.input.side_px

    infer(package, noise(BATCH_SIZE + 1, side))

    assert shapes == [(BATCH_SIZE, 3, side, side)] * 2


@pytest.mark.parametrize("key", list_models())
def test_every_network_says_where_it_comes_from_and_what_may_be_changed(key: str) -> None:
    spec = network_spec(key)
    assert spec.key == key
    assert spec.paper == "ours" or "https://doi.org/" in spec.paper
    assert spec.min_px <= spec.input_px
