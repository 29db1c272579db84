"""Who trains, who chooses the epoch, who tests: the set's splits, with the recipe's copies of the training images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import LEAKY_NOTE, Split, default_protocol, make_splits
from smearscan.errors import DatasetError, SettingsError
from smearscan.train.recipes.balance import Row, rows_of
from smearscan.train.recipes.recipe import Recipe
from smearscan.train.recipes.seeds import COPIES, generator

#: Copies of one image on both sides: Jiang's own order of things.
COPIES_LEAKY = "copies-leaky"
_SHARES = (0.8, 0.1, 0.1)


@dataclass(frozen=True, slots=True)
class Division:
    """One model's images.

    Attributes
    ----------
    split
        Who is on which side; of `copies-leaky`, whose originals stand on all sides, the test images alone.
    training, validation, test
        Rows; copies are made of training rows only, unless the split is leaky.
    submission
        Rows without label, of the parts that are only predicted.
    """

    split: Split
    training: tuple[Row, ...]
    validation: tuple[Row, ...]
    test: tuple[Row, ...]
    submission: tuple[Row, ...] = ()

    @property
    def name(self) -> str:
        """Of the fold, as its folder is called."""
        return self.split.name


def divisions(sample_set: SampleSet, recipe: Recipe, alike: Iterable[Sequence[str]] = ()) -> list[Division]:
    """The models a recipe trains, in the order of their folds.

    Parameters
    ----------
    alike
        Groups of paths that show the same, kept on one side.

    Raises
    ------
    SettingsError
        If there is no such protocol or fold.
    DatasetError
        If the set does not have what the protocol needs, or has one class alone: there is nothing to tell apart.
    """
    if len(sample_set.classes) < 2:
        raise DatasetError(f"{sample_set.root}: one class alone: {', '.join(sample_set.classes)}", "add another class")
    if recipe.split.protocol == COPIES_LEAKY:
        made = [_copies_first(sample_set, recipe)]
    else:
        protocol = recipe.split.protocol or default_protocol(sample_set)
        splits = make_splits(sample_set, protocol, seed=recipe.split.seed, alike=alike)
        made = [_division(sample_set, recipe, split) for split in splits]
    if recipe.split.fold is None:
        return made
    if recipe.split.fold > len(made):
        raise SettingsError(f"there is no fold {recipe.split.fold}", f"the protocol has {len(made)}")
    return [made[recipe.split.fold - 1]]


def _division(sample_set: SampleSet, recipe: Recipe, split: Split) -> Division:
    rows = rows_of(split.train, sample_set.classes, recipe.balance, recipe.seed)
    present = {sample.label for sample in split.train}
    if absent := [name for name in sample_set.classes if name not in present]:
        raise DatasetError(
            f"{sample_set.root}: {split.name}: no training image of {', '.join(absent)}", "give more subjects"
        )
    return Division(
        replace(split, name=split.name.replace(" ", "")),
        tuple(rows),
        tuple(Row(sample) for sample in split.validation),
        # Phase III is tested without labels: it is a submission, not a test.
        tuple(Row(sample) for sample in split.test if sample.label),
        tuple(Row(s) for s in sample_set.samples if not s.label and s.part in recipe.split.submit_parts),
    )


def _copies_first(sample_set: SampleSet, recipe: Recipe) -> Division:
    """All copies made first, then parted 8:1:1 whatever they are copies of: it only shows how far that inflates."""
    phases = any(sample.part.startswith("train") for sample in sample_set.samples)
    chosen: list[Sample] = [s for s in sample_set.samples if s.label and (not phases or s.part.startswith("train"))]
    rows = rows_of(chosen, sample_set.classes, recipe.balance, recipe.seed)
    order = generator(recipe.split.seed, COPIES, len(sample_set.classes)).permutation(len(rows))
    ends = np.round(np.cumsum(_SHARES) * len(rows)).astype(int)
    training, validation, test = (
        tuple(rows[i] for i in order[a:b]) for a, b in zip((0, *ends[:-1]), ends, strict=True)
    )
    if not (training and validation and test):
        raise DatasetError(f"{sample_set.root}: {len(rows)} images are too few to part 8:1:1", "give more images")
    held = tuple(dict.fromkeys(row.sample for row in test))
    note = f"{LEAKY_NOTE}; copies of one image too"
    split = Split(COPIES_LEAKY, "copies", (), (), held, is_leaky=True, note=note)
    return Division(split, training, validation, test)
