"""Which model is tested on which images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smearscan.datasets.duplicates import find_duplicates
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.split_files import read_split
from smearscan.datasets.splits import LEAKY_NOTE, Split, make_splits
from smearscan.errors import SettingsError
from smearscan.evaluate.models import Model

#: Test images as written down beside the model when it was trained.
RECORDED = "recorded"
#: Sets whose pictures are whole fields, in which a model of single cells finds no cell in the middle.
_FIELD_SETS = frozenset({"taleqani", "all_idb1"})


@dataclass(frozen=True, slots=True)
class Fold:
    """One model and the split whose test images it is judged on."""

    model: Model
    split: Split


def choose_protocol(given: str | None, models: Sequence[Model], sample_set: SampleSet) -> str:
    """The protocol asked for; else the recorded one, else `blocks` on Taleqani, else everything is test."""
    if given is not None:
        return given
    if all(model.split_file is not None for model in models):
        return RECORDED
    return "blocks" if sample_set.name == "taleqani" else "all"


def pair(models: Sequence[Model], sample_set: SampleSet, protocol: str, seed: int = 0) -> tuple[Fold, ...]:
    """Folds of one MODEL: one package is tested on every split, several packages on one split each.

    Raises
    ------
    SettingsError
        If packages and splits do not go together, or a model of cells is given fields.
    DatasetError
        If the set has not what the protocol needs.
    """
    for model in models:
        if model.takes == "cell" and sample_set.name in _FIELD_SETS:
            raise SettingsError(
                f"{model.name} judges single cells, the pictures of {sample_set.name} are whole fields",
                "give a model that takes images, or cut the cells first (smearscan detect)",
            )
    if protocol == RECORDED:
        found = [Fold(model, _recorded(model, sample_set)) for model in models]
    else:
        found = _paired(models, _splits(sample_set, protocol, seed))
    return tuple(Fold(fold.model, _flagged(fold, sample_set)) for fold in found)


def _recorded(model: Model, sample_set: SampleSet) -> Split:
    if model.split_file is None:
        raise SettingsError(f"{model.name} has no split.csv beside its card", "name another --protocol")
    return read_split(model.split_file, sample_set)


def _splits(sample_set: SampleSet, protocol: str, seed: int) -> list[Split]:
    needs_groups = protocol != "all" and not protocol.startswith("paper-leaky")
    alike = find_duplicates(sample_set).groups if needs_groups else ()
    distinct: dict[tuple[Sample, ...], Split] = {}
    for split in make_splits(sample_set, protocol, seed=seed, alike=alike):
        distinct.setdefault(split.test, split)
    return list(distinct.values())


def _paired(models: Sequence[Model], splits: list[Split]) -> list[Fold]:
    if len(models) == 1:
        return [Fold(models[0], split) for split in splits]
    if len(splits) == 1:
        # One test set for all, as Ullah's seventh fold.
        return [Fold(model, replace(splits[0], name=model.name)) for model in models]
    if len(models) != len(splits):
        raise SettingsError(
            f"{len(models)} packages but {len(splits)} splits to test on", "give one package, or one for each split"
        )
    return [Fold(model, split) for model, split in zip(models, splits, strict=True)]


def _flagged(fold: Fold, sample_set: SampleSet) -> Split:
    """The split, marked as leaky if the model's own record says that it was trained on test images."""
    split, file = fold.split, fold.model.split_file
    if file is None or split.is_leaky:
        return split
    n_seen = len(_seen(file) & {sample.path for sample in split.test})
    if not n_seen:
        return split
    note = f"{LEAKY_NOTE}: {n_seen} of {len(split.test)} test images were trained on, says {file.name}"
    return replace(split, is_leaky=True, note=note)


def _seen(file: Path) -> set[str]:
    import csv

    with file.open(newline="", encoding="utf-8") as lines:
        return {row["path"] for row in csv.DictReader(lines) if row["side"] in ("train", "validation")}
