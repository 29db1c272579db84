"""Backbones from timm, from scratch or with ImageNet weights, and the two Inceptions that neither library has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from smearscan.errors import WeightsError
from smearscan.models.networks.stem import shrink_stem
from smearscan.models.specs import PLAIN_BACKBONES

#: timm's name for what replaces the source of its weights.
_OVERLAY = "pretrained_cfg_overlay"


def timm_backbone(name: str, pretrained: bool | str | Path = False, **kwargs: Any) -> nn.Module:
    """Build a timm network.

    Parameters
    ----------
    name
        timm's own name of the network.
    pretrained
        False: from scratch, no network touched. True: timm's hub. A path: that file.
    **kwargs
        Handed to timm (`num_classes`, `global_pool`, …).

    Raises
    ------
    WeightsError
        If the hub cannot be reached or the file is not there or does not fit.
    """
    import timm

    if not pretrained:
        model: nn.Module = timm.create_model(name, pretrained=False, **kwargs)
        return model
    if not isinstance(pretrained, bool):
        if not Path(pretrained).is_file():
            raise WeightsError(
                f"{pretrained} is not there", f"supply timm's weights of {name!r} as safetensors or .pth"
            )
        kwargs[_OVERLAY] = {"file": str(pretrained)}
    import torch

    drawn_from = torch.random.get_rng_state()
    try:
        model = timm.create_model(name, pretrained=True, **kwargs)
    except (OSError, RuntimeError, ValueError, KeyError) as error:  # no network, no such file, another network's
        raise WeightsError(
            f"the ImageNet weights of {name!r} could not be loaded: {type(error).__name__}: {error}",
            _remedy(name),
        ) from error
    if unfilled := _unfilled(model, name, drawn_from, kwargs):
        raise WeightsError(
            f"the weights given for {name!r} are of another network: nothing for {unfilled[0]}"
            + (f" and {len(unfilled) - 1} more" if unfilled[1:] else ""),
            _remedy(name),
        )
    return model


def _unfilled(model: nn.Module, name: str, drawn_from: Tensor, kwargs: dict[str, Any]) -> list[str]:
    """Kernels and matrices but the classifier's that are still as they were drawn: timm leaves out in silence."""
    import timm
    import torch

    drawn_to = torch.random.get_rng_state()
    torch.random.set_rng_state(drawn_from)
    fresh: nn.Module = timm.create_model(name, pretrained=False, **{k: v for k, v in kwargs.items() if k != _OVERLAY})
    torch.random.set_rng_state(drawn_to)
    classifier = tuple(f"{part}." for part in _classifiers(model))
    drawn = dict(fresh.named_parameters())
    return [
        key
        for key, value in model.named_parameters()
        if value.ndim >= 2 and not key.startswith(classifier) and torch.equal(value, drawn[key]) and value.any()
    ]


def _classifiers(model: nn.Module) -> tuple[str, ...]:
    names = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    return (names,) if isinstance(names, str) else tuple(names)


def _remedy(name: str) -> str:
    import timm

    cfg = timm.get_pretrained_cfg(name)
    hub = f"model.safetensors of {cfg.hf_hub_id}" if cfg and cfg.hf_hub_id else "its weights file"
    return f"fetch {hub} where there is a network and give its path as `pretrained`, or train from scratch"


def feature_backbone(name: str, pretrained: bool | str | Path = False, *, small_input: bool = False) -> nn.Module:
    """A backbone without pooling or classifier: (N, 3, S, S) → (N, C, h, w), C its `num_features`.

    Parameters
    ----------
    name
        `inception_v1`, `inception_v2` or a key of `PLAIN_BACKBONES`.
    pretrained
        As in `timm_backbone`.
    small_input
        Replace a ResNet's stem so that inputs of 64–128 px keep a map worth attending to.
    """
    if name in ("inception_v1", "inception_v2"):
        from smearscan.models.networks import inception

        if pretrained:
            raise ValueError(f"there are no pretrained weights of {name}: leave pretrained out")
        return inception.features(name)
    model = timm_backbone(PLAIN_BACKBONES[name][0], pretrained, num_classes=0, global_pool="")
    if small_input:
        shrink_stem(model)
    return model
