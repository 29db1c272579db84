"""Train the differential: ``python -m smearscan.train.celltype --data FOLDER --cache FOLDER``.

Ten classes. PBC is split 70/10/20 by file number in every folder, the other laboratories likewise by their order; what
is reported on them was not trained on. `--leave-out` trains without a laboratory, to see what falls there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from smearscan.crops.mask import load_segmenter
from smearscan.models.calibrate import fit_temperature
from smearscan.models.cards import InputCard, ModelCard
from smearscan.models.fused import for_inference
from smearscan.models.infer import logits
from smearscan.models.packages import Package, load_package, save_package
from smearscan.models.registry import create_model
from smearscan.train.cells import SOURCES, CellTable, is_smudge, load_cells
from smearscan.train.fit import Batch, Recipe, blended, fit, soft_targets
from smearscan.train.measure_scores import macro_f1
from smearscan.train.run_time import run_time_pictures
from smearscan.train.type_batches import TrainingRows, TypeBatches
from smearscan.train.type_figures import measure_coarse

CLASSES = (
    "neutrophil",
    "eosinophil",
    "basophil",
    "lymphocyte",
    "monocyte",
    "immature_granulocyte",
    "erythroblast",
    "platelet",
    "smudge",
    "artefact",
)
INPUT = InputCard(
    window_um=24.0,
    um_per_px=24.0 / 96,
    side_px=96,
    background="black",
    coarsest_um_per_px=0.62,
    stain="cell",
    mean=(128 / 255,) * 3,
    sd=(40 / 255,) * 3,
)
NETWORK = "vgg16_eca"
OPTIONS: dict[str, Any] = {"width": 0.25, "head": "gap", "batch_norm": True}
#: Label and target of a cell known to be mononuclear and no more: the differential leaves it to the blast networks.
_UNNAMED = len(CLASSES)
_MONONUCLEAR = torch.zeros(1, len(CLASSES))
_MONONUCLEAR[0, [CLASSES.index(c) for c in ("lymphocyte", "monocyte", "immature_granulocyte")]] = torch.tensor(
    [0.6, 0.2, 0.2]
)
#: Below this probability a type is not named; chosen on the validation tenth, see the card.
_LEAST_SURE = 0.45


@dataclass(frozen=True, slots=True, eq=False)
class TypedCells:
    """Rows of the cell table whose type is known, with their split: 0 training, 1 validation, 2 test."""

    rows: np.ndarray
    labels: np.ndarray
    split: np.ndarray


def typed_cells(table: CellTable) -> TypedCells:
    """Cells with a type, among them smudges and red cells; split 70/10/20 by order in each source and class."""
    types = table.types.astype(object)
    types[is_smudge(table)] = "smudge"
    rows = np.flatnonzero(np.isin(types, CLASSES))
    labels = np.array([CLASSES.index(t) for t in types[rows]])
    split = np.zeros(len(rows), np.int64)
    for source in np.unique(table.sources[rows]):
        for label in np.unique(labels):
            group = np.flatnonzero((table.sources[rows] == source) & (labels == label))
            group = group[np.argsort(table.orders[rows[group]], kind="stable")]
            split[group[int(0.7 * len(group)) : int(0.8 * len(group))]] = 1
            split[group[int(0.8 * len(group)) :]] = 2
    return TypedCells(rows, labels, split)


def mononuclear_cells(table: CellTable) -> np.ndarray:
    """Rows of round cells of the malignant fields' training blocks.

    Their type is not known, only that it is mononuclear. Without them the one class that comes from that laboratory
    alone, smudge, was what the network called most of its cells.
    """
    _, nucleus, share, _, _ = table.measures.T
    whole = table.is_whole & ~is_smudge(table) & (nucleus >= 7.0) & (share >= 0.5)
    return np.flatnonzero(whole & (table.blocks == 0) & table.is_from("Early", "Pre", "Pro"))


def sampling_weights(sources: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Chance of each training cell to be drawn: source × class count alike, small groups less."""
    weights = np.zeros(len(labels))
    for source in np.unique(sources):
        for label in np.unique(labels[sources == source]):
            group = (sources == source) & (labels == label)
            share = 1.0 if SOURCES[source] == "pbc" else 0.45 * min(1.0, group.sum() / 80)
            share = {"artefact": 0.3, "smudge": 0.2, "unnamed": 1.0}.get((*CLASSES, "unnamed")[label], share)
            weights[group] = share / group.sum()
    return weights / weights.sum()


