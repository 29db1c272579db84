"""Sajon's transfer networks: backbone → CBAM → convolution → add the input → batch norm → 512 → 128 → classes.

Section 3.5 and figures 1 and 3 of https://doi.org/10.1007/978-981-99-8937-9_24. Equations (1) to (4), the convolution,
the residual add and the dense widths are the paper's; the reduction ratio and the convolution's side are not printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from torch import Tensor, nn

from smearscan.models.layers.cbam import CBAM
from smearscan.models.networks.backbones import feature_backbone

#: Halvings of all four backbones: 224 px end as 7×7.
_STRIDE = 32


class ResidualCbam(nn.Module):
    """CBAM, a convolution over what it refined, and the input added back."""

    def __init__(self, channels: int, reduction: int, kernel: int) -> None:
        super().__init__()
        self.cbam = CBAM(channels, reduction)
        self.mix = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)  # the norm behind it has one

    def forward(self, x: Tensor) -> Tensor:
        """Refine a feature map (N, C, H, W); the shape stays."""
        mixed: Tensor = self.mix(self.cbam(x))
        return mixed + x


class BackboneCbam(nn.Module):
    """One of the four transfer networks. See `smearscan.models.specs` for the options."""

    def __init__(
        self,
        backbone: nn.Module,
        n_classes: int,
        *,
        attention: bool,
        reduction: int,
        mix_kernel: int,
        head: str,
        hidden: Sequence[int],
        dropout: float,
        input_px: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        channels = int(backbone.num_features)  # type: ignore[arg-type]
        self.refine: nn.Module = ResidualCbam(channels, reduction, mix_kernel) if attention else nn.Identity()
        self.norm = nn.BatchNorm2d(channels)
        side = _side(head, input_px)
        # Where the map has this side already, as with the paper's 224 px, the pooling changes nothing.
        self.pool = nn.AdaptiveAvgPool2d(side)
        layers: list[nn.Module] = []
        for a, b in pairwise([channels * side * side, *hidden]):
            layers += [nn.Linear(a, b), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Dropout(dropout), nn.Linear(hidden[-1], n_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, S, S)."""
        features = self.norm(self.refine(self.backbone(x)))
        logits: Tensor = self.head(self.pool(features).flatten(1))
        return logits


def _side(head: str, input_px: int) -> int:
    if head == "gap":
        return 1
    if head == "flatten":
        return max(1, input_px // _STRIDE)
    raise ValueError(f"head is 'flatten' or 'gap', not {head!r}")


def build(
    *,
    n_classes: int,
    pretrained: bool | str | Path,
    backbone: str,
    attention: bool,
    reduction: int,
    mix_kernel: int,
    head: str,
    hidden: Sequence[int],
    dropout: float,
    input_px: int,
) -> BackboneCbam:
    """Build `<backbone>_cbam`; the paper fine-tunes ImageNet weights (`pretrained=True`)."""
    return BackboneCbam(
        feature_backbone(backbone, pretrained),
        n_classes,
        attention=attention,
        reduction=reduction,
        mix_kernel=mix_kernel,
        head=head,
        hidden=hidden,
        dropout=dropout,
        input_px=input_px,
    )
