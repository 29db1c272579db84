"""The learning rate at any point of a run: timm's schedulers, driven by the number of the step alone.

Only `plateau` has a state, torch's, which the checkpoint holds.
"""

from __future__ import annotations

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from smearscan.train.recipes.recipe import SchedulePart


class Schedule:
    """Sets an optimiser's rate.

    Parameters
    ----------
    part
        Which schedule.
    rate
        The full rate.
    steps_per_epoch, n_epochs
        Length of the run.
    """

    def __init__(
        self, optimiser: Optimizer, part: SchedulePart, rate: float, steps_per_epoch: int, n_epochs: int
    ) -> None:
        self._optimiser, self._rate = optimiser, rate
        self._warmup = round(part.warmup_epochs * steps_per_epoch)
        self._timm = _timm(optimiser, part, self._warmup, steps_per_epoch, n_epochs)
        self._plateau = (
            ReduceLROnPlateau(optimiser, factor=part.factor, patience=part.patience) if part.kind == "plateau" else None
        )

    def before_step(self, step: int) -> float:
        """Set the rate of the step of this number, counted from 0 over the whole run, and return it."""
        if self._timm is not None:
            # timm's first step of a warm-up has the rate 0: it would be lost.
            self._timm.step_update(step + 1 if step < self._warmup else step)
        elif step < self._warmup:
            self._set(self._rate * (step + 1) / self._warmup)
        elif step == self._warmup and self._warmup:
            self._set(self._rate)
        return float(self._optimiser.param_groups[0]["lr"])

    def after_epoch(self, validation_loss: float) -> None:
        """Let the plateau schedule look at an epoch's validation loss."""
        if self._plateau is not None:
            self._plateau.step(validation_loss)

    def state(self) -> dict[str, Any]:
        """What has to be kept to go on: nothing but for plateau."""
        return {} if self._plateau is None else self._plateau.state_dict()

    def load(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        if self._plateau is not None:
            self._plateau.load_state_dict(state)

    def _set(self, rate: float) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = rate


def _timm(optimiser: Optimizer, part: SchedulePart, warmup: int, steps_per_epoch: int, n_epochs: int) -> Any:
    from timm.scheduler.poly_lr import PolyLRScheduler
    from timm.scheduler.step_lr import StepLRScheduler

    # timm starts a warm-up at the rate 0 and reaches the full one at its end; its annotation of decay_t is too narrow.
    if part.kind == "step":
        every: Any = part.every_epochs * steps_per_epoch
        return StepLRScheduler(optimiser, every, part.factor, warmup_t=warmup, t_in_epochs=False)
    if part.kind == "polynomial":
        n_steps = max(2, n_epochs * steps_per_epoch - warmup)
        return PolyLRScheduler(
            optimiser, n_steps, part.power, warmup_t=warmup, warmup_prefix=warmup > 0, t_in_epochs=False
        )
    return None
