"""What networks run on here, in words: the same words on two machines stand for the same bytes.

Sums of floating-point numbers come out differently in the last bits on another instruction set, in another number
format and with another version of the library. What a network made is therefore kept under these words too, and a run
is not shared by machines whose words differ.
"""

from __future__ import annotations

import platform
from functools import cache

from smearscan.models.infer import multiplies_bfloat16
from smearscan.resources import has_native_bfloat16

#: Instruction sets that sum in an order of their own, the one that is taken first before the others.
_INSTRUCTIONS = {
    "amx_bf16": "amx", "avx512_bf16": "avx512-bf16", "avx512_f": "avx512", "avx2": "avx2",
}  # fmt: skip


@cache
def cpu_runtime() -> str:
    """What the detector and the mask network run on, whatever GPU there is: ``cpu amx bfloat16, torch 2.8.0``."""
    import torch

    capable = torch.cpu.get_capabilities()
    instructions = next((name for key, name in _INSTRUCTIONS.items() if capable.get(key)), platform.machine())
    precision = "bfloat16" if has_native_bfloat16() else "float32"
    return f"cpu {instructions} {precision}, torch {torch.__version__}"


@cache
def runtime() -> str:
    """What `infer` runs on: the first GPU, or one like it (`take_gpu`), where there is one, else the CPU."""
    import torch

    if not torch.cuda.is_available():
        return cpu_runtime()
    precision = "bfloat16" if multiplies_bfloat16(torch.device("cuda")) else "float32"
    return f"cuda {torch.cuda.get_device_name()} {precision}, torch {torch.__version__}"


def take_gpu(place: int) -> None:
    """Let this process run networks on one of the GPUs that are like the first, in turns by its place among others.

    GPUs of another name, which would give other last digits, are left alone. To be called before anything is computed.
    """
    import torch

    n = torch.cuda.device_count() if torch.cuda.is_available() else 0
    alike = [gpu for gpu in range(n) if torch.cuda.get_device_name(gpu) == torch.cuda.get_device_name(0)]
    if len(alike) > 1:
        torch.cuda.set_device(alike[place % len(alike)])
