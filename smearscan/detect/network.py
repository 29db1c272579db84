"""The YOLO detector's network: every hyper-parameter on this page, built without touching home or network.

A slim YOLO11 (ultralytics' layers and `Detect` head). At 0.5 µm/px a leukocyte is 14–60 px wide, so two output
grids are enough: strides 8 and 16; stride 32 only lends context.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

#: Steps of the two output grids, px; inputs are multiples of 32, the deepest stride.
OUTPUT_STRIDES_PX = (8.0, 16.0)
#: Steps of the distribution a box's side is drawn from (ultralytics' `reg_max`).
N_BINS = 16

#: Layers as ultralytics reads them: [from, repeats, module, arguments].
ARCHITECTURE: dict[str, Any] = {
    "nc": 1,
    "backbone": [
        [-1, 1, "Conv", [16, 3, 2]],
        [-1, 1, "Conv", [32, 3, 2]],
        [-1, 1, "C3k2", [64, False, 0.25]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "C3k2", [128, False, 0.25]],  # 4: stride 8
        [-1, 1, "Conv", [128, 3, 2]],
        [-1, 1, "C3k2", [128, True]],  # 6: stride 16
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 1, "C3k2", [256, True]],
        [-1, 1, "SPPF", [256, 5]],  # 9: stride 32
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 6], 1, "Concat", [1]],
        [-1, 1, "C3k2", [128, False]],  # 12
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 4], 1, "Concat", [1]],
        [-1, 1, "C3k2", [64, False]],  # 15: stride 8 out
        [-1, 1, "Conv", [64, 3, 2]],
        [[-1, 12], 1, "Concat", [1]],
        [-1, 1, "C3k2", [128, False]],  # 18: stride 16 out
        [[15, 18], 1, "Detect", ["nc"]],
    ],
}


@contextmanager
def quiet_ultralytics() -> Iterator[None]:
    """Import ultralytics inside this: no look-up of hosts, no settings in the user's home, no printing.

    ultralytics reads these two variables when it is first imported; they are set for that moment only.
    It also sets OMP_NUM_THREADS, which is put back for the processes that are started later, and replaces Pillow's
    `Image.open` and `torch.save` by its own for the whole process: the first tries to install a package from the
    network when it meets a damaged image. Both are put back.
    """
    import torch
    from PIL import Image

    opening, saving = Image.open, torch.save
    names = ("YOLO_OFFLINE", "YOLO_CONFIG_DIR", "OMP_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    logger = logging.getLogger("ultralytics")
    with tempfile.TemporaryDirectory(prefix="smearscan-") as folder:
        os.environ["YOLO_OFFLINE"] = "true"
        os.environ["YOLO_CONFIG_DIR"] = folder
        was_disabled, logger.disabled = logger.disabled, True
        try:
            yield
        finally:
            logger.disabled = was_disabled
            Image.open, torch.save = opening, saving
            for name in names:
                os.environ.pop(name, None)
            os.environ.update(before)


def build_network() -> torch.nn.Module:
    """An untrained `DetectionModel` of `ARCHITECTURE`, in training mode, float32."""
    import copy

    with quiet_ultralytics():
        from ultralytics.nn.tasks import DetectionModel

        return DetectionModel(copy.deepcopy(ARCHITECTURE), ch=3, nc=ARCHITECTURE["nc"], verbose=False)
