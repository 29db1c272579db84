"""Vision transformers: ViT-B/16 and a tiny one for small machines.

Jiang et al. 2021 (https://doi.org/10.1155/2021/7529893). The text says six encoders and eight heads and no patch size,
and fine-tunes public weights, of which none has six encoders: we read it as ViT-B/16 (twelve encoders, twelve heads).
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from smearscan.models.networks.backbones import timm_backbone


def build(
    *, n_classes: int, pretrained: bool | str | Path, timm_name: str, image_px: int, patch_px: int, dropout: float
) -> nn.Module:
    """Build a ViT for images of `image_px`, cut into patches of `patch_px`.

    Raises
    ------
    ValueError
        If the patches do not tile the image.
    """
    if image_px % patch_px:
        raise ValueError(f"image_px {image_px} is no multiple of patch_px {patch_px}")
    return timm_backbone(
        timm_name, pretrained, num_classes=n_classes, img_size=image_px, patch_size=patch_px, drop_rate=dropout
    )
