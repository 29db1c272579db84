"""Jiang's ensemble as one network: 0.7 of the transformer's probability plus 0.3 of EfficientNet-B0's.

Section 2.6 of https://doi.org/10.1155/2021/7529893. The paper trains both on their own and joins them at test; the two
parts are `vit` and `cnn`, so that either may be trained or loaded alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from smearscan.models.networks import plain, vit

#: Keeps the logarithm finite where a class is ruled out.
_TINY = 1e-7


class VitCnn(nn.Module):
    """A weighted sum of two networks' probabilities."""

    def __init__(self, transformer: nn.Module, cnn: nn.Module, weights: Sequence[float]) -> None:
        super().__init__()
        if len(weights) != 2 or min(weights) < 0 or not math.isclose(sum(weights), 1.0):
            raise ValueError(f"weights must be two shares that sum to 1, not {tuple(weights)}")
        self.vit = transformer
        self.cnn = cnn
        self.weights = (float(weights[0]), float(weights[1]))

    def forward(self, x: Tensor) -> Tensor:
        """Logarithm of the joint probability (N, C), whose softmax is that probability."""
        first, second = self.vit(x).float().softmax(-1), self.cnn(x).float().softmax(-1)
        return (self.weights[0] * first + self.weights[1] * second).clamp_min(_TINY).log()


def build(
    *,
    n_classes: int,
    pretrained: bool | str | Path,
    timm_name: str,
    image_px: int,
    patch_px: int,
    dropout: float,
    weights: Sequence[float],
) -> VitCnn:
    """Build `vit_cnn`. One file cannot hold the ImageNet weights of both: load each part on its own instead."""
    if not isinstance(pretrained, bool):
        raise ValueError("vit_cnn has two parts: build it from scratch and load each part's file on its own")
    transformer = vit.build(
        n_classes=n_classes,
        pretrained=pretrained,
        timm_name=timm_name,
        image_px=image_px,
        patch_px=patch_px,
        dropout=dropout,
    )
    cnn = plain.build(n_classes=n_classes, pretrained=pretrained, backbone="efficientnet_b0", dropout=dropout)
    return VitCnn(transformer, cnn, weights)
