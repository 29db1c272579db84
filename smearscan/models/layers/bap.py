"""Bilinear attention pooling (BAP): each attention map pools the features of one part of the cell.

Liu et al. 2022, equation (1) and figure 3 (https://doi.org/10.3390/diagnostics12010016), after Lin et al. 2015
(https://doi.org/10.1109/ICCV.2015.170). The signed square root and the length norm are Lin's; the paper names BAP only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Keeps the slope of the square root finite at zero.
_EPSILON = 1e-6


class AttentionMaps(nn.Module):
    """Feature maps → 1×1 convolution → M non-negative attention maps.

    Parameters
    ----------
    channels
        Channels of the backbone's feature map.
    n_maps
        M of the paper, 32 there.
    """

    def __init__(self, channels: int, n_maps: int = 32) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, n_maps, 1, bias=False)
        self.norm = nn.BatchNorm2d(n_maps)
        self.act = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Attention maps (N, M, h, w), at least 0, for features (N, C, h, w)."""
        return self.act(self.norm(self.conv(features)))


def bilinear_attention_pooling(features: Tensor, maps: Tensor) -> Tensor:
    """Pool features by each attention map.

    Parameters
    ----------
    features
        (N, C, h, w) float.
    maps
        (N, M, h, w) float, at least 0.

    Returns
    -------
    Tensor
        (N, M·C) of length 1 per row: the part matrix after signed square root and norm.
    """
    area = features.shape[2] * features.shape[3]
    parts = torch.einsum("nmhw,nchw->nmc", maps, features).flatten(1) / area
    rooted = parts.sign() * (parts.abs() + _EPSILON).sqrt()
    return functional.normalize(rooted, dim=1)
