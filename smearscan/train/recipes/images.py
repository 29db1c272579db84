"""Images as a recipe's network is shown them: read, resized, changed, standardised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from smearscan.crops.mask import is_on_black
from smearscan.datasets.files import read_sample
from smearscan.datasets.samples import SampleSet
from smearscan.errors import SettingsError, UnreadableSlideError
from smearscan.models.cards import InputCard
from smearscan.models.whole_image import whole_image
from smearscan.train.recipes.balance import Row, copied
from smearscan.train.recipes.looks import image_changes, standardised_changes
from smearscan.train.recipes.recipe import Recipe
from smearscan.train.recipes.seeds import IMAGE, torch_seed

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Images that mean and deviation of the training set are measured on: more change the third digit no longer.
_MEASURED = 1000
#: Images whose background is looked at before anything is trained.
_LOOKED_AT = 24
#: A channel without any relief is not blown up.
_LEAST_VARIANCE = 1e-4
#: What the cell networks that come with the package refuse; a recipe of coarser pixels takes its own.
_COARSEST_UM = 0.6


def standardised(rgb: np.ndarray | Tensor, card: InputCard) -> Tensor:
    """(3, S, S) float32 of an image (S, S, 3) or (3, S, S) uint8."""
    x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1))) if isinstance(rgb, np.ndarray) else rgb
    mean, sd = (torch.tensor(triple)[:, None, None] for triple in (card.mean, card.sd))
    return (x.float().div(255) - mean) / sd


def row_picture(sample_set: SampleSet, row: Row, card: InputCard) -> np.ndarray:
    """A row's image as (S, S, 3) uint8 RGB, S the card's side.

    Raises
    ------
    UnreadableSlideError
        If the file is absent, truncated or no image.
    """
    return copied(whole_image(read_sample(sample_set, row.sample), card), row.copy)


def input_of(recipe: Recipe, sample_set: SampleSet, training: Sequence[Row]) -> InputCard:
    """The input a recipe asks for; `trainset` measures mean and sd on training images alone, evenly taken of them."""
    part = recipe.input
    card = InputCard(
        window_um=part.window_um,
        um_per_px=part.window_um / part.side_px,
        side_px=part.side_px,
        background=part.background,
        coarsest_um_per_px=max(_COARSEST_UM, part.window_um / part.side_px),
        takes=part.takes,
    )
    if part.normalise == "unit":
        return card
    if part.normalise == "imagenet":
        return card.model_copy(update={"mean": _IMAGENET[0], "sd": _IMAGENET[1]})
    chosen = np.unique(np.linspace(0, len(training) - 1, min(len(training), _MEASURED)).astype(int))
    sums, squares = np.zeros(3), np.zeros(3)
    for i in chosen:
        pixels = row_picture(sample_set, training[i], card).reshape(-1, 3) / 255
        sums, squares = sums + pixels.mean(0), squares + (pixels**2).mean(0)
    mean = sums / len(chosen)
    sd = np.sqrt(np.maximum(squares / len(chosen) - mean**2, _LEAST_VARIANCE))
    return card.model_copy(update={"mean": _triple(mean), "sd": _triple(sd)})


def check_background(recipe: Recipe, sample_set: SampleSet, training: Sequence[Row]) -> None:
    """Refuse images of cells that are not masked as live cells will be: a network trained on others only guesses.

    Raises
    ------
    SettingsError
        With what the images, evenly taken, are.
    """
    if recipe.input.takes != "cell":
        return
    chosen = np.unique(np.linspace(0, len(training) - 1, min(len(training), _LOOKED_AT)).astype(int))
    n_black = sum(is_on_black(read_sample(sample_set, training[i].sample)) for i in chosen)
    are = "black" if 2 * n_black > len(chosen) else "kept"
    if are != recipe.input.background:
        raise SettingsError(
            f"{sample_set.root}: {n_black} of {len(chosen)} images are black around their cell, but recipe "
            f"{recipe.name} says {recipe.input.background}: cells of slides would be shown otherwise",
            f"--set input.background={are}, or --set input.takes=image if it is never to judge cells of slides",
        )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    r, g, b = (round(float(v), 6) for v in values)
    return (r, g, b)


#: An image and its class, or why there is none: an error that crosses a process' border becomes its traceback's text.
Item = tuple[Tensor, int] | UnreadableSlideError


def batches(images: Dataset[Item], n_workers: int, **given: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (N, 3, S, S) and classes (N,), batch by batch, as DataLoader is told in `given`.

    Raises
    ------
    UnreadableSlideError
        In its own words, whichever process met it.
    """
    for batch in DataLoader(images, num_workers=n_workers, collate_fn=_collated, **given):
        if isinstance(batch, UnreadableSlideError):
            raise batch
        yield batch


def _collated(items: list[Item]) -> Any:
    return next((item for item in items if isinstance(item, UnreadableSlideError)), None) or default_collate(items)


class TrainingImages(Dataset[Item]):
    """Training images by (epoch, place in the epoch, row): the same changes whoever asks, and in whatever order."""

    def __init__(self, sample_set: SampleSet, rows: Sequence[Row], card: InputCard, recipe: Recipe) -> None:
        self._set, self._rows, self._card = sample_set, rows, card
        self._labels = sample_set.labels([row.sample for row in rows])
        self._seed = recipe.seed
        self._early = image_changes(recipe.augment, recipe.rival)
        self._late = standardised_changes(recipe.rival)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: tuple[int, int, int]) -> Item:
        epoch, place, number = key
        try:
            rgb = row_picture(self._set, self._rows[number], self._card)
        except UnreadableSlideError as error:
            return error
        x = torch.from_numpy(np.ascontiguousarray(rgb.transpose(2, 0, 1)))
        with torch_seed(self._seed, IMAGE, epoch, place):
            changed = self._late(standardised(self._early(x), self._card))
        return changed, self._labels[number]


class PlainImages(Dataset[Item]):
    """Images as they are, for validation; label -1 where there is none."""

    def __init__(self, sample_set: SampleSet, rows: Sequence[Row], card: InputCard) -> None:
        self._set, self._rows, self._card = sample_set, rows, card
        self._labels = sample_set.labels([row.sample for row in rows])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, number: int) -> Item:
        try:
            rgb = row_picture(self._set, self._rows[number], self._card)
        except UnreadableSlideError as error:
            return error
        return standardised(rgb, self._card), self._labels[number]