def train(
    table: CellTable,
    cells: TypedCells,
    recipe: Recipe,
    left_out: tuple[str, ...] = (),
    start: torch.nn.Module | None = None,
    checkpoint: Path | None = None,
    near: float = 0.5,
) -> torch.nn.Module:
    """Train one network on the training split, from scratch or from the weights of `start`.

    `left_out` names sources to do without, but for their red cells: the class artefact has no others. `near` is the
    share of a batch that stays near its laboratory's look: less of it serves other laboratories, more of it home.
    """
    is_left_out = table.is_from(*left_out)[cells.rows] & (cells.labels != CLASSES.index("artefact"))
    keep = (cells.split == 0) & ~is_left_out
    rows, labels = cells.rows[keep], cells.labels[keep]
    unnamed = mononuclear_cells(table)
    rows, labels = np.concatenate([rows, unnamed]), np.concatenate([labels, np.full(len(unnamed), _UNNAMED)])
    given = TrainingRows(
        rows=rows,
        labels=labels,
        chances=sampling_weights(table.sources[rows], labels),
        is_round=np.isin(labels, [CLASSES.index("lymphocyte"), _UNNAMED]),
        copied=np.where(labels == CLASSES.index("artefact"), 0.25, np.where(labels == _UNNAMED, 0.08, 1.0)),
    )
    batches = TypeBatches(table, given, INPUT, load_segmenter(), recipe.batch, recipe.seed, near)
    targets = torch.cat([soft_targets(np.arange(len(CLASSES)), len(CLASSES)), _MONONUCLEAR])

    def draw(rng: np.random.Generator) -> Batch:
        images, drawn = batches(rng)
        return images, targets[drawn]

    torch.manual_seed(recipe.seed)
    model = create_model(NETWORK, len(CLASSES), **OPTIONS)
    if start is not None:
        model.load_state_dict(start.state_dict())
    return fit(model, draw, recipe, checkpoint)


def load_start(name: str, blend: str | None, share: float) -> Package:
    """The package to go on from, its weights averaged with another's where `blend` names one; its card says so."""
    package = load_package(name)
    if blend is None:
        return package
    told = f"{package.card.training.get('cycles')}; the mean of its weights ({share:g}) and those of {blend}"
    card = package.card.model_copy(update={"training": package.card.training | {"cycles": told}})
    return Package(blended(package.model, load_package(blend).model, share), card)


def training_told(recipe: Recipe, near: float, before: dict[str, Any]) -> dict[str, Any]:
    """The card's table of training; `before` is that of the package that was gone on from."""
    cycle = (
        f"{recipe.steps} of {recipe.batch} cells at a rate of {recipe.rate:g}, seed {recipe.seed}, {near:g} near home"
    )
    return {
        "command": "python -m smearscan.train.celltype",
        "steps": before.get("steps", 0) + recipe.steps,
        "batch": recipe.batch,
        "seed": recipe.seed,
        "cycles": "; ".join(filter(None, [before.get("cycles"), cycle])),
        "kept": "running average of the weights at the last step; no epoch was selected",
    }


def make_card(name: str, training: dict[str, Any]) -> ModelCard:
    """The card before anything was measured."""
    return ModelCard(
        name=name,
        summary="Differential of Romanowsky-stained blood cells, ten classes; the step before blast or not.",
        network=NETWORK,
        options=OPTIONS,
        classes=CLASSES,
        input=INPUT,
        temperature=1.0,
        figures={},
        thresholds={"unidentified": _LEAST_SURE},
        training=training,
        data=(
            "PBC, Acevedo et al. 2020, 500 a class of 8, CC BY 4.0: 70 % by file number",
            "Raabin, BCCD (by way of TXL-PBC, MIT) and segmentation_WBC (zxaoyou, GPL-3): 608 cells, types read by eye "
            "by one reader who is no haematologist; 70 % by order",
            "platelets and red cells (as artefacts) of the same pictures by TXL-PBC's boxes",
            "round cells of Taleqani's malignant training blocks, as mononuclear of no named type",
            "smudges: pale, frayed cells of Taleqani's malignant fields, picked by a rule, not by a person",
        ),
        not_for=(
            "diagnosis",
            "immature granulocytes or erythroblasts of other laboratories: both classes come from PBC alone",
            "bone marrow",
        ),
    )


