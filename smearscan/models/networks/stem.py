"""The stem of a ResNet for small pictures."""

from __future__ import annotations

from torch import nn


def shrink_stem(resnet: nn.Module) -> None:
    """Give a ResNet a 3×3 stem of stride 1 without pooling, so that a 64 px image ends as 8×8.

    Raises
    ------
    ValueError
        If the network has no such stem.
    """
    stem = getattr(resnet, "conv1", None)
    if not isinstance(stem, nn.Conv2d) or not hasattr(resnet, "maxpool"):
        raise ValueError("small_input is for ResNets only")
    small = nn.Conv2d(3, stem.out_channels, 3, stride=1, padding=1, bias=False)
    nn.init.kaiming_normal_(small.weight, mode="fan_out", nonlinearity="relu")
    resnet.conv1 = small
    resnet.maxpool = nn.Identity()
