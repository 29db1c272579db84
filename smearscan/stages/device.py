"""Trouble with a GPU told from trouble with the work: no slide may fail because a device did."""

from __future__ import annotations

from smearscan.errors import TransientError

#: Words of errors after which nothing more can be computed in the process: its context on the device is lost.
_LASTING = (
    "CUDA error", "CUDNN_STATUS_EXECUTION_FAILED", "CUDNN_STATUS_INTERNAL_ERROR", "CUDNN_STATUS_MAPPING_ERROR",
    "CUBLAS_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_INTERNAL_ERROR",
)  # fmt: skip
#: Words of errors that say that its memory is taken, most often by another program.
_FULL = (
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",
)


class DeviceFullError(TransientError):
    """The GPU's memory is taken: the networks' batches have one size, so that no piece of work is to blame."""


class DeviceLostError(TransientError):
    """The GPU failed, and this process cannot use it any more; another one may."""


def device_trouble(error: Exception) -> TransientError | None:
    """What an error says of the GPU; None where it says nothing of one."""
    if not isinstance(error, RuntimeError):
        return None
    import torch

    words = str(error)
    first = words.splitlines()[0] if words else type(error).__name__
    if isinstance(error, torch.OutOfMemoryError) or any(part in words for part in _FULL):
        return DeviceFullError(f"the GPU's memory is taken ({first})", "end what else uses it; it is tried again")
    if isinstance(error, torch.AcceleratorError) or any(part in words for part in _LASTING):
        return DeviceLostError(f"the GPU failed ({first})", "look at the system's log for it; it is tried again")
    return None
