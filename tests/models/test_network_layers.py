"""CBAM and ECA against their equations, written again in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.models.layers.bap import bilinear_attention_pooling
from smearscan.models.layers.cbam import CBAM, ChannelAttention, SpatialAttention
from smearscan.models.layers.eca import eca


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _channel_weights(x: np.ndarray, layer: ChannelAttention) -> np.ndarray:
    """Equation (1)."""
    w1, b1 = layer.squeeze.weight.detach().numpy(), layer.squeeze.bias.detach().numpy()
    w2, b2 = layer.excite.weight.detach().numpy(), layer.excite.bias.detach().numpy()

    def mlp(v: np.ndarray) -> np.ndarray:
        return np.maximum(v @ w1.T + b1, 0) @ w2.T + b2

    return _sigmoid(mlp(x.mean((2, 3))) + mlp(x.max((2, 3))))[:, :, None, None]


def _spatial_weights(x: np.ndarray, layer: SpatialAttention) -> np.ndarray:
    """Equation (2): a 7×7 convolution over [mean; max], written as a sum of shifted images."""
    kernel = layer.conv.weight.detach().numpy()[0]
    side = kernel.shape[1]
    both = np.stack([x.mean(1), x.max(1)], axis=1)
    padded = np.pad(both, [(0, 0), (0, 0), (side // 2,) * 2, (side // 2,) * 2])
    height, width = x.shape[2:]
    total = np.zeros((len(x), height, width))
    for c in range(2):
        for i in range(side):
            for j in range(side):
                total += kernel[c, i, j] * padded[:, c, i : i + height, j : j + width]
    return _sigmoid(total)[:, None]


@given(
    n=st.integers(1, 3),
    channels=st.sampled_from([8, 32, 48]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    reduction=st.sampled_from([2, 16]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_cbam_is_equations_1_to_4(n: int, channels: int, height: int, width: int, reduction: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = CBAM(channels, reduction)
    x = torch.randn(n, channels, height, width)

    refined = _channel_weights(x.numpy(), layer.channel) * x.numpy()
    expected = _spatial_weights(refined, layer.spatial) * refined

    assert np.allclose(layer(x).detach().numpy(), expected, atol=1e-5)


def test_the_spatial_branch_of_cbam_is_a_7x7_convolution_without_a_norm() -> None:
    layer = CBAM(32).spatial
    assert tuple(layer.conv.weight.shape) == (1, 2, 7, 7)
    assert [name for name, _ in layer.named_parameters()] == ["conv.weight"]
    assert not list(layer.buffers())


def test_the_narrowest_channel_mlp_has_four_hidden_units() -> None:
    assert ChannelAttention(32, 16).squeeze.out_features == 4
    assert ChannelAttention(256, 16).squeeze.out_features == 16


@given(channels=st.integers(5, 40), kernel=st.sampled_from([3, 5, 9]), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_eca_is_a_convolution_over_channel_means_then_a_gate(channels: int, kernel: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer = eca(channels, kernel)
    x = torch.randn(2, channels, 4, 5)

    weight = layer.conv.weight.detach().numpy()[0, 0]
    padded = np.pad(x.numpy().mean((2, 3)), [(0, 0), (kernel // 2,) * 2])
    scores = np.stack([padded[:, c : c + kernel] @ weight for c in range(channels)], axis=1)
    expected = x.numpy() * _sigmoid(scores)[:, :, None, None]

    assert np.allclose(layer(x).detach().numpy(), expected, atol=1e-5)


def test_the_papers_eca_kernel_is_nine() -> None:
    assert eca(64).conv.weight.numel() == 9


@pytest.mark.parametrize(("channels", "kernel"), [(64, 3), (128, 5), (256, 5), (512, 5)])
def test_an_adaptive_eca_kernel_grows_with_the_channels_as_eca_net_says(channels: int, kernel: int) -> None:
    assert eca(channels, "adaptive").conv.weight.numel() == kernel


@pytest.mark.parametrize("kernel", [4, 0, -3])
def test_an_even_or_negative_eca_kernel_is_refused(kernel: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        eca(64, kernel)


def test_attention_pooling_averages_features_under_each_map_then_takes_roots_and_the_unit_length() -> None:
    torch.manual_seed(0)
    features, maps = torch.randn(2, 3, 4, 5), torch.rand(2, 6, 4, 5)

    parts = np.einsum("nmhw,nchw->nmc", maps.numpy(), features.numpy()).reshape(2, -1) / 20
    rooted = np.sign(parts) * np.sqrt(np.abs(parts))
    expected = rooted / np.linalg.norm(rooted, axis=1, keepdims=True)

    assert np.allclose(bilinear_attention_pooling(features, maps).numpy(), expected, atol=2e-3)
