"""InceptionV1 with true 5×5 branches and BN-Inception as InceptionV2: neither timm nor torchvision has them.

Szegedy et al. 2015 (https://doi.org/10.1109/CVPR.2015.7298594) and Ioffe and Szegedy 2015
(https://arxiv.org/abs/1502.03167), every convolution followed by batch norm and ReLU, no auxiliary classifiers.

Two rows of Liu's table 3 that public networks miss:

- InceptionV1: torchvision's has 3×3 where the paper says 5×5 (5.60 M with 2 classes); this one has 5×5 and the table's
  5.98 M. With WT-DFN the table says 7.10 M; ours has 6.08 M: theirs is
  that plus an unused layer of 1000 classes (1.03 M).
- InceptionV2: the table says 13.47 M and does not say which network it is. This is BN-Inception, 10.26 M, with
  the released network's pool projections (128 in 4c and 4d, where the paper's table has 96).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

#: 1×1, (reduce, 3×3), (reduce, 5×5), pool projection; "pool" halves the map.
_V1 = (
    (64, (96, 128), (16, 32), 32),
    (128, (128, 192), (32, 96), 64),
    "pool",
    (192, (96, 208), (16, 48), 64),
    (160, (112, 224), (24, 64), 64),
    (128, (128, 256), (24, 64), 64),
    (112, (144, 288), (32, 64), 64),
    (256, (160, 320), (32, 128), 128),
    "pool",
    (256, (160, 320), (32, 128), 128),
    (384, (192, 384), (48, 128), 128),
)
#: 1×1 (0: none, and the block halves the map), (reduce, 3×3), (reduce, double 3×3), pool projection, pool kind.
_V2 = (
    (64, (64, 64), (64, 96), 32, "avg"),
    (64, (64, 96), (64, 96), 64, "avg"),
    (0, (128, 160), (64, 96), 0, "max"),
    (224, (64, 96), (96, 128), 128, "avg"),
    (192, (96, 128), (96, 128), 128, "avg"),
    (160, (128, 160), (128, 160), 128, "avg"),
    (96, (128, 192), (160, 192), 128, "avg"),
    (0, (128, 192), (192, 256), 0, "max"),
    (352, (192, 320), (160, 224), 128, "avg"),
    (352, (192, 320), (192, 224), 128, "max"),
)


class _Conv(nn.Sequential):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(channels, eps=1e-3), nn.ReLU())


class _Branches(nn.Module):
    """What all branches see, side by side in the channels."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def _block_v1(c: int, one: int, three: tuple[int, int], five: tuple[int, int], pool: int) -> _Branches:
    return _Branches(
        _Conv(c, one, 1),
        nn.Sequential(_Conv(c, three[0], 1), _Conv(three[0], three[1], 3)),
        nn.Sequential(_Conv(c, five[0], 1), _Conv(five[0], five[1], 5)),
        nn.Sequential(nn.MaxPool2d(3, 1, 1), _Conv(c, pool, 1)),
    )


def _block_v2(c: int, one: int, three: tuple[int, int], double: tuple[int, int], pool: int, kind: str) -> _Branches:
    stride = 1 if one else 2
    branches: list[nn.Module] = [_Conv(c, one, 1)] if one else []
    branches.append(nn.Sequential(_Conv(c, three[0], 1), _Conv(three[0], three[1], 3, stride)))
    wide = double[1]
    branches.append(nn.Sequential(_Conv(c, double[0], 1), _Conv(double[0], wide, 3), _Conv(wide, wide, 3, stride)))
    pooling = nn.AvgPool2d(3, stride, 1) if kind == "avg" else nn.MaxPool2d(3, stride, 1)
    branches.append(nn.Sequential(pooling, _Conv(c, pool, 1)) if pool else pooling)
    return _Branches(*branches)


class InceptionFeatures(nn.Sequential):
    """A backbone without pooling or classifier: (N, 3, S, S) → (N, 1024, h, w)."""

    num_features = 1024

    def __init__(self, blocks: list[nn.Module]) -> None:
        stem = [_Conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1), _Conv(64, 64, 1), _Conv(64, 192, 3), nn.MaxPool2d(3, 2, 1)]
        super().__init__(*stem, *blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def features(name: str) -> InceptionFeatures:
    """Build the feature part of `inception_v1` or `inception_v2`."""
    blocks: list[nn.Module] = []
    channels = 192
    for row in _V1 if name == "inception_v1" else _V2:
        if isinstance(row, str):
            blocks.append(nn.MaxPool2d(3, 2, 1))
            continue
        if len(row) == 4:
            blocks.append(_block_v1(channels, *row))
            channels = row[0] + row[1][1] + row[2][1] + row[3]
        else:
            blocks.append(_block_v2(channels, *row))
            channels = row[0] + row[1][1] + row[2][1] + (row[3] or channels)
    return InceptionFeatures(blocks)


class Inception(nn.Module):
    """Features, mean over the map, dropout, classes."""

    def __init__(self, name: str, n_classes: int, dropout: float) -> None:
        super().__init__()
        self.features = features(name)
        self.drop = nn.Dropout(dropout)
        self.classifier = nn.Linear(InceptionFeatures.num_features, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, S, S)."""
        logits: Tensor = self.classifier(self.drop(self.features(x).mean((2, 3))))
        return logits


def build(*, n_classes: int, pretrained: bool | str | Path, backbone: str, dropout: float) -> Inception:
    """Build `inception_v1` or `inception_v2` from scratch; there are no pretrained weights of these."""
    if pretrained:
        raise ValueError(f"there are no pretrained weights of {backbone}: leave pretrained out")
    return Inception(backbone, n_classes, dropout)
