"""A run's state on disk: all that is needed to go on as if nothing had happened.

Written beside and renamed, so that a half-written one never carries the name. What is drawn depends on seed, epoch and
place alone (`seeds`), so no generator's state has to be kept beside these three.
"""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from smearscan.errors import SettingsError
from smearscan.report.atomic import writing

#: A checkpoint of another layout is refused, not guessed at.
_VERSION = 1


@dataclass(slots=True)
class State:
    """Where a run stands.

    Attributes
    ----------
    stage
        0 while it trains, 1 while FixRes tunes the last layers.
    epoch, batch
        Batches of this epoch that are done.
    loss_sum, n_right, n_seen
        Of this epoch's training images so far.
    best, best_epoch, waited
        Best validation score so far (larger is better), its epoch, epochs since.
    parts
        Pieces that a batch is cut into, since it did not fit into memory whole.
    history
        One row an epoch.
    """

    stage: int = 0
    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    n_right: int = 0
    n_seen: int = 0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    parts: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)


def save_checkpoint(path: Path, run: str, state: State, parts: dict[str, Any]) -> None:
    """Write a checkpoint.

    Parameters
    ----------
    run
        Digest of what is run: recipe, images, class of every image.
    parts
        States of network, best network, optimiser, schedule, scaler.

    Raises
    ------
    OutputError, TransientError
        If it cannot be written; the one before stays.
    """
    held = {"version": _VERSION, "run": run, "state": asdict(state), **parts}
    # Straight into the file: in memory it would be four times the network once more.
    with writing(path) as file:
        try:
            torch.save(held, file)
        except RuntimeError as error:
            # torch closes its archive after a write that failed, and says only that it could not.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path, run: str) -> tuple[State, dict[str, Any]] | None:
    """State and parts of a checkpoint, or None where there is none.

    Raises
    ------
    SettingsError
        If it is damaged, or of another run.
    """
    if not path.exists():
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise SettingsError(f"the checkpoint {path} cannot be read: {error}", "move it away to begin anew") from error
    if held.get("version") != _VERSION or held.get("run") != run:
        raise SettingsError(
            f"the checkpoint {path} is of another run: recipe or images differ",
            "give the recipe and images it was begun with, or another --out",
        )
    return State(**held["state"]), {k: v for k, v in held.items() if k not in ("version", "run", "state")}
