"""One training loop for all small classifiers: weighted sampling, one cycle, averaged weights."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from smearscan.resources import has_native_bfloat16
from smearscan.train.averages import follow
from smearscan.train.mix_style import styles_mixed

#: A batch: network input (B, 3, S, S) and target probabilities (B, C).
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters of one run.

    Attributes
    ----------
    steps, batch
        Optimiser steps and cells a step.
    rate, decay
        Peak learning rate of AdamW's single cycle, weight decay.
    average
        Share of the old in the running average of the weights, which is what is kept.
    seed
        Of weights, sampling and augmentation.
    mixing
        Chance of a batch to have the styles of its cells mixed, at each early block.
    """

    steps: int
    batch: int = 96
    rate: float = 3e-3
    decay: float = 0.03
    average: float = 0.997
    seed: int = 0
    mixing: float = 0.0


#: Every so many steps the loss is told and the averaged weights are kept.
_TOLD_EVERY = 100


def fit(
    model: nn.Module,
    draw: Callable[[np.random.Generator], Batch],
    recipe: Recipe,
    checkpoint: Path | None = None,
) -> nn.Module:
    """Train and return the averaged network, in evaluation mode.

    Parameters
    ----------
    draw
        Gives one batch a call, from the generator it is handed.
    checkpoint
        File that the averaged weights are written to now and then, so that a run cut short is not lost.

    References
    ----------
    Averaging: Izmailov et al. 2018, https://doi.org/10.48550/arXiv.1803.05407.
    """
    rng = np.random.default_rng(recipe.seed)
    model = model.to(memory_format=torch.channels_last)
    kept = copy.deepcopy(model).eval()
    optimiser = torch.optim.AdamW(model.parameters(), recipe.rate, weight_decay=recipe.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.steps, pct_start=0.15)
    began, total = time.monotonic(), 0.0
    with styles_mixed(model, recipe.mixing, recipe.seed):
        for step in range(1, recipe.steps + 1):
            images, targets = draw(rng)
            model.train()
            with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bfloat16()):
                logits = model(images.contiguous(memory_format=torch.channels_last))
            loss = -(targets * functional.log_softmax(logits.float(), 1)).sum(1).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            cycle.step()
            follow(kept, model, min(recipe.average, step / (step + 19)))
            total += loss.item()
            if step % _TOLD_EVERY == 0:
                mean = total / _TOLD_EVERY
                print(f"step {step}/{recipe.steps} loss {mean:.3f} {time.monotonic() - began:.0f} s", flush=True)
                total = 0.0
                if checkpoint is not None:
                    torch.save(kept.state_dict(), checkpoint)
    return kept.requires_grad_(False)


def soft_targets(labels: np.ndarray, n_classes: int, smoothing: float = 0.06) -> Tensor:
    """One-hot targets with a little taken off: (N, n_classes) float32."""
    hot = functional.one_hot(torch.from_numpy(labels.astype(np.int64)), n_classes).float()
    return hot * (1 - smoothing) + smoothing / n_classes
