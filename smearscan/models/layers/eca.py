"""Efficient channel attention (ECA): a 1-D convolution over the channel means.

Ullah et al. 2021 (https://doi.org/10.3390/app112210662) after Wang et al. 2020
(https://doi.org/10.1109/CVPR42600.2020.01155). The layer is timm's; here stands only which kernel it gets.
"""

from __future__ import annotations

from typing import Literal

from timm.layers import EcaModule

#: A fixed odd kernel, or "adaptive": wider for more channels, as ECA-Net computes it.
EcaKernel = int | Literal["adaptive"]


def eca(channels: int, kernel: EcaKernel = 9) -> EcaModule:
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
        return EcaModule(channels=channels)
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"an ECA kernel must be odd and positive, not {kernel}")
    return EcaModule(kernel_size=kernel)
