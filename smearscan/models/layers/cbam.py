"""Convolutional block attention (CBAM): what matters, then where it matters.

Equations (1) to (4) of Sajon et al. 2024 (https://doi.org/10.1007/978-981-99-8937-9_24), after Woo et al. 2018
(https://doi.org/10.1007/978-3-030-01234-2_1). timm's CBAM is not used: it adds a batch norm to the spatial
branch and so misses equation (2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelAttention(nn.Module):
    """Equation (1): a weight per channel from one MLP shared by the average and the maximum.

    Parameters
    ----------
    channels
        Channels of the feature map.
    reduction
        Divisor of the hidden width. Not printed in the paper; 16 is that of Woo et al.
    min_hidden
        Narrowest hidden layer: 32 maps over 16 would leave two units, which die easily.
    device, dtype
        Where the parameters live, as in torch.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        *,
        min_hidden: int = 4,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        hidden = max(channels // reduction, min_hidden)
        self.squeeze = nn.Linear(channels, hidden, device=device, dtype=dtype)
        self.act = nn.ReLU()
        self.excite = nn.Linear(hidden, channels, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Weights (N, C, 1, 1) in 0 to 1 for a feature map (N, C, H, W)."""
        weights = self._mlp(x.mean((2, 3))) + self._mlp(x.amax((2, 3)))
        return weights.sigmoid()[:, :, None, None]

    def _mlp(self, pooled: Tensor) -> Tensor:
        return self.excite(self.act(self.squeeze(pooled)))


class SpatialAttention(nn.Module):
    """Equation (2): a weight per place from a 7×7 convolution over the channel mean and maximum.

    Parameters
    ----------
    kernel
        Side of the convolution, odd; 7 in the paper.
    device, dtype
        Where the parameters live, as in torch.
    """

    def __init__(
        self, kernel: int = 7, *, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Weights (N, 1, H, W) in 0 to 1 for a feature map (N, C, H, W)."""
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], dim=1)
        return self.conv(both).sigmoid()


class CBAM(nn.Module):
    """Equations (3) and (4): channel attention, then spatial attention of what is left.

    Parameters
    ----------
    channels
        Channels of the feature map.
    reduction
        Divisor of the hidden width of the channel MLP.
    kernel
        Side of the spatial convolution.
    device, dtype
        Where the parameters live, as in torch; timm's blocks pass them.
    """

    def __init__(
        self,
        channels: int,
        reduction: int = 16,
        kernel: int = 7,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.channel = ChannelAttention(channels, reduction, device=device, dtype=dtype)
        self.spatial = SpatialAttention(kernel, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map (N, C, H, W); the shape stays."""
        x = self.channel(x) * x
        return self.spatial(x) * x
