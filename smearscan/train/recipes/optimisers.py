"""The recipes' optimisers: torch's and timm's, and gradient centralisation, which neither has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from smearscan.train.recipes.recipe import OptimiserPart

#: Ranger as its author publishes it (lessw2020/Ranger-Deep-Learning-Optimizer); Liu et al. print the rate only.
_BETAS, _EPSILON = (0.95, 0.999), 1e-5
_SHARE, _EVERY = 0.5, 6


def make_optimiser(parameters: Iterable[nn.Parameter], part: OptimiserPart) -> Optimizer:
    """Build the optimiser of a recipe.

    RAdam: Liu et al. 2019, https://doi.org/10.48550/arXiv.1908.03265. Ranger: RAdam with Lookahead (Zhang et al. 2019,
    https://doi.org/10.48550/arXiv.1907.08610) and gradient centralisation (Yong et al. 2020,
    https://doi.org/10.1007/978-3-030-58452-8_37).
    """
    parameters, rate, decay = list(parameters), part.rate, part.weight_decay
    if part.name == "sgd":
        return torch.optim.SGD(parameters, rate, momentum=part.momentum, weight_decay=decay)
    if part.name == "adam":
        return torch.optim.Adam(parameters, rate, weight_decay=decay)
    if part.name == "radam":
        return torch.optim.RAdam(parameters, rate, weight_decay=decay)
    from timm.optim import Lookahead

    base = torch.optim.RAdam(parameters, rate, _BETAS, _EPSILON, weight_decay=decay, decoupled_weight_decay=True)
    base.register_step_pre_hook(_centralise_step)
    ranger: Optimizer = Lookahead(base, _SHARE, _EVERY)
    return ranger


def centralise(gradient: Tensor) -> Tensor:
    """A kernel's or matrix' gradient less its mean over all but the first axis; vectors stay."""
    return gradient if gradient.ndim < 2 else gradient - gradient.mean(tuple(range(1, gradient.ndim)), keepdim=True)


def _centralise_step(optimiser: Optimizer, *_: Any) -> None:
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad = centralise(parameter.grad)
