"""Efficient channel attention (ECA): a 1-D convolution over the channel means.

Ullah et al. 2021 (https://doi.org/10.3390/app112210662) after Wang et al. 2020
(https://doi.org/10.1109/CVPR42600.2020.01155). As timm's layer, name by name; not taken from there, since timm brings
torchvision and torch's compiler along, nearly two seconds in every process that judges a cell.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

#: A fixed odd kernel, or "adaptive": wider for more channels, as ECA-Net computes it.
EcaKernel = int | Literal["adaptive"]


class Eca(nn.Module):
    """Scales each channel by a weight 0 to 1 that its neighbours' means decide."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Scale a feature map (N, C, H, W); the shape stays."""
        weights: Tensor = self.conv(x.mean((2, 3))[:, None]).sigmoid()
        return x * weights[:, 0, :, None, None]


def eca(channels: int, kernel: EcaKernel = 9) -> Eca:
    """Build the ECA layer for a feature map of `channels` channels.

    Parameters
    ----------
    channels
        Channels of the feature map.
    kernel
        Odd kernel of the 1-D convolution (9 as Ullah prints it), or ``"adaptive"``.

    Raises
    ------
    ValueError
        If the kernel is even or below 1: it would shift the weights against the channels.
    """
    if kernel == "adaptive":
        wide = int((math.log2(channels) + 1) / 2)
        return Eca(max(wide if wide % 2 else wide + 1, 3))
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"an ECA kernel must be odd and positive, not {kernel}")
    return Eca(kernel)
