"""Where a run computes: CPU, one GPU, or one process a GPU under torchrun; and in which precision.

Under ``torchrun -m smearscan.cli.main train …`` every process has its share of each batch, and gradients are averaged.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from smearscan.models.infer import has_native_bfloat16

Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class Place:
    """One process' part in a run.

    Attributes
    ----------
    device
        What it computes on.
    precision
        What matrices are multiplied in; weights and sums stay float32.
    rank, world
        Number of this process, and of all.
    """

    device: torch.device
    precision: torch.dtype
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def autocast(self) -> AbstractContextManager[Any]:
        """Mixed precision for the forward pass."""
        return torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss in float16, where small gradients vanish; does nothing otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)

    def spread(self, model: nn.Module) -> nn.Module:
        """The network with its gradients averaged over all processes; batch norms see the whole batch on GPUs."""
        if self.world == 1:
            return model
        if self.device.type == "cuda":
            model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return nn.parallel.DistributedDataParallel(
            model, device_ids=[self.device] if self.device.type == "cuda" else None
        )

    def agreed(self, value: Any) -> Any:
        """The first process' value, in all of them."""
        if self.world == 1:
            return value
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0)
        return box[0]

    def close(self) -> None:
        """Leave the group of processes."""
        if self.world > 1:
            torch.distributed.destroy_process_group()


def open_place(device: str = "auto", precision: Precision = "auto") -> Place:
    """Find out where this process computes.

    Parameters
    ----------
    device
        "auto" takes CUDA where there is one; under torchrun each process takes the GPU of its local rank.
    precision
        "auto" is bfloat16 where the processor multiplies it natively, float16 on older GPUs, else float32.
    """
    rank, world = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        on_gpu = torch.cuda.is_available() and device != "cpu"
        torch.distributed.init_process_group("nccl" if on_gpu else "gloo")
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        device = f"cuda:{torch.distributed.get_node_local_rank()}" if on_gpu else "cpu"
        if on_gpu:
            torch.cuda.set_device(device)  # what is broadcast goes by way of this GPU
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.device(device)
    return Place(where, _dtype(where, precision), rank, world)


def _dtype(device: torch.device, precision: Precision) -> torch.dtype:
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if has_native_bfloat16() else torch.float32
