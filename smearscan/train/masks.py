"""Training and testing of the mask network: weighted cross entropy and Dice, AdamW, averaged weights.

The network is small and the labelled cells are few; what it learns comes from `mask_data.draw_window`, and from real
cells that an earlier network outlined (`mask_taught`).
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from smearscan.crops.network import CellMaskNet
from smearscan.resources import has_native_bfloat16
from smearscan.train.averages import follow
from smearscan.train.mask_data import SIDE_PX, UM_PER_PX, LabelledCell, MaskSource, draw_window
from smearscan.train.mask_taught import TaughtCells


@dataclass(frozen=True, slots=True)
class MaskRecipe:
    """Every knob of a training run.

    `taught_share` is the share of windows that an earlier network outlined, `n_threads` are torch's.
    """

    n_steps: int = 1500
    batch_size: int = 32
    rate: float = 2e-3
    weight_decay: float = 1e-3
    averaging: float = 0.995
    taught_share: float = 0.5
    seed: int = 0
    n_threads: int = 1
    save_every: int = 250


class _Windows(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Batches of drawn windows; batch `i` depends on the seed and `i` only, whatever the number of workers."""

    def __init__(self, source: MaskSource, recipe: MaskRecipe, taught: TaughtCells | None) -> None:
        self.source, self.recipe, self.taught = source, recipe, taught

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        for step in range(first, self.recipe.n_steps, stride):
            rng = np.random.default_rng((self.recipe.seed, step))
            pairs = [self._draw(rng) for _ in range(self.recipe.batch_size)]
            images = torch.from_numpy(np.stack([image for image, _ in pairs])).permute(0, 3, 1, 2)
            yield images, torch.from_numpy(np.stack([label for _, label in pairs])).long()

    def _draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if self.taught is not None and rng.random() < self.recipe.taught_share:
            return self.taught.draw(rng)
        return draw_window(self.source, rng)


def mask_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy plus one minus the soft Dice of cell and of nucleus, (N, 3, S, S) against (N, S, S)."""
    chance = logits.softmax(1)
    loss = functional.cross_entropy(logits, labels)
    for soft, hard in ((1 - chance[:, 0], labels > 0), (chance[:, 2], labels > 1)):
        common = (soft * hard).sum((1, 2))
        loss = loss + 1 - ((2 * common + 1) / (soft.sum((1, 2)) + hard.sum((1, 2)) + 1)).mean()
    return loss


def train_masks(
    source: MaskSource,
    recipe: MaskRecipe,
    out: Path,
    report: Callable[[int, float, float], None] = lambda step, loss, seconds: None,
    n_workers: int = 1,
    start: CellMaskNet | None = None,
    taught: TaughtCells | None = None,
) -> CellMaskNet:
    """Train a mask network; the averaged weights are written to `out` (safetensors) every `save_every` steps.

    Parameters
    ----------
    report
        Called with step, mean loss and seconds since the start at every save.
    start
        Weights to go on from: every other step then shows the middle of the windows alone, and the norms stay as they
        are. A fresh network without, which is shown whole windows.
    taught
        Real cells that an earlier network outlined; without them all windows are drawn from `source`.
    """
    torch.set_num_threads(recipe.n_threads)
    torch.manual_seed(recipe.seed)
    network = (start or CellMaskNet()).to(memory_format=torch.channels_last).train()
    if start is not None:
        _freeze_norms(network)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, recipe.n_steps, pct_start=0.08)
    # Before the loader forks: a child that inherits OpenCV's thread pool without its threads waits for them for ever.
    cv2.setNumThreads(0)
    loader = torch.utils.data.DataLoader(_Windows(source, recipe, taught), batch_size=None, num_workers=n_workers)
    began, losses = time.monotonic(), []
    # Once it can outline, it is to outline as well without the surroundings.
    sides = (network.plan.side_px,) if start is None else (network.plan.side_px, network.plan.middle_px)
    for step, (images, labels) in enumerate(loader, start=1):
        shown = network.plan.middle(sides[step % len(sides)])
        images, labels = images[..., shown, shown], labels[..., shown, shown]
        batch = (images.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bfloat16()):
            logits = network(batch)
        loss = mask_loss(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        follow(average, network, min(recipe.averaging, step / (step + 10)))
        losses.append(float(loss.detach()))
        if step % recipe.save_every == 0 or step == recipe.n_steps:
            save_file({name: value.contiguous() for name, value in average.state_dict().items()}, out)
            report(step, float(np.mean(losses[-recipe.save_every :])), time.monotonic() - began)
    return average


def _freeze_norms(network: CellMaskNet) -> None:
    """Let batches be normed as they will be at run time: those of the middle differ from whole windows in their means.

    Each normed by its own, nuclei would come out a tenth larger of the one than of the other.
    """
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """2 |a ∩ b| / (|a| + |b|) of two bool arrays; 1 if both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def upright_window(cell: LabelledCell, diameter_um: float) -> tuple[np.ndarray, np.ndarray]:
    """A labelled picture as the network sees it when its cell measures `diameter_um`, neither turned nor restained.

    Returns (128, 128, 3) uint8 RGB and (128, 128, 2) bool of cell and nucleus.
    """
    scale = diameter_um / UM_PER_PX / cell.diameter
    level = 0 if scale > 0.6 else 1 if scale > 0.3 else 2
    factor = scale * 2**level
    centre = (np.array(cell.centre) + 0.5) / 2**level - 0.5
    matrix = np.column_stack([np.eye(2) * factor, (SIDE_PX - 1) / 2 - factor * centre])
    side = (SIDE_PX, SIDE_PX)
    rgb = cv2.warpAffine(cell.pictures[level], matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return rgb, cv2.warpAffine(cell.masks[level], matrix, side, flags=cv2.INTER_LINEAR) > 0.5


def dice_of_cells(
    segment: Callable[[np.ndarray], list[tuple[np.ndarray, np.ndarray]]], cells: list[LabelledCell], diameter_um: float
) -> np.ndarray:
    """Dice of whole cell and nucleus of every picture at one assumed diameter, (N, 2).

    `segment` takes (N, 128, 128, 3) uint8 and returns N pairs of (128, 128) bool: cell and nucleus.
    """
    pairs = [upright_window(cell, diameter_um) for cell in cells]
    found = segment(np.stack([rgb for rgb, _ in pairs]))
    return np.array(
        [[dice(c, truth[..., 0]), dice(n, truth[..., 1])] for (c, n), (_, truth) in zip(found, pairs, strict=True)]
    )
