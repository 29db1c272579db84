"""Train the blast ensemble: ``python -m smearscan.train.blast --data FOLDER --cache FOLDER [--member NAME]``.

Each member is trained on Taleqani's training blocks and on normal blood of five other laboratories, and written as a
package. `--finish` then calibrates the ensemble on the gap blocks, sets its threshold and writes the validation counts
into the first member's card; the cell-type packages must stand before that.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import torch

from smearscan.errors import SettingsError
from smearscan.models.cards import ModelCard
from smearscan.models.packages import load_package, save_package
from smearscan.models.registry import create_model
from smearscan.settings import load_settings
from smearscan.train.blast_cells import (
    CLASSES,
    HOME_INPUT,
    INPUT,
    TRAINING_WINDOW_UM,
    BlastCells,
    batches,
    home_batches,
    training_cells,
)
from smearscan.train.blast_figures import finish_ensemble
from smearscan.train.cells import CellTable, load_cells
from smearscan.train.fit import Recipe, fit
from smearscan.train.history import training_told


@dataclass(frozen=True, slots=True)
class Member:
    """One network of the ensemble: registry key, options, seed; whether it knows its own laboratory's colours."""

    network: str
    options: dict[str, Any]
    seed: int
    is_home: bool = False


SUMMARY = "Blast or not, of a mononuclear cell on black with its own stain taken out; a member of an ensemble."
HOME_SUMMARY = (
    "Blast or not by colour and form as Taleqani's laboratory shows them; taught to say one half of pictures from "
    "elsewhere. It learnt a laboratory: its figures at home say nothing about another. A member of an ensemble."
)
#: In the order of the preset; the first one's card holds the ensemble's threshold and validation.
MEMBERS = {
    "blast": Member("resnet18_cbam", {"channels": [24, 48, 96, 160]}, 0),
    "blast2": Member("vgg16_eca", {"width": 0.25, "head": "gap", "batch_norm": True}, 1),
    "blast_home": Member("resnet18_cbam", {"channels": [24, 48, 96, 160]}, 2, is_home=True),
}


def train_member(
    table: CellTable,
    member: Member,
    recipe: Recipe,
    cells: BlastCells,
    start: torch.nn.Module | None = None,
    checkpoint: Path | None = None,
    features: torch.nn.Module | None = None,
) -> torch.nn.Module:
    """Train one member on `cells`, from scratch, from the weights of `start`, or from the layers of `features`."""
    make = home_batches if member.is_home else batches
    draw = make(table, cells, recipe.batch, member.seed)
    torch.manual_seed(member.seed)
    model = create_model(member.network, len(CLASSES), **member.options)
    if start is not None:
        model.load_state_dict(start.state_dict())
    if features is not None:
        take_features(model, features)
    return fit(model, draw, recipe, checkpoint)


def take_features(model: torch.nn.Module, other: torch.nn.Module) -> None:
    """Give `model` the weights of a network of its form that was taught other classes: all but the last layer's.

    A network that has learned to tell all cells of many laboratories apart knows what a nucleus is, however stained.

    Raises
    ------
    SettingsError
        If the networks differ in more than their classes.
    """
    own, given = model.state_dict(), other.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if own.keys() != given.keys() or not 0 < len(own) - len(fitting) <= 2:
        raise SettingsError("the networks differ in more than their classes", "name a package of the member's network")
    model.load_state_dict(own | fitting)


def make_card(name: str, member: Member, training: dict[str, Any]) -> ModelCard:
    """The card before anything was measured."""
    if not member.is_home:
        shown = f"trained on windows of {TRAINING_WINDOW_UM:g} µm, shown {INPUT.window_um:g} µm: cells larger than then"
        training = training | {"shown": shown}
    return ModelCard(
        name=name,
        summary=HOME_SUMMARY if member.is_home else SUMMARY,
        network=member.network,
        options=member.options,
        classes=CLASSES,
        input=HOME_INPUT if member.is_home else INPUT,
        temperature=1.0,
        figures={},
        thresholds={"blast": 0.5},
        training=training,
        data=(
            "Taleqani (Ghaderzadeh et al. 2022; 2,608 fields, terms of the data not stated): cells found by stain "
            "contrast, labelled by the class of their field (weak: malignant fields hold normal cells too); training "
            "blocks of file numbers only, 50 numbers of gap to every test block",
            "normal blood as negatives, the first 80 %: PBC (CC BY 4.0), Raabin and BCCD by way of TXL-PBC (MIT), "
            "segmentation_WBC (zxaoyou, GPL-3)",
        ),
        not_for=(
            "diagnosis, or the lineage of a blast",
            "myeloid blasts: none were seen in training",
            "slides coarser than 0.62 µm per pixel",
            "telling blasts from reactive lymphocytes, or from hematogones of other hospitals",
        ),
    )


def main() -> None:
    """Train members, or finish the ensemble."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--member", choices=tuple(MEMBERS), action="append")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--mixing", type=float, default=0.0, help="chance of mixed styles at each early block")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, help="instead of the member's own: for a second cycle")
    parser.add_argument("--start", help="package whose weights to go on from")
    parser.add_argument("--features", help="package of other classes whose layers to begin with, but for the last")
    parser.add_argument("--leave-out", action="append", default=[], help="a source to train without")
    parser.add_argument("--leave-out-stain", action="append", type=int, default=[], help="a stain of Taleqani's")
    parser.add_argument("--checkpoint", type=Path, help="file that the averaged weights are kept in on the way")
    parser.add_argument("--out", type=Path, help="folder; without it the packages are installed")
    parser.add_argument("--finish", action="store_true", help="only calibrate and measure the members that stand")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    table = load_cells(given.data, given.cache)
    left_out, stains = tuple(given.leave_out), tuple(given.leave_out_stain)
    softened = f"cells softened by {INPUT.softened_um:g} µm, windows of {TRAINING_WINDOW_UM:g} µm"
    begun = [f"begun with the layers of {Path(given.features).stem}"] if given.features else []
    without = [f"without {name}" for name in left_out] + [f"without stain {stain}" for stain in stains]
    for name in () if given.finish else given.member or tuple(MEMBERS):
        member = MEMBERS[name] if given.seed is None else replace(MEMBERS[name], seed=given.seed)
        recipe = Recipe(steps=given.steps, rate=given.rate, seed=member.seed, mixing=given.mixing)
        cells = training_cells(table, left_out, stains)
        start = load_package(given.start) if given.start else None
        features = load_package(given.features).model if given.features else None
        model = train_member(table, member, recipe, cells, start.model if start else None, given.checkpoint, features)
        before = start.card.training if start else {}
        told = training_told(
            f"python -m smearscan.train.blast --member {name}",
            recipe,
            before,
            ", ".join([*begun, *without, *([] if member.is_home else [softened])]),
        )
        save_package(model, make_card(name, member, told), folder=given.out)
        print(f"{name} written", flush=True)
    if given.finish or not given.member:
        finish_ensemble(table, load_settings().classify, given.out)


if __name__ == "__main__":
    main()
