"""Which GPUs of this machine the networks run on, and how a process is given one of them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping

log = logging.getLogger(__name__)

#: Names the devices on which a convolution works: a driver that is too old counts GPUs that it cannot use, and a
#: library without code for one of them finds out when it computes.
_TRY = """
import sys, torch
for place in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
    try:
        picture, kernel = torch.ones(1, 3, 8, 8, device=place), torch.ones(4, 3, 3, 3, device=place)
        torch.nn.functional.conv2d(picture, kernel).cpu()
        print(place)
    except RuntimeError as error:
        print(f"GPU {place} cannot be used: {str(error).splitlines()[0]}", file=sys.stderr)
"""
#: Seconds that this may take; a driver that hangs must not keep a machine from working.
_PATIENCE_S = 120.0
_VISIBLE = "CUDA_VISIBLE_DEVICES"
#: What a process is told that must not touch a GPU: each would take memory of it.
BLIND: Mapping[str, str] = {_VISIBLE: ""}


def usable_gpus() -> list[dict[str, str]]:
    """For every GPU that works, what a process is told that shall see it alone; what does not work is logged.

    Asked in a process of its own: whoever asks goes on to fork, and shall hold no CUDA context.
    """
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _TRY], capture_output=True, text=True, timeout=_PATIENCE_S,
            env={**os.environ, **_order()},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        log.error("the GPUs' driver does not answer: the networks run on the processor")
        return []
    for line in asked.stderr.splitlines() if asked.returncode else _complaints(asked.stderr):
        log.error("%s", line)
    found = [_seeing(int(line)) for line in asked.stdout.split()]
    if not found and os.environ.get(_VISIBLE) != "" and (n_there := _count_all()):
        log.error("this machine has %d GPUs that PyTorch cannot use: the networks run on the processor", n_there)
    return found


def promised() -> str:
    """The GPUs that this process was told to use; empty where it was told none, or nothing."""
    return os.environ.get(_VISIBLE, "")


def _seeing(place: int) -> dict[str, str]:
    """What shows a process one GPU, counted among those that this process may see."""
    visible = os.environ.get(_VISIBLE)
    if visible is not None:  # numbers or names of some of them, in an order of their own
        return {_VISIBLE: visible.split(",")[place].strip()}
    return {_VISIBLE: str(place), **_order()}


def _order() -> dict[str, str]:
    """How GPUs are counted: as the driver's tools do, so that a number means the same GPU in the metrics.

    Where some were chosen by number, who chose them counted as their environment says.
    """
    return {} if _VISIBLE in os.environ else {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _complaints(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("GPU ")]


def _count_all() -> int:
    from workers.surroundings import gpus

    return len(gpus())
