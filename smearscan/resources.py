"""What a process finds here: the files that travel with the package, configs and weights, and what its processors can.

In a checkout `configs/` stands beside the package; in a wheel the build puts it inside.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def configs_folder() -> Path:
    """Folder of presets, model cards, recipes and thresholds."""
    inside = _PACKAGE / "configs"
    return inside if inside.is_dir() else _PACKAGE.parent / "configs"


def weights_folder() -> Path:
    """Folder of the shipped safetensors files."""
    return _PACKAGE / "models" / "weights"


def n_processors() -> int:
    """Processors that this process may use, at least 1: all of the machine's where the system cannot say (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_native_bfloat16() -> bool:
    """Whether the processor multiplies in bfloat16 (AVX512-BF16 or AMX); emulated it would only be slower."""
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
