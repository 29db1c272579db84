"""Train the differential: ``python -m smearscan.train.celltype --data FOLDER --cache FOLDER [--member NAME]``.

Ten classes, by an ensemble; each member is trained by itself. PBC is split 70/10/20 by file number in every folder, the
other laboratories likewise by their order; what is reported on them was not trained on. `--leave-out` trains without a
laboratory, to see what falls there. `--finish` measures the members together and writes that into the first one's card.
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
from smearscan.errors import SettingsError
from smearscan.models.calibrate import fit_temperature
from smearscan.models.cards import InputCard, ModelCard
from smearscan.models.fused import for_inference
from smearscan.models.infer import logits, probabilities
from smearscan.models.packages import Package, load_package, save_card, save_package
from smearscan.models.registry import create_model
from smearscan.resources import configs_folder
from smearscan.settings import load_settings
from smearscan.train.averages import blended
from smearscan.train.cells import CellTable, is_outlined, load_cells
from smearscan.train.fit import Batch, Recipe, fit, soft_targets
from smearscan.train.history import training_told
from smearscan.train.labels_read import labels_read
from smearscan.train.run_time import run_time_pictures
from smearscan.train.type_batches import TrainingRows, TypeBatches
from smearscan.train.type_figures import measure, measure_coarse, measure_left_out, type_chances
from smearscan.train.typed_cells import (
    CLASSES,
    SMALL,
    UNNAMED,
    UNNAMED_TARGETS,
    TypedCells,
    sampling_weights,
    typed_cells,
    unnamed_cells,
)

#: As many pixels as the middle of a crop has: none is shrunk.
INPUT = InputCard(
    window_um=21.75,
    um_per_px=21.75 / 96,
    side_px=96,
    background="black",
    coarsest_um_per_px=0.62,
    stain="cell",
    third="nucleus",
    mean=(128 / 255, 128 / 255, 0.5),
    sd=(40 / 255, 40 / 255, 0.5),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One network of the ensemble: registry key and options."""

    network: str
    options: dict[str, Any]


#: In the order of the preset; the first one's card holds the figures of all together.
MEMBERS = {
    "celltype": Member("vgg16_eca", {"width": 0.25, "head": "gap", "batch_norm": True}),
    "celltype2": Member("resnet18_cbam", {"channels": [32, 64, 128, 192]}),
}
#: How often these are met, relative to training, where all classes are drawn alike. Healthy blood holds hardly any of
#: the first two, and a detector of leukocytes seldom hands on the third. Why no less: docs/decisions/0004.
FREQUENCIES = {"immature_granulocyte": 0.5, "erythroblast": 0.25, "platelet": 0.5}
#: Below this probability a type is not named; chosen on the validation tenth, see the card.
_LEAST_SURE = 0.45


