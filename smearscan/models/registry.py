"""From a key to a network. Importing this costs nothing; torch is loaded when a network is created."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smearscan.errors import SettingsError
from smearscan.models.specs import NETWORKS, NetworkSpec

if TYPE_CHECKING:
    from torch import nn


def list_models() -> list[str]:
    """Keys of all architectures, in the order of the papers. Trained packages are `list_packages`."""
    return list(NETWORKS)


def network_spec(key: str) -> NetworkSpec:
    """What is fixed about the architecture of this key.

    Raises
    ------
    SettingsError
        If there is no such key.
    """
    try:
        return NETWORKS[key]
    except KeyError:
        raise SettingsError(f"there is no network {key!r}", f"choose one of {', '.join(NETWORKS)}") from None


def create_model(key: str, n_classes: int, *, pretrained: bool | str | Path = False, **options: Any) -> nn.Module:
    """Build a network; its weights are drawn from torch's generator unless `pretrained`.

    Parameters
    ----------
    key
        One of `list_models`.
    n_classes
        Classes, at least 2.
    pretrained
        False trains from scratch and never touches the network. True asks timm's hub for ImageNet weights of the
        backbone. A path loads them from that file.
    **options
        What the spec's page offers for this key.

    Returns
    -------
    torch.nn.Module
        Takes (N, 3, S, S) float, standardised; gives (N, n_classes) float: logits whose softmax is the score.

    Raises
    ------
    SettingsError
        If the key or an option is unknown, or a value is out of range.
    WeightsError
        If pretrained weights were asked for and cannot be had.
    """
    spec = network_spec(key)
    unknown = sorted(set(options) - set(spec.options))
    if unknown:
        known = ", ".join(spec.options) or "none"
        raise SettingsError(f"network {key!r} has no option {', '.join(unknown)}", f"its options are: {known}")
    if n_classes < 2:
        raise SettingsError(f"network {key!r} needs at least 2 classes, not {n_classes}")
    family = importlib.import_module(f"smearscan.models.networks.{spec.family}")
    try:
        built: nn.Module = family.build(
            n_classes=n_classes, pretrained=pretrained, **spec.fixed, **{**spec.options, **options}
        )
    except (ValueError, TypeError) as error:
        raise SettingsError(f"network {key!r} cannot be built: {error}", "see smearscan/models/specs.py") from error
    return built


def count_parameters(key: str, n_classes: int = 2, **options: Any) -> int:
    """Number of trainable parameters, without allocating them."""
    import torch

    with torch.device("meta"):
        model = create_model(key, n_classes, **options)
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
