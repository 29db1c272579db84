"""Trains the YOLO detector: own data stream, ultralytics' network and loss, weights averaged over time.

Nothing is downloaded: the network starts from random weights, or from a checkpoint of this loop. What it is fed
stands in `detector_corpus`, which is also what is run.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from smearscan.detect.network import build_network, quiet_ultralytics
from smearscan.resources import has_native_bfloat16
from smearscan.train.averages import follow
from smearscan.train.detector_tiles import TileMaker


@dataclass(frozen=True, slots=True)
class DetectorRecipe:
    """How the detector is trained."""

    seconds: float = 1800.0
    batch_size: int = 16
    lr: float = 2e-3
    final_lr: float = 0.01
    weight_decay: float = 5e-4
    warmup_steps: int = 150
    ema_decay: float = 0.999
    seed: int = 0
    n_workers: int = 1
    checkpoint_every: int = 250


class _Tiles(torch.utils.data.Dataset):
    def __init__(self, maker: TileMaker) -> None:
        self._maker = maker

    def __len__(self) -> int:
        return 1 << 40

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._maker(index)


def _collate(items: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, torch.Tensor]:
    images = torch.from_numpy(np.stack([rgb for rgb, _ in items]))
    side = items[0][0].shape[0]
    owner = np.concatenate([np.full(len(boxes), i) for i, (_, boxes) in enumerate(items)])
    corners = np.concatenate([boxes for _, boxes in items]) / side
    centres = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], 1)
    return {
        "img": images,
        "batch_idx": torch.from_numpy(owner.astype(np.float32)),
        "cls": torch.zeros(len(owner), 1),
        "bboxes": torch.from_numpy(centres.astype(np.float32)),
    }


def _stream(maker: TileMaker, recipe: DetectorRecipe) -> Iterator[dict[str, torch.Tensor]]:
    import cv2

    # Before the loader forks: a child that inherits OpenCV's thread pool without its threads waits for them for ever.
    cv2.setNumThreads(0)
    indices = range(1 << 40)
    loader = torch.utils.data.DataLoader(
        _Tiles(maker),
        batch_size=recipe.batch_size,
        sampler=indices,  # type: ignore[arg-type]  # an endless range: tile i of a seed is always the same
        num_workers=recipe.n_workers,
        collate_fn=_collate,
        prefetch_factor=6 if recipe.n_workers else None,
    )
    return iter(loader)


def _loss_of(network: torch.nn.Module) -> Any:
    with quiet_ultralytics():
        from ultralytics.utils.loss import v8DetectionLoss
    network.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)  # type: ignore[assignment]  # YOLO11's gains
    return v8DetectionLoss(network)


def _optimiser(network: torch.nn.Module, recipe: DetectorRecipe) -> torch.optim.Optimizer:
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decay, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.999))


def train_detector(maker: TileMaker, out: Path, recipe: DetectorRecipe, start: Path | None = None) -> Path:
    """Train for `recipe.seconds` of wall time and write the averaged weights.

    The learning rate follows a cosine over the time, not over a number of steps, so that a shared machine ends on
    time. Checkpoints in `out` hold what is needed to go on or to evaluate meanwhile.

    Returns
    -------
    Path of the last checkpoint, a torch file with the averaged `weights` (float32).
    """
    torch.manual_seed(recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    network = build_network().to(memory_format=torch.channels_last)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True)["weights"])
    criterion = _loss_of(network)
    average = copy.deepcopy(network).eval()
    optimiser = _optimiser(network, recipe)
    began, step, path = time.monotonic(), 0, out / "last.pt"
    smooth = np.zeros(3)
    for batch in _stream(maker, recipe):
        done = (time.monotonic() - began) / recipe.seconds
        if done >= 1:
            break
        rate = recipe.lr * (recipe.final_lr + (1 - recipe.final_lr) * 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / recipe.warmup_steps)
        parts = _step(network, criterion, optimiser, batch)
        follow(average, network, min(recipe.ema_decay, (step + 1) / (step + 20)))
        smooth = parts if step == 0 else 0.98 * smooth + 0.02 * parts
        step += 1
        if step % recipe.checkpoint_every == 0:
            print(f"step {step} {done:.0%} lr {rate:.2e} box/class/dfl {np.round(smooth, 3)}", flush=True)
            torch.save({"weights": average.state_dict(), "step": step}, path)
    torch.save({"weights": average.state_dict(), "step": step}, path)
    return path


def _step(
    network: torch.nn.Module, criterion: Any, optimiser: torch.optim.Optimizer, batch: dict[str, torch.Tensor]
) -> np.ndarray:
    image = batch["img"].permute(0, 3, 1, 2).float().div_(255).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16, enabled=has_native_bfloat16()):
        found = network(image)
    found = {k: v.float() if torch.is_tensor(v) else v for k, v in found.items()}
    loss, _ = criterion(found, {**batch, "img": image})
    optimiser.zero_grad(set_to_none=True)
    (loss.sum() / len(image)).backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
    optimiser.step()
    return (loss.detach() / len(image)).numpy()
