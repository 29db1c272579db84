"""What a card says of how its network came to be: every cycle, each going on from the weights of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smearscan.train.fit import Recipe

#: What an earlier card says that more training does not make untrue.
_LASTING = ("shown",)


def training_told(command: str, recipe: Recipe, before: Mapping[str, Any], remark: str = "") -> dict[str, Any]:
    """The card's table of training after one more cycle.

    Parameters
    ----------
    before
        The table of the package that was gone on from, empty for a network from scratch. What it says of the weights
        is not kept: these are others.
    remark
        What was special about this cycle.
    """
    cycle = f"{recipe.steps} of {recipe.batch} cells at a rate of {recipe.rate:g}, seed {recipe.seed}"
    mixing = f"styles mixed at each early block with a chance of {recipe.mixing:g}" if recipe.mixing else ""
    return {name: before[name] for name in _LASTING if name in before} | {
        "command": command,
        "steps": before.get("steps", 0) + recipe.steps,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "cycles": "; ".join(filter(None, [before.get("cycles"), ", ".join(filter(None, [cycle, mixing, remark]))])),
        "kept": "running average of the weights at the last step; no epoch was selected",
    }
