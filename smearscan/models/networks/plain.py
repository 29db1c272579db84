"""The papers' comparison columns: public networks with a classifier of our classes, nothing added."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from smearscan.models.networks.backbones import timm_backbone
from smearscan.models.specs import PLAIN_BACKBONES


def build(*, n_classes: int, pretrained: bool | str | Path, backbone: str, dropout: float) -> nn.Module:
    """Build a plain timm network with `n_classes` outputs."""
    name = PLAIN_BACKBONES[backbone][0]
    return timm_backbone(name, pretrained, num_classes=n_classes, drop_rate=dropout)
