"""In training, a cell's early maps take on another cell's mean and spread, channel by channel: MixStyle.

What a laboratory adds to a picture (stain, light, sharpness) sits largely in the mean and the spread of early maps.
Where those are drawn between two cells of a batch, whatever their laboratories and classes, they stop telling either.
The network that results is an ordinary one: nothing is left of this when it runs. Gradients pass through means and
spreads.

References
----------
Zhou et al. 2021, https://doi.org/10.48550/arXiv.2104.02008.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

#: Shares are drawn from Beta(a, a): mostly nearly all the one cell's or the other's.
_ALPHA = 0.1
_LEAST_VARIANCE = 1e-6
#: So many blocks are mixed behind, the first ones: later maps hold what a cell is.
_N_BLOCKS = 2


@contextmanager
def styles_mixed(model: nn.Module, chance: float, seed: int) -> Iterator[None]:
    """While this lasts, batches that `model` is shown are mixed behind each early block with a `chance` of their own.

    Raises
    ------
    ValueError
        If `chance` is above 0 and the network is of a kind whose early blocks are not known here.
    """
    if chance == 0:
        yield
        return
    rng = np.random.default_rng(seed)

    def mixed(_: nn.Module, __: Any, maps: Tensor) -> Tensor:
        return mix(maps, rng) if rng.random() < chance else maps

    hooks = [block.register_forward_hook(mixed) for block in early_blocks(model)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def early_blocks(model: nn.Module) -> Sequence[nn.Module]:
    """The first blocks of a VGG16 or of a ResNet.

    Raises
    ------
    ValueError
        If the network is neither.
    """
    parts = dict(model.named_children())
    if isinstance(blocks := parts.get("blocks"), nn.Sequential):
        return list(blocks)[:_N_BLOCKS]
    if "layer1" in parts:
        return [parts[f"layer{number + 1}"] for number in range(_N_BLOCKS)]
    raise ValueError(f"no early blocks known of {type(model).__name__}: train it without mixing styles")


def mix(maps: Tensor, rng: np.random.Generator) -> Tensor:
    """Maps (N, C, H, W), each with a mean and a spread between its own and those of another of the batch."""
    own = maps.float()
    mean, spread = own.mean((2, 3), keepdim=True), (own.var((2, 3), keepdim=True) + _LEAST_VARIANCE).sqrt()
    other = torch.from_numpy(rng.permutation(len(maps)))
    share = torch.from_numpy(rng.beta(_ALPHA, _ALPHA, (len(maps), 1, 1, 1)).astype(np.float32))
    wanted_mean = share * mean + (1 - share) * mean[other]
    wanted_spread = share * spread + (1 - share) * spread[other]
    return ((own - mean) / spread * wanted_spread + wanted_mean).to(maps.dtype)
