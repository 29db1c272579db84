"""The recipes' losses, for targets that may be mixtures of classes (MixUp, CutMix)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from smearscan.train.recipes.recipe import LossPart


def recipe_loss(logits: Tensor, targets: Tensor, part: LossPart) -> Tensor:
    """Mean loss.

    Parameters
    ----------
    logits
        (K, N, C) float: K streams of the same N images; every stream counts alike.
    targets
        (N, C) float, rows sum to 1.
    part
        Which loss.
    """
    flat, wanted = logits.float().flatten(0, 1), targets.repeat(len(logits), 1)
    if part.name == "cross_entropy":
        return functional.cross_entropy(flat, wanted)
    return symmetric_cross_entropy(flat, wanted, part.forward, part.reverse, part.log_zero)


def symmetric_cross_entropy(
    logits: Tensor, targets: Tensor, forward: float = 1.0, reverse: float = 1.0, log_zero: float = -4.0
) -> Tensor:
    """Cross entropy plus reverse cross entropy, equations (6) and (7) of Jiang et al. 2021.

    The reverse takes the logarithm of the label, which is that of 0 for the other classes: `log_zero` stands for it,
    as in Wang et al. 2019 (https://doi.org/10.1109/ICCV.2019.00041). Jiang adds both with weight 1.
    """
    log_targets = targets.log().clamp_min(log_zero)
    back = -(logits.softmax(1) * log_targets).sum(1).mean()
    return forward * functional.cross_entropy(logits, targets) + reverse * back
