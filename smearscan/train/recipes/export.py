"""From a trained network to a package: weights, card, temperature, and the counts of validation that a patient's
number needs (the corrected fraction is taken over groups, since cells of one person are alike)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from smearscan.classes import blast_column
from smearscan.datasets.samples import SampleSet
from smearscan.error_counts import ValidationGroup
from smearscan.models.calibrate import fit_temperature
from smearscan.models.cards import InputCard, ModelCard, ValidationCard
from smearscan.models.infer import logits
from smearscan.models.packages import Package, load_package, save_card, save_package
from smearscan.models.registry import network_spec
from smearscan.train.recipes.balance import Row
from smearscan.train.recipes.division import Division
from smearscan.train.recipes.images import row_picture
from smearscan.train.recipes.recipe import Recipe

#: Where a cell is called, and so what validation is counted at: the likelier of two classes.
_BLAST_FROM = 0.5
_TITLES = {"cnmc": "C-NMC 2019", "taleqani": "Taleqani, Ghaderzadeh et al. 2022", "pbc": "PBC, Acevedo et al. 2020"}
#: Images that are read at a time: all of a large set would not fit into memory.
_AT_A_TIME = 256


def network_options(recipe: Recipe) -> dict[str, Any]:
    """The network's options; one that is built for a size of image is built for the recipe's."""
    known = network_spec(recipe.network).options
    sizes = {name: recipe.input.side_px for name in ("input_px", "image_px") if name in known}
    return {**sizes, **recipe.options}


def raw_outputs(package: Package, sample_set: SampleSet, rows: Sequence[Row], device: str = "auto") -> np.ndarray:
    """Logits (N, C) float32 of rows."""
    out = [np.empty((0, len(package.card.classes)), np.float32)]
    for start in range(0, len(rows), _AT_A_TIME):
        part = rows[start : start + _AT_A_TIME]
        pictures = np.stack([row_picture(sample_set, row, package.card.input) for row in part])
        out.append(logits(package, pictures, device=device))
    return np.concatenate(out)


def export(
    model: nn.Module,
    recipe: Recipe,
    sample_set: SampleSet,
    division: Division,
    shown: InputCard,
    folder: Path,
    device: str = "auto",
    **run: Any,
) -> Package:
    """Write the package into a folder and load it back: what is measured afterwards is what was written.

    Parameters
    ----------
    device
        Where validation images are judged.
    run
        What the card's `training` says beside the recipe, such as the epoch that was kept.

    Raises
    ------
    WeightsError
        If a weight is not finite.
    OutputError
        If the files cannot be written.
    """
    card = describe(recipe, sample_set, division, shown, **run)
    path, card = save_package(model.cpu(), card, folder=folder)
    package = load_package(str(path))
    raw = raw_outputs(package, sample_set, division.validation, device)
    labels = np.array(sample_set.labels([row.sample for row in division.validation]))
    counts = validation_counts(raw, labels, division, sample_set.classes) if recipe.input.takes == "cell" else ()
    note = "called at a probability of one half; labels of the set; the same images chose the epoch"
    card = card.model_copy(
        update={
            "temperature": fit_temperature(raw, labels),
            "thresholds": {"blast": _BLAST_FROM} if counts else {},
            "validation": ValidationCard(groups=counts, note=note if counts else ""),
        }
    )
    return Package(package.model, save_card(path, card))


def describe(recipe: Recipe, sample_set: SampleSet, division: Division, shown: InputCard, **run: Any) -> ModelCard:
    """The card before anything was measured; `run` is what it says beside the recipe."""
    title = _TITLES.get(sample_set.name, sample_set.name)
    return ModelCard(
        name=recipe.name,
        summary=recipe.summary,
        network=recipe.network,
        options=network_options(recipe),
        classes=sample_set.classes,
        input=shown,
        training={
            "recipe": recipe.name,
            "paper": recipe.paper,
            "row": recipe.row,
            "protocol": division.split.protocol,
            "fold": division.name,
            "seed": recipe.seed,
            "images": len(division.training),
            **run,
        },
        data=tuple(filter(None, (title, *sample_set.notes, division.split.note))),
        not_for=("diagnosis", "a laboratory where it was not validated"),
    )


def validation_counts(
    raw: np.ndarray, labels: np.ndarray, division: Division, classes: Sequence[str]
) -> tuple[ValidationGroup, ...]:
    """Cells of each subject of the validation images that are blasts and others, and were called blasts.

    Empty where the set's classes are not blasts and others.
    """
    column = blast_column(classes)
    if column is None or len(classes) != 2:
        return ()
    called = raw.argmax(1) == column
    groups: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row, label, is_called in zip(division.validation, labels, called, strict=True):
        at = 0 if label == column else 2
        groups[row.sample.subject][at] += 1
        groups[row.sample.subject][at + 1] += int(is_called)
    return tuple(
        ValidationGroup(name=name, n_blasts=n[0], n_called_of_blasts=n[1], n_others=n[2], n_called_of_others=n[3])
        for name, n in sorted(groups.items())
    )
