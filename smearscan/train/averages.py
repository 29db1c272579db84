"""Means of weights: of one network over its training, and of two networks."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, keep: float) -> None:
    """Move `average` towards a network of the same kind, in place; counters are taken over as they are.

    Parameters
    ----------
    keep
        Share of the average that stays, 0–1.

    References
    ----------
    Polyak and Juditsky 1992, https://doi.org/10.1137/0330046.
    """
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - keep)
        else:
            mean.copy_(value)


def blended(model: nn.Module, other: nn.Module, share: float) -> nn.Module:
    """`model` with the mean of its own weights, counting `share`, and those of `other`, in place.

    A network that was carried away from home keeps most of what it won abroad, and gets back what it lost at home.

    References
    ----------
    Wortsman et al. 2022, https://doi.org/10.48550/arXiv.2109.01903.
    """
    follow(model, other, share)
    return model
