"""Small networks for the contract tests: every family at the least size that still is the architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from smearscan.models import InputCard, ModelCard, Package, create_model, load_package, network_spec, save_package
from smearscan.models.packages import Dtype

#: Options that shrink a network without changing what it is made of.
_SMALL: dict[str, dict[str, Any]] = {
    "vgg16": {"width": 0.125, "hidden": 32},
    "vgg16_eca": {"width": 0.125, "head": "gap", "batch_norm": True},
    "cnn_cbam": {"head": "gap", "widths": [32, 48]},
    "vit_base_patch16": {"image_px": 32},
    "vit_tiny_patch16": {"image_px": 32},
    "vit_cnn": {"image_px": 32},
    "vit_tiny_cnn": {"image_px": 32},
    "wtdfn_resnet18": {"small_input": True},
}
#: Big ones take a smaller head, so that a run stays under a gigabyte.
_GAP = {"head": "gap"}


def small_options(key: str) -> dict[str, Any]:
    """Options of the small variant of a network."""
    if network_spec(key).family == "backbone_cbam":
        return _GAP
    return _SMALL.get(key, {})


def small_card(key: str, name: str = "small", classes: tuple[str, ...] = ("other", "blast", "smudge")) -> ModelCard:
    """A card for the small variant of a network."""
    # A map of one pixel says nothing of where: the Inceptions and WT-DFN need 96 px for one of 3×3. A stem for small
    # inputs gives 4×4 of 32 px, and at 96 px takes a minute to export.
    is_coarse = network_spec(key).min_px > 32 or key.startswith("wtdfn")
    side = 96 if is_coarse and not small_options(key).get("small_input") else 32
    return ModelCard(
        name=name,
        summary="random weights, for tests",
        network=key,
        options=small_options(key),
        classes=classes,
        input=InputCard(
            window_um=29.0, um_per_px=0.3, side_px=side, background="kept", mean=(0.5, 0.4, 0.6), sd=(0.2, 0.3, 0.25)
        ),
    )


def small_model(key: str) -> nn.Module:
    """The small variant with random weights whose batch norms have seen one batch: deep ones fade or blow up else."""
    card = small_card(key)
    torch.manual_seed(0)
    model = create_model(key, len(card.classes), **card.options)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(4, 3, card.input.side_px, card.input.side_px))
    return model.eval()


def small_package(key: str, folder: Path, dtype: Dtype = "float32") -> Package:
    """A package with random weights, through disk and back."""
    path, _ = save_package(small_model(key), small_card(key), dtype=dtype, folder=folder)
    return load_package(str(path))


def noise(n: int, side: int, seed: int = 0) -> np.ndarray:
    """(n, side, side, 3) uint8 random images."""
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