def main() -> None:
    """Train, calibrate, measure, write the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500, help="0 only blends, calibrates and measures --start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", help="package whose weights to go on from: --steps 1000, then --steps 700 --start")
    parser.add_argument("--near", type=float, default=0.5, help="share of a batch near its laboratory's look")
    parser.add_argument("--blend", help="package whose weights those of --start are averaged with before")
    parser.add_argument("--share", type=float, default=0.6, help="what --start counts for in that average")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--leave-out", action="append", default=[], help="a source to train without; measured whole")
    parser.add_argument("--checkpoint", type=Path, help="file that the averaged weights are kept in on the way")
    parser.add_argument("--out", type=Path, help="folder; without it the package is installed")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    table = load_cells(given.data, given.cache)
    cells = typed_cells(table)
    recipe = Recipe(steps=given.steps, batch=given.batch, seed=given.seed, rate=given.rate)
    start = load_start(given.start, given.blend, given.share) if given.start else None
    left_out = tuple(given.leave_out)
    if start is not None and given.steps == 0:
        model, card = start.model, make_card("celltype", start.card.training)
    else:
        model = train(table, cells, recipe, left_out, start.model if start else None, given.checkpoint, given.near)
        card = make_card("celltype", training_told(recipe, given.near, start.card.training if start else {}))
    path, card = save_package(model, card, folder=given.out)
    package = for_inference(load_package(str(path) if given.out else card.name))  # 16 bits round: measured as it runs
    raw = logits(package, run_time_pictures(table, cells.rows, INPUT))
    is_validation = cells.split == 1
    temperature = fit_temperature(raw[is_validation], cells.labels[is_validation])
    figures = measure(table, cells, raw) | measure_left_out(table, cells, raw, left_out)
    leukocytes = (cells.split == 2) & (cells.labels < CLASSES.index("platelet"))
    figures |= measure_coarse(package, table, cells.rows[leukocytes], cells.labels[leukocytes], load_segmenter())
    print(f"temperature {temperature:.3f}", *(f"{k} = {v}" for k, v in figures.items()), sep="\n")
    card = card.model_copy(update={"temperature": temperature, "figures": figures})
    save_package(model, card, folder=given.out)


def measure(table: CellTable, cells: TypedCells, raw: np.ndarray) -> dict[str, float | int | str]:
    """Accuracy and macro F1 on the test split of each laboratory, with its number of cells."""
    figures: dict[str, float | int | str] = {}
    leukocyte = cells.labels != CLASSES.index("artefact")
    for name in ("pbc", "raabin", "bccd", "seg1", "seg2"):
        chosen = (cells.split == 2) & table.is_from(name)[cells.rows] & leukocyte
        truth, called = cells.labels[chosen], raw[chosen].argmax(1)
        figures[f"{name}_test_n"] = len(truth)
        figures[f"{name}_test_accuracy"] = round(float((truth == called).mean()), 4)
        figures[f"{name}_test_macro_f1"] = round(macro_f1(truth, called), 4)
    return figures


def measure_left_out(
    table: CellTable, cells: TypedCells, raw: np.ndarray, left_out: tuple[str, ...]
) -> dict[str, float | int | str]:
    """The same on all leukocytes of laboratories that were trained without."""
    figures: dict[str, float | int | str] = {}
    leukocyte = ~np.isin(cells.labels, [CLASSES.index(name) for name in ("artefact", "platelet")])
    for name in left_out:
        chosen = table.is_from(name)[cells.rows] & leukocyte
        truth, called = cells.labels[chosen], raw[chosen].argmax(1)
        figures[f"{name}_left_out_n"] = len(truth)
        figures[f"{name}_left_out_accuracy"] = round(float((truth == called).mean()), 4)
        figures[f"{name}_left_out_macro_f1"] = round(macro_f1(truth, called), 4)
    return figures


if __name__ == "__main__":
    main()
