"""Where a run computes: CPU, one GPU, or one process a GPU under torchrun; and in which precision.

Under ``torchrun -m smearscan.cli.main train …`` every process has its share of each batch, and gradients are averaged.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from types import TracebackType
from typing import Any, Literal

import torch
from torch import nn

from smearscan.errors import SettingsError, SmearscanError
from smearscan.models.infer import multiplies_bfloat16

Precision = Literal["auto", "float32", "bfloat16", "float16"]
#: The others wait while the first looks for duplicates, validates and tests: hours on a large set from a slow disk. A
#: process that is lost ends the rest at once whatever this says, by torchrun.
_PATIENCE = timedelta(hours=12)
#: Exit codes, as the command line's.
_FAILED, _INTERRUPTED = 2, 130


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
            model = synchronised(model)
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

    def any_has(self, flag: bool) -> bool:
        """Whether it holds in any of the processes; the same answer in all."""
        if self.world == 1:
            return flag
        told = torch.tensor(float(flag), device=self.device)
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        return bool(told.item())

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the group, all together; after an error say what it was and end this process at once.

        What clears up after an error waits for the other processes, which wait for this one; torchrun ends them as
        soon as it has ended.
        """
        if self.world == 1:
            return
        if error is None:
            # The group's threads end with its last user, and the network spread over the processes is one, in a cycle.
            # A thread that outlives the interpreter aborts the process now and then, after all has been written.
            gc.collect()
            torch.distributed.destroy_process_group()
            return
        is_stopped = isinstance(error, KeyboardInterrupt)
        if is_stopped:
            told = "stopped; the same command goes on where it was" if self.is_first else ""
        else:
            is_ours = isinstance(error, SmearscanError)
            told = f"Error: {error}" if is_ours else "".join(traceback.format_exception(error))
        print(told, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_INTERRUPTED if is_stopped else _FAILED)


def synchronised(model: nn.Module) -> nn.Module:
    """The network with batch norms that see the images of all processes; its weights stay the same tensors.

    By timm: torch's own conversion drops the activation that timm keeps inside a norm. Neither must be done twice.
    """
    if any(isinstance(module, nn.SyncBatchNorm) for module in model.modules()):
        return model
    from timm.layers import convert_sync_batchnorm

    converted: nn.Module = convert_sync_batchnorm(model)
    return converted


def open_place(device: str = "auto", precision: Precision = "auto") -> Place:
    """Find out where this process computes.

    Parameters
    ----------
    device
        "auto" takes CUDA where there is one; under torchrun each process takes the GPU of its local rank.
    precision
        "auto" is bfloat16 where the processor multiplies it natively, float16 on older GPUs, else float32.

    Raises
    ------
    SettingsError
        If there are more processes than GPUs.
    """
    rank, world = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        device = _own_device(device)
        if device != "cpu":
            torch.cuda.set_device(device)  # what is broadcast goes by way of this GPU
        # Its functions take the group of the moment for their default: loaded later, they keep the group, and its
        # threads, for as long as the process lives.
        import_module("torch.distributed.nn.functional")
        torch.distributed.init_process_group("gloo" if device == "cpu" else "nccl", timeout=_PATIENCE)
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.device(device)
    if where.type == "cuda":
        torch.backends.cudnn.deterministic = True  # the nearest to the same bytes that a GPU comes
    return Place(where, _dtype(where, precision), rank, world)


def _own_device(device: str) -> str:
    """The GPU of this process' number on its machine, or the CPU."""
    if device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    number, n_gpus = torch.distributed.get_node_local_rank(), torch.cuda.device_count()
    if number >= n_gpus:
        raise SettingsError(
            f"process {number + 1} of this machine has no GPU of its own: there are {n_gpus}",
            f"start torchrun with --nproc-per-node {n_gpus}",
        )
    return f"cuda:{number}"


def _dtype(device: torch.device, precision: Precision) -> torch.dtype:
    if precision != "auto":
        dtype: torch.dtype = getattr(torch, precision)
        return dtype
    if multiplies_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else torch.float32
