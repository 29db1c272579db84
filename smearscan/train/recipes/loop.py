"""The training loop of all recipes: steps, validation, what is kept, and going on where it was stopped.

Batches, changes of images and dropout depend on the seed and the place in the run alone; together with the checkpoint
a run that was stopped ends with the same bytes as one that was not, on one device and with one number of threads.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from smearscan.datasets.samples import SampleSet
from smearscan.errors import SettingsError, TrainingError, UnreadableSlideError
from smearscan.models.cards import InputCard
from smearscan.train.recipes.balance import Row
from smearscan.train.recipes.checkpoint import State, load_checkpoint, save_checkpoint
from smearscan.train.recipes.history import write_history
from smearscan.train.recipes.images import PlainImages, TrainingImages, batches
from smearscan.train.recipes.looks import batch_changes
from smearscan.train.recipes.losses import recipe_loss
from smearscan.train.recipes.optimisers import make_optimiser
from smearscan.train.recipes.place import Place
from smearscan.train.recipes.recipe import Recipe, SchedulePart
from smearscan.train.recipes.schedules import Schedule
from smearscan.train.recipes.seeds import BATCH, ORDER, generator, torch_seed
from smearscan.train.recipes.stages import Streams, freeze, is_tuned, stage_input
from smearscan.train.recipes.stop import Stop

#: Work done, work in all, what to say beside it.
Report = Callable[[float, float, str], None]
#: Words of the errors that torch, cuDNN and cuBLAS raise without memory left.
_NO_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "alloc_failed")
#: Epochs of the second stage are numbered from here in what is drawn.
_SECOND = 1_000_000
#: An epoch may last hours: a kill loses no more than this.
_SAVE_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class Task:
    """One model to train: recipe, images, and the folder its checkpoint and log go to.

    `described` makes the card's text that a checkpoint carries, so that `smearscan evaluate` can judge it as it stands.
    """

    recipe: Recipe
    sample_set: SampleSet
    training: Sequence[Row]
    validation: Sequence[Row]
    card: InputCard
    folder: Path
    run: str
    n_workers: int = 0
    described: Callable[[InputCard], str] = lambda card: ""


class Trainer:
    """Trains one model; `run` may be called again after it was stopped, by this object's like in another process."""

    def __init__(self, model: nn.Module, task: Task, place: Place, report: Report, say: Callable[[str], None]) -> None:
        self._task, self._place, self._report, self._say = task, place, report, say
        self._model = model.to(place.device).to(memory_format=torch.channels_last)
        self._best: dict[str, Tensor] = {}
        self._saved_at = time.monotonic()
        self._checkpoint = task.folder / "checkpoint.pt"
        found = load_checkpoint(self._checkpoint, task.run)
        self.state = found[0] if found else State()
        if found:
            self._model.load_state_dict(found[1]["model"])
            self._best = {key: tensor.to(place.device) for key, tensor in found[1]["best"].items()}
            say(f"goes on at epoch {self.state.epoch + 1}, batch {self.state.batch + 1}")
        self._begin_stage()
        if found:
            self._optimiser.load_state_dict(found[1]["optimiser"])
            self._schedule.load(found[1]["schedule"])
            self._scaler.load_state_dict(found[1]["scaler"])

    def run(self) -> nn.Module:
        """Train to the end and return the network with the weights that are kept, in evaluation mode.

        Raises
        ------
        TrainingError
            If the loss is no number any more, or a batch of two does not fit into memory.
        KeyboardInterrupt
            If it was asked to stop; the checkpoint is written.
        """
        n_stages = 1 if self._task.recipe.fixres is None else 2
        with Stop() as stop:
            while True:
                while self.state.epoch < self._n_epochs and not self._is_stale():
                    try:
                        self._epoch(stop)
                    except UnreadableSlideError:
                        self._save()  # an image that cannot be read is mended and the run goes on
                        raise
                if self.state.stage + 1 >= n_stages:
                    break
                self._model.load_state_dict(self._best)
                fresh = State(stage=1, parts=self.state.parts, history=self.state.history)
                self.state = fresh
                self._begin_stage()
                self._save()
        self._model.load_state_dict(self._best)
        return self._model.eval()

    @property
    def card(self) -> InputCard:
        """The input of the stage that is trained."""
        return stage_input(self._task.card, self._task.recipe, self.state.stage)

    def _begin_stage(self) -> None:
        task, recipe = self._task, self._task.recipe
        optimiser, schedule, self._n_epochs = recipe.optimiser, recipe.schedule, recipe.epochs
        self._tuned: tuple[str, ...] = ()
        if self.state.stage == 1 and recipe.fixres is not None:
            optimiser = optimiser.model_copy(update={"rate": recipe.fixres.rate})
            schedule, self._n_epochs = SchedulePart(), recipe.fixres.epochs
            self._tuned = recipe.fixres.layers
            freeze(self._model, self._tuned)
        self._n_batch = min(recipe.batch, len(task.training))
        if self._n_batch < self._place.world:
            raise SettingsError(
                f"{self._place.world} processes cannot share batches of {self._n_batch} images",
                "start fewer, or --set batch to more",
            )
        self._images = TrainingImages(task.sample_set, task.training, self.card, recipe)
        n_steps = len(self._batches(0))
        self._optimiser = make_optimiser((p for p in self._model.parameters() if p.requires_grad), optimiser)
        self._schedule = Schedule(self._optimiser, schedule, optimiser.rate, n_steps, self._n_epochs)
        self._scaler = self._place.scaler()
        self._spread = self._place.spread(Streams(self._model))
        self._mix = batch_changes(recipe.rival, len(task.sample_set.classes))

    def _is_stale(self) -> bool:
        patience = self._task.recipe.patience
        return patience is not None and self.state.waited >= patience

    def _key(self) -> int:
        return self.state.stage * _SECOND + self.state.epoch

    def _batches(self, key: int) -> list[list[tuple[int, int, int]]]:
        """All batches of an epoch, as this process sees them: (epoch, place, row) of each image."""
        recipe, n, world = self._task.recipe, len(self._task.training), self._place.world
        order = generator(recipe.seed, ORDER, key).permutation(n).tolist()
        keys = [(key, place, row) for place, row in enumerate(order)]
        # A last, smaller batch would weigh its images more; of a set smaller than a batch it is all there is.
        whole = range(0, max(1, n - recipe.batch + 1), recipe.batch)
        return [keys[start : start + recipe.batch][self._place.rank :: world] for start in whole]

    def _epoch(self, stop: Stop) -> None:
        state, recipe = self.state, self._task.recipe
        self._train_mode()
        drawn = self._batches(self._key())
        for images, labels in batches(self._images, self._task.n_workers, batch_sampler=drawn[state.batch :]):
            self._schedule.before_step(state.epoch * len(drawn) + state.batch)
            self._step(images, labels)
            state.batch += 1
            done, total = state.epoch * len(drawn) + state.batch, self._n_epochs * len(drawn)
            self._report(done, total, f"epoch {state.epoch + 1}, loss {state.loss_sum / max(1, state.n_seen):.4f}")
            if self._place.any_has(stop.asked):
                self._save()
                raise KeyboardInterrupt
            if time.monotonic() - self._saved_at > _SAVE_EVERY_S:
                self._save()
        rate = float(self._optimiser.param_groups[0]["lr"])
        row: dict[str, Any] = {"stage": state.stage, "epoch": state.epoch + 1, "rate": rate}
        row |= {"train_loss": state.loss_sum / state.n_seen, "train_accuracy": state.n_right / state.n_seen}
        loss, accuracy = self._place.agreed(self._validate() if self._place.is_first else None)
        if not math.isfinite(loss):
            raise self._no_number(loss, "validation")  # what was stepped onto is not kept
        row |= {"validation_loss": loss, "validation_accuracy": accuracy}
        self._schedule.after_epoch(loss)
        score = {"accuracy": accuracy, "loss": -loss, "last": float(state.epoch)}[recipe.keep]
        state.history.append(row)
        state.waited += 1
        if state.best is None or score > state.best:
            state.best, state.best_epoch, state.waited = score, state.epoch + 1, 0
            self._best = copy.deepcopy(self._model.state_dict())
        state.epoch, state.batch, state.loss_sum, state.n_right, state.n_seen = state.epoch + 1, 0, 0.0, 0, 0
        self._save()
        if self._place.is_first:
            write_history(self._task.folder / "log.csv", state.history)

    def _step(self, images: Tensor, labels: Tensor) -> None:
        images = images.to(self._place.device, memory_format=torch.channels_last)
        labels = labels.to(self._place.device)
        while True:
            try:
                with torch_seed(self._task.recipe.seed, BATCH, self._key(), self.state.batch, self._place.rank):
                    loss, n_right = self._backward(images, labels)
                break
            except (RuntimeError, MemoryError) as error:
                self._halve(error, len(images))
        if self._place.any_has(not math.isfinite(loss)):
            raise self._no_number(loss, f"batch {self.state.batch + 1}")
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self.state.loss_sum += loss * len(images)
        self.state.n_right += n_right
        self.state.n_seen += len(images)

    def _no_number(self, loss: float, where: str) -> TrainingError:
        what = "no number in another process" if math.isfinite(loss) else str(loss)
        return TrainingError(
            f"{self._task.recipe.name}: the loss is {what} in epoch {self.state.epoch + 1}, {where}; "
            f"what was reached before stands in {self._task.folder}",
            "begin anew in another --out with a smaller rate: --set optimiser.rate=…, or with --precision float32",
        )

    def _backward(self, images: Tensor, labels: Tensor) -> tuple[float, int]:
        """Gradients of one batch, in as many pieces as memory asks for: its mean loss, and how many were right."""
        recipe, n_classes = self._task.recipe, len(self._task.sample_set.classes)
        self._optimiser.zero_grad()
        targets = functional.one_hot(labels, n_classes).float()
        if self._mix is not None:
            images, targets = self._mix(images, labels)
        total, n_right = 0.0, 0
        # Gradients are averaged over processes: where these do not have as many images each, an image counts alike.
        share = len(images) * self._place.world / self._n_batch
        pieces = zip(images.tensor_split(self.state.parts), targets.tensor_split(self.state.parts), strict=True)
        for x, wanted in pieces:
            with self._place.autocast():
                logits = self._spread(x)
            loss = recipe_loss(logits, wanted, recipe.loss) * (len(x) / len(images))
            self._scaler.scale(loss * share).backward()
            total += float(loss.detach())
            n_right += int((logits[0].argmax(1) == wanted.argmax(1)).sum())
        return total, n_right

    def _halve(self, error: Exception, n_images: int) -> None:
        """Cut batches into twice as many pieces after running out of memory; anything else is raised on."""
        is_memory = isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
            words in str(error).lower() for words in _NO_MEMORY
        )
        if not is_memory:
            raise error
        parts = self.state.parts * 2
        if n_images // parts < 2 or self._place.world > 1:
            raise TrainingError(
                f"{self._task.recipe.name}: {n_images // self.state.parts} images of {self.card.side_px} px do not fit "
                "into memory",
                "use a smaller --set input.side_px or batch, or a machine with more memory",
            ) from error
        self.state.parts = parts
        self._optimiser.zero_grad()
        if self._place.device.type == "cuda":
            torch.cuda.empty_cache()
        self._say(f"out of memory: batches are cut into {parts} pieces of about {n_images // parts} from here on")

    def _train_mode(self) -> None:
        self._spread.train()
        if self._tuned:
            for name, module in self._model.named_modules():
                if name and not is_tuned(name, self._tuned) and not any(True for _ in module.children()):
                    module.eval()

    @torch.no_grad()
    def _validate(self) -> tuple[float, float]:
        """Mean cross entropy and accuracy of the validation images."""
        task, loss, right, n = self._task, 0.0, 0, 0
        self._model.eval()
        shown = PlainImages(task.sample_set, task.validation, self.card)
        for images, labels in batches(shown, task.n_workers, batch_size=task.recipe.batch):
            images = images.to(self._place.device, memory_format=torch.channels_last)
            with self._place.autocast():
                logits = self._model(images)
            logits, labels = logits.float(), labels.to(self._place.device)
            loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(1) == labels).sum())
            n += len(labels)
        return loss / n, right / n

    def _save(self) -> None:
        self._saved_at = time.monotonic()
        if not self._place.is_first:
            return
        parts: dict[str, Any] = {
            "model": self._model.state_dict(),
            "best": self._best,
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state(),
            "scaler": self._scaler.state_dict(),
            "card": self._task.described(self.card),
        }
        save_checkpoint(self._checkpoint, self._task.run, self.state, parts)