def train(
    table: CellTable,
    cells: TypedCells,
    member: Member,
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
    keep = (cells.split == 0) & ~is_left_out & is_outlined(table, cells.rows)
    rows, labels = cells.rows[keep], cells.labels[keep]
    unnamed, kinds = unnamed_cells(table)
    rows, labels = np.concatenate([rows, unnamed]), np.concatenate([labels, kinds])
    given = TrainingRows(
        rows=rows,
        labels=labels,
        chances=sampling_weights(table.sources[rows], labels),
        is_round=np.isin(labels, [CLASSES.index("lymphocyte"), UNNAMED]),
        copied=np.select(
            [labels == CLASSES.index("artefact"), labels == UNNAMED, labels == SMALL], [0.25, 0.08, 0.15], 1.0
        ),
    )
    batches = TypeBatches(table, given, INPUT, load_segmenter(), recipe.batch, recipe.seed, near)
    unnamed_targets = torch.tensor([[target.get(name, 0.0) for name in CLASSES] for target in UNNAMED_TARGETS])
    targets = torch.cat([soft_targets(np.arange(len(CLASSES)), len(CLASSES)), unnamed_targets])

    def draw(rng: np.random.Generator) -> Batch:
        images, drawn = batches(rng)
        return images, targets[drawn]

    torch.manual_seed(recipe.seed)
    model = create_model(member.network, len(CLASSES), **member.options)
    if start is not None:
        model.load_state_dict(start.state_dict())
    return fit(model, draw, recipe, checkpoint)


def without_blue(model: torch.nn.Module) -> None:
    """Let a network that was shown blue see nothing yet in the nucleus that now stands in its place."""
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    with torch.no_grad():
        first.weight[:, 2] = 0


def load_start(name: str, blend: str | None, share: float) -> Package:
    """The package to go on from, its weights averaged with another's where `blend` names one; its card says so."""
    package = load_package(name)
    if blend is None:
        return package
    other = load_package(blend)
    if other.card.input.third != package.card.input.third:
        raise SettingsError(f"{blend} and {name} were shown different channels", "blend networks that saw the same")
    told = f"{package.card.training.get('cycles')}; the mean of its weights ({share:g}) and those of {blend}"
    card = package.card.model_copy(update={"training": package.card.training | {"cycles": told}})
    return Package(blended(package.model, other.model, share), card)


def make_card(name: str, member: Member, training: dict[str, Any]) -> ModelCard:
    """The card before anything was measured."""
    n_taleqani = sum(path.startswith("taleqani/") for path, _, _ in labels_read())
    n_elsewhere = len(labels_read()) - n_taleqani
    return ModelCard(
        name=name,
        summary=(
            "Differential of Romanowsky-stained blood cells, ten classes; the step before blast or not; a member of an "
            "ensemble."
        ),
        network=member.network,
        options=member.options,
        classes=CLASSES,
        input=INPUT,
        temperature=1.0,
        figures={},
        frequencies=FREQUENCIES,
        thresholds={"unidentified": _LEAST_SURE},
        training=training,
        data=(
            "PBC, Acevedo et al. 2020, 500 a class of 8, CC BY 4.0: 70 % by file number",
            f"Raabin, BCCD (by way of TXL-PBC, MIT) and segmentation_WBC (zxaoyou, GPL-3): {n_elsewhere} cells, types "
            "read by eye by readers who are no haematologists; 70 % by order in each reading",
            f"Taleqani's training blocks: {n_taleqani} cells, types read likewise, smudges among them; 70 % by order",
            "platelets and red cells (as artefacts) of the same pictures by TXL-PBC's boxes",
            "other round cells of Taleqani's training blocks, as mononuclear of no named type",
            "smudges: pale, frayed cells of Taleqani's malignant fields, picked by a rule, not by a person",
        ),
        not_for=(
            "diagnosis",
            "immature granulocytes or erythroblasts of other laboratories: nearly all of both come from PBC",
            "bone marrow",
        ),
    )


def finish_ensemble(table: CellTable, cells: TypedCells) -> None:
    """Measure the installed members together and write that into the first one's card, beside its own figures."""
    first, *others = (load_package(name) for name in MEMBERS)
    running = [for_inference(package) for package in (first, *others)]
    weights = load_settings().classify.cell_type_weights
    found = measure(table, cells, type_chances(running, table, cells.rows, weights))
    found |= measure_coarse(running, table, *_test_leukocytes(cells), load_segmenter(), weights)
    together = {f"together_{name}": value for name, value in found.items()}
    own = {name: value for name, value in first.card.figures.items() if not name.startswith("together_")}
    print(*(f"{name} = {value}" for name, value in together.items()), sep="\n")
    card_path = configs_folder() / "cards" / f"{first.name}.toml"
    save_card(card_path, first.card.model_copy(update={"figures": own | together}))


def _test_leukocytes(cells: TypedCells) -> tuple[np.ndarray, np.ndarray]:
    chosen = (cells.split == 2) & (cells.labels < CLASSES.index("platelet"))
    return cells.rows[chosen], cells.labels[chosen]


def main() -> None:
    """Train, calibrate, measure, write the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--member", choices=tuple(MEMBERS), default=next(iter(MEMBERS)))
    parser.add_argument("--steps", type=int, default=1500, help="0 only blends, calibrates and measures --start")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", help="package whose weights to go on from: --steps 1000, then --steps 700 --start")
    parser.add_argument("--near", type=float, default=0.5, help="share of a batch near its laboratory's look")
    parser.add_argument("--blend", help="package whose weights those of --start are averaged with before")
    parser.add_argument("--share", type=float, default=0.6, help="what --start counts for in that average")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--mixing", type=float, default=0.5, help="chance of mixed styles at each early block")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--leave-out", action="append", default=[], help="a source to train without; measured whole")
    parser.add_argument("--checkpoint", type=Path, help="file that the averaged weights are kept in on the way")
    parser.add_argument("--out", type=Path, help="folder; without it the package is installed")
    parser.add_argument("--finish", action="store_true", help="only measure the installed members together")
    given = parser.parse_args()
    if given.finish and given.out:
        parser.error("--finish measures the installed members")
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(1)
    member = MEMBERS[given.member]
    start = load_start(given.start, given.blend, given.share) if given.start else None
    if start is not None and (start.card.network, start.card.options) != (member.network, member.options):
        parser.error(f"{given.start} is another network than {given.member}")
    is_shown_anew = start is not None and start.card.input.third != INPUT.third
    if is_shown_anew and given.steps == 0:
        parser.error(f"{given.start} was shown other channels: it cannot be measured without more training")
    table = load_cells(given.data, given.cache)
    cells = typed_cells(table)
    if given.finish:
        finish_ensemble(table, cells)
        return
    recipe = Recipe(steps=given.steps, batch=given.batch, seed=given.seed, rate=given.rate, mixing=given.mixing)
    left_out = tuple(given.leave_out)
    if start is not None and given.steps == 0:
        model, card = start.model, make_card(given.member, member, start.card.training)
    else:
        if start is not None and is_shown_anew:
            without_blue(start.model)
        model = train(
            table, cells, member, recipe, left_out, start.model if start else None, given.checkpoint, given.near
        )
        before = start.card.training if start else {}
        shown = ["from here on shown the nucleus in blue's place"] if is_shown_anew else []
        if start is not None and start.card.input.window_um != INPUT.window_um:
            shown.append(f"windows of {INPUT.window_um:g} µm instead of {start.card.input.window_um:g}")
        remark = ", ".join([f"{given.near:g} near home", *shown, *(f"without {name}" for name in left_out)])
        told = training_told(f"python -m smearscan.train.celltype --member {given.member}", recipe, before, remark)
        card = make_card(given.member, member, told)
    path, card = save_package(model, card, folder=given.out)
    package = for_inference(load_package(str(path) if given.out else card.name))  # 16 bits round: measured as it runs
    raw = logits(package, run_time_pictures(table, cells.rows, INPUT))
    is_validation = (cells.split == 1) & is_outlined(table, cells.rows)
    temperature = fit_temperature(raw[is_validation], cells.labels[is_validation])
    package = Package(package.model, card.model_copy(update={"temperature": temperature}))
    chances = probabilities(raw, package.card)
    figures = measure(table, cells, chances) | measure_left_out(table, cells, chances, left_out)
    figures |= measure_coarse([package], table, *_test_leukocytes(cells), load_segmenter())
    print(f"temperature {temperature:.3f}", *(f"{k} = {v}" for k, v in figures.items()), sep="\n")
    save_package(model, package.card.model_copy(update={"figures": figures}), folder=given.out)


if __name__ == "__main__":
    main()
