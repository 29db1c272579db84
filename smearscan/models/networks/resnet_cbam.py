"""ResNet18 with CBAM inside every residual block: what we train at 64–128 px.

CBAM refines the branch before the shortcut is added, where Woo et al. 2018 put it
(https://doi.org/10.1007/978-3-030-01234-2_1); the network is that of He et al. 2016
(https://doi.org/10.1109/CVPR.2016.90), layer by layer and name by name as timm builds it. It is written out because
timm brings torchvision and torch's compiler along: nearly two seconds in every process that judges a cell. Not one of
the four papers' networks: ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional

from smearscan.models.layers.cbam import CBAM
from smearscan.models.networks.stem import shrink_stem

#: Channels of the stem, whatever those of the stages.
_STEM = 64


class _Block(nn.Module):
    """Two 3×3 convolutions, attention, the shortcut."""

    def __init__(
        self, n_in: int, n_out: int, stride: int, downsample: nn.Module | None, attention: bool, reduction: int
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.act1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.se = CBAM(n_out, reduction) if attention else None
        self.act2 = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        branch = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        if self.se is not None:
            branch = self.se(branch)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.act2(branch + shortcut)


class ResNet18Cbam(nn.Module):
    """Logits (N, n_classes) of images (N, 3, S, S). See `smearscan.models.specs` for the options."""

    def __init__(
        self, n_classes: int, *, attention: bool, reduction: int, channels: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.act1 = nn.ReLU(inplace=True)
        self.maxpool: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
        n_in = _STEM
        for number, n_out in enumerate(channels, start=1):
            self.add_module(f"layer{number}", _stage(n_in, n_out, 1 if number == 1 else 2, attention, reduction))
            n_in = n_out
        self.drop_rate = dropout
        self.fc = nn.Linear(n_in, n_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            # On the meta device there is nothing to draw, and trying to loads torch's compiler.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        for module in self.modules():
            if isinstance(module, _Block):
                nn.init.zeros_(module.bn2.weight)  # a block begins as its shortcut alone

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        for number in range(1, 5):
            x = self.get_submodule(f"layer{number}")(x)
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        logits: Tensor = self.fc(functional.dropout(pooled, self.drop_rate, self.training))
        return logits


def _stage(n_in: int, n_out: int, stride: int, attention: bool, reduction: int) -> nn.Sequential:
    """Two blocks, the first of which halves the map and meets the channels of the shortcut by a 1×1 convolution."""
    downsample = None
    if stride != 1 or n_in != n_out:
        downsample = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False), nn.BatchNorm2d(n_out))
    blocks = []
    for step, part in ((stride, downsample), (1, None)):
        blocks.append(_Block(n_in, n_out, step, part, attention, reduction))
        n_in = n_out
    return nn.Sequential(*blocks)


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
    if pretrained:
        raise ValueError("there are no pretrained weights of resnet18_cbam: leave pretrained out")
    model = ResNet18Cbam(n_classes, attention=attention, reduction=reduction, channels=channels, dropout=dropout)
    if small_input:
        shrink_stem(model)
    return model
