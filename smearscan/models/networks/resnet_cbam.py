"""ResNet18 with CBAM inside every residual block: what we train at 64–128 px.

CBAM refines the branch before the shortcut is added, where Woo et al. 2018 put it
(https://doi.org/10.1007/978-3-030-01234-2_1). Not one of the four papers' networks: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from torch import nn

from smearscan.models.layers.cbam import CBAM
from smearscan.models.networks.backbones import shrink_stem


def build(
    *,
    n_classes: int,
    pretrained: bool | str | Path,
    attention: bool,
    reduction: int,
    small_input: bool,
    channels: Sequence[int],
    dropout: float,
) -> nn.Module:
    """Build `resnet18_cbam` from scratch.

    Raises
    ------
    ValueError
        If pretrained weights are asked for: there are none with CBAM.
    """
    from timm.models.resnet import BasicBlock, ResNet

    if pretrained:
        raise ValueError("there are no pretrained weights of resnet18_cbam: leave pretrained out")
    block_args = {"attn_layer": partial(CBAM, reduction=reduction)} if attention else {}
    model = ResNet(
        BasicBlock,  # type: ignore[arg-type]  # timm annotates an instance and takes the class
        (2, 2, 2, 2),
        num_classes=n_classes,
        channels=tuple(channels),
        stem_width=channels[0],
        drop_rate=dropout,
        block_args=block_args,
    )
    if small_input:
        shrink_stem(model)
    return model
