"""Sajon's custom network: four convolution blocks, CBAM after each convolution, two dense layers.

Figure 2 of https://doi.org/10.1007/978-981-99-8937-9_24. Printed: four blocks, 32 maps in the first, CBAM after each
convolution, two dense layers. Not printed and ours: the later widths (doubling), the dense width, pooling by 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from smearscan.models.layers.cbam import CBAM


class ConvBlock(nn.Sequential):
    """Convolutions, each followed by ReLU and CBAM, then pooling by 2."""

    def __init__(
        self, in_channels: int, channels: int, *, convs: int, attention: bool, reduction: int, batch_norm: bool
    ) -> None:
        layers: list[nn.Module] = []
        for i in range(convs):
            layers.append(nn.Conv2d(in_channels if i == 0 else channels, channels, 3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(channels))
            layers.append(nn.ReLU())
            if attention:
                layers.append(CBAM(channels, reduction))
        layers.append(nn.MaxPool2d(2))
        super().__init__(*layers)


class CnnCbam(nn.Module):
    """The custom CNN. See `smearscan.models.specs` for what each option means and whose it is."""

    def __init__(
        self,
        n_classes: int,
        *,
        widths: Sequence[int],
        convs: int,
        attention: bool,
        reduction: int,
        batch_norm: bool,
        head: str,
        pool: int,
        hidden: int,
        dropout: float,
        input_px: int,
    ) -> None:
        super().__init__()
        channels = [3, *widths]
        self.blocks = nn.Sequential(
            *(
                ConvBlock(a, b, convs=convs, attention=attention, reduction=reduction, batch_norm=batch_norm)
                for a, b in pairwise(channels)
            )
        )
        side = _pooled_side(head, pool, input_px, len(widths))
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(pool) if head == "gap" else nn.Identity()
        self.fc5 = nn.Linear(channels[-1] * side * side, hidden)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.fc6 = nn.Linear(hidden, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, S, S)."""
        flat = self.pool(self.blocks(x)).flatten(1)
        logits: Tensor = self.fc6(self.drop(self.act(self.fc5(flat))))
        return logits


def _pooled_side(head: str, pool: int, input_px: int, n_blocks: int) -> int:
    if head == "gap":
        return pool
    if head == "flatten":
        return input_px // 2**n_blocks
    raise ValueError(f"head is 'flatten' or 'gap', not {head!r}")


def build(*, n_classes: int, pretrained: bool | str | Path, **options: Any) -> CnnCbam:
    """Build `cnn_cbam` with the options of `CnnCbam`; there are no pretrained weights of it."""
    if pretrained:
        raise ValueError("there are no pretrained weights of cnn_cbam: leave pretrained out")
    return CnnCbam(n_classes, **options)
