"""Mixing styles: every cell keeps its pattern, takes on another's mean and spread, and only while training."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from smearscan.models.registry import create_model
from smearscan.train.fit import Recipe, fit, soft_targets
from smearscan.train.mix_style import early_blocks, mix, styles_mixed


def _maps(seed: int, n: int = 6) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    styles = torch.rand(n, 4, 1, 1, generator=draw) * 3
    return torch.randn(n, 4, 5, 7, generator=draw) * (0.2 + styles) + styles.flip(0)


def _pattern(maps: Tensor) -> Tensor:
    return (maps - maps.mean((2, 3), keepdim=True)) / maps.std((2, 3), keepdim=True)


def _tiny() -> nn.Module:
    options = {"width": 0.125, "head": "gap", "batch_norm": True}
    return create_model("vgg16_eca", 2, **options)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_each_cell_keeps_its_pattern(seed: int) -> None:
    maps = _maps(seed)
    torch.testing.assert_close(_pattern(mix(maps, np.random.default_rng(seed))), _pattern(maps), atol=2e-4, rtol=1e-3)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_means_and_spreads_stay_between_those_of_the_batch(seed: int) -> None:
    maps = _maps(seed)
    mixed = mix(maps, np.random.default_rng(seed))
    for told in (lambda x: x.mean((2, 3)), lambda x: x.std((2, 3))):
        before, after = told(maps), told(mixed)
        assert (after >= before.amin(0) - 1e-3).all()
        assert (after <= before.amax(0) + 1e-3).all()


def test_a_batch_is_mixed_at_all_and_alike_from_the_same_seed() -> None:
    maps = _maps(3)
    first, again, other = (mix(maps, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.allclose(first, maps, atol=0.1)


def test_outside_of_training_a_network_answers_as_ever() -> None:
    model, images = _tiny().eval(), torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        before = model(images)
        with styles_mixed(model, 1.0, 0):
            during = model(images)
        after = model(images)
    assert not torch.equal(before, during)
    assert torch.equal(before, after)


def test_no_chance_leaves_any_network_alone() -> None:
    unknown = nn.Linear(3, 2)
    with styles_mixed(unknown, 0.0, 0):
        assert not unknown._forward_hooks


def test_a_network_whose_early_blocks_are_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="Linear"), styles_mixed(nn.Linear(3, 2), 0.5, 0):
        pass


@pytest.mark.parametrize(
    ("network", "options"),
    [("vgg16_eca", {"width": 0.25, "head": "gap"}), ("resnet18_cbam", {"channels": [8, 8, 8, 8]})],
)
def test_the_networks_that_ship_have_early_blocks(network: str, options: dict[str, object]) -> None:
    assert len(early_blocks(create_model(network, 2, **options))) == 2


def test_what_a_training_keeps_mixes_no_more_and_repeats_itself() -> None:
    images, labels = torch.randn(8, 3, 32, 32), soft_targets(np.arange(8) % 2, 2)

    def trained(mixing: float) -> nn.Module:
        torch.manual_seed(0)
        return fit(_tiny(), lambda rng: (images, labels), Recipe(steps=3, batch=8, mixing=mixing))

    kept, again, plain = trained(1.0), trained(1.0), trained(0.0)
    assert not any(module._forward_hooks for module in kept.modules())
    assert torch.equal(kept(images), again(images))
    assert not torch.equal(kept(images), plain(images))
