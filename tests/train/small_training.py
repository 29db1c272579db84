"""A recipe that trains in a second, and what its tests ask of a run."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from smearscan.train.recipes.place import open_place
from smearscan.train.recipes.recipe import Recipe
from smearscan.train.recipes.run import Session

TINY: dict[str, Any] = {
    "name": "tiny",
    "summary": "a network for tests",
    "paper": "none, https://doi.org/",
    "row": "none",
    "network": "cnn_cbam",
    "options": {"widths": [4, 8], "head": "gap", "hidden": 8},
    "split": {"protocol": "paper-leaky"},
    "input": {"side_px": 32, "takes": "image", "background": "kept"},
    "augment": {"flip": True, "rotate_deg": 20, "brightness": 0.2},
    "optimiser": {"name": "ranger", "rate": 0.01},
    "schedule": {"kind": "plateau", "patience": 1, "factor": 0.5},
    "batch": 6,
    "epochs": 3,
}


def tiny_recipe(**changes: Any) -> Recipe:
    """`TINY` with these changes."""
    return Recipe.model_validate({**TINY, **changes})


def on_cpu(**changes: Any) -> Session:
    """A session on the processor, in float32."""
    return replace(Session(open_place("cpu", "float32")), **changes)


def files_of(out: Path) -> dict[str, bytes]:
    """What a run wrote, but for its checkpoint."""
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name != "checkpoint.pt"}


def stopping_at(*steps: int) -> Any:
    """A report that interrupts at these steps of the run, counted from 1, once each."""
    left = set(steps)

    def report(done: float, total: float, note: str) -> None:
        if done in left:
            left.discard(int(done))
            os.kill(os.getpid(), signal.SIGINT)

    return report
