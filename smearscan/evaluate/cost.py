"""What a network costs: parameters, arithmetic of one image, images a second on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from smearscan.evaluate.models import Model
from smearscan.models.infer import BATCH_SIZE

#: Batches timed after one that warms up.
_N_TIMED = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one network.

    Attributes
    ----------
    n_parameters
        All of them.
    gflops
        Floating-point operations of one image forward, in 10⁹; a multiplication and its addition are two.
    images_per_s
        Through `infer`, input made already; of this machine, so no two runs give the same.
    device
        Where.
    """

    n_parameters: int
    gflops: float
    images_per_s: float
    device: str


def measure_cost(model: Model, device: str = "auto") -> Cost:
    """Count and time a model on pictures of noise."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network, side = model.package.model, model.card.input.side_px
    where = next(network.parameters()).device
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, side, side, device=where).to(memory_format=torch.channels_last))
    pictures = np.random.default_rng(0).integers(0, 256, (BATCH_SIZE, side, side, 3), np.uint8)
    model.probabilities(pictures, device)
    start = time.perf_counter()
    for _ in range(_N_TIMED):
        model.probabilities(pictures, device)
    seconds = time.perf_counter() - start
    return Cost(
        sum(p.numel() for p in network.parameters()),
        counter.get_total_flops() / 1e9,
        _N_TIMED * BATCH_SIZE / seconds,
        str(next((model.as_run or model.package).model.parameters()).device),
    )
