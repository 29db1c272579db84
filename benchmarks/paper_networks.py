"""The papers' networks from scratch on Taleqani, attention against none: ``python benchmarks/paper_networks.py``.

Every run has the same images, the same steps and no choice of an epoch. Stretches of file numbers with a gap of 50 on
either side are the unseen blocks; of the fields outside them a random fifth is the other test, the papers' own kind,
whose neighbours were trained on. One row a run goes to `paper_networks.csv`, so that the script can be stopped and
goes on; `paper_networks.md` is made of it.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy.special import softmax

from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import make_splits
from smearscan.evaluate.bootstrap import intervals
from smearscan.evaluate.metrics import Scored
from smearscan.evaluate.tables import markdown
from smearscan.models.cards import ModelCard
from smearscan.models.ensemble import weighted_sum
from smearscan.models.packages import Package
from smearscan.train.recipes.balance import Row
from smearscan.train.recipes.export import network_options, raw_outputs
from smearscan.train.recipes.images import input_of
from smearscan.train.recipes.loop import Task, Trainer
from smearscan.train.recipes.place import open_place
from smearscan.train.recipes.recipe import OptimiserPart, Recipe, SchedulePart
from smearscan.train.recipes.run import new_network

EPOCHS, BATCH, RATE = 6, 24, 1e-3
#: Side of the images; the ternary stream zooms into its features, of which 64 px leave 2 x 2.
SIDE_PX, ZOOM_SIDE_PX = 64, 112
_VGG = {"width": 0.25, "head": "gap", "batch_norm": True}
_CNN = {"batch_norm": True, "head": "gap", "pool": 4}
_CBAM = {"head": "gap"}
#: Name in the table → network, options; the two of a pair stand side by side.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "cnn_cbam": ("cnn_cbam", _CNN),
    "cnn_cbam without CBAM": ("cnn_cbam", {**_CNN, "attention": False}),
    "vgg16_eca, width 1/4": ("vgg16_eca", _VGG),
    "vgg16, width 1/4": ("vgg16", _VGG),
    "wtdfn_resnet18, 112 px": ("wtdfn_resnet18", {}),
    "resnet18, 112 px": ("resnet18", {}),
    "wtdfn_mobilenetv2, 112 px": ("wtdfn_mobilenetv2", {}),
    "mobilenetv2, 112 px": ("mobilenetv2", {}),
}
#: Their further seeds come first, should time run out.
CHEAP, ZOOMED = tuple(NETWORKS)[:4], tuple(NETWORKS)[4:]
SINGLES: dict[str, tuple[str, dict[str, Any]]] = {
    "vit_tiny_patch16, patches of 8 px": ("vit_tiny_patch16", {"patch_px": 8}),
    "efficientnet_b0": ("efficientnet_b0", {}),
    "densenet201_cbam": ("densenet201_cbam", _CBAM),
}
#: Both of the sum learn slowly from scratch.
SUM_EPOCHS = 24
#: The sum of two singles, weighted as Jiang et al. print it.
SUM, SUM_OF, SUM_WEIGHTS = "0.7 vit_tiny + 0.3 efficientnet_b0", tuple(SINGLES)[:2], (0.7, 0.3)
COLUMNS = ("network", "seed", "parameters_m", "test", "n", "accuracy", "low", "high", "train_s")


def parted(sample_set: SampleSet) -> dict[str, tuple[Sample, ...]]:
    """Training, a little validation that chooses nothing, a random fifth, unseen blocks."""
    split = make_splits(sample_set, "blocks")[0]
    pool, rng = split.train + split.validation, np.random.default_rng(0)
    side = np.zeros(len(pool), int)
    labels = np.array(sample_set.labels(pool))
    for label in np.unique(labels):
        at = rng.permutation(np.flatnonzero(labels == label))
        ends = np.round(np.array([0.2, 0.24]) * len(at)).astype(int)
        side[at[: ends[0]]], side[at[ends[0] : ends[1]]] = 2, 1
    taken = [tuple(sample for sample, at in zip(pool, side, strict=True) if at == i) for i in range(3)]
    return {"training": taken[0], "validation": taken[1], "random fifth": taken[2], "unseen blocks": split.test}


def recipe_of(name: str, seed: int, epochs: int) -> Recipe:
    """Adam with a polynomial decay and an epoch of warm-up; no augmentation, as Sajon et al."""
    network, options = {**NETWORKS, **SINGLES}[name]
    side = ZOOM_SIDE_PX if name in ZOOMED else SIDE_PX
    return Recipe(
        name="benchmark",
        summary="a run of this benchmark",
        paper="see docs/models.md",
        row="see docs/models.md",
        network=network,
        options=options,
        set="taleqani",
        input={"side_px": side, "takes": "image", "background": "kept", "normalise": "imagenet"},
        optimiser=OptimiserPart(name="adam", rate=RATE),
        schedule=SchedulePart(kind="polynomial", power=1.0, warmup_epochs=1.0),
        batch=BATCH,
        epochs=SUM_EPOCHS if name in SUM_OF and epochs == EPOCHS else epochs,
        keep="last",
        seed=seed,
    )


def run(sample_set: SampleSet, parts: dict[str, tuple[Sample, ...]], recipe: Recipe) -> tuple[dict[str, Any], float]:
    """Probabilities on both tests, and seconds of training; parameters under `parameters_m`."""
    rows = {name: tuple(Row(sample) for sample in samples) for name, samples in parts.items()}
    card = input_of(recipe, sample_set, rows["training"])
    model = new_network(recipe, len(sample_set.classes))
    n_parameters = sum(p.numel() for p in model.parameters()) / 1e6
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        task = Task(recipe, sample_set, rows["training"], rows["validation"], card, Path(folder), "benchmark")
        model = Trainer(model, task, open_place("cpu"), lambda *_: None, print).run()
    seconds = time.monotonic() - began
    described = ModelCard(
        name="benchmark",
        summary="a run of this benchmark",
        network=recipe.network,
        options=network_options(recipe),
        classes=sample_set.classes,
        input=card,
    )
    package = Package(model.requires_grad_(False), described)
    found: dict[str, Any] = {
        name: softmax(raw_outputs(package, sample_set, rows[name]).astype(np.float64), axis=1)
        for name in ("random fifth", "unseen blocks")
    }
    return {**found, "parameters_m": n_parameters}, seconds


def rows_of_run(
    sample_set: SampleSet, parts: dict[str, tuple[Sample, ...]], name: str, seed: int, found: dict[str, Any], s: float
) -> list[dict[str, Any]]:
    """One row a test: accuracy with a 95 % interval, blocks of file numbers drawn anew."""
    out = []
    for test in ("random fifth", "unseen blocks"):
        subjects = np.array([sample.subject for sample in parts[test]])
        scored = Scored(np.array(sample_set.labels(parts[test])), found[test], subjects, sample_set.classes)
        low, high = intervals(scored)["accuracy"]
        accuracy = float((scored.predicted == scored.labels).mean())
        shown = (f"{value:.4f}" for value in (accuracy, low, high))
        values = (name, seed, f"{found['parameters_m']:.2f}", test, len(subjects), *shown, round(s))
        out.append(dict(zip(COLUMNS, values, strict=True)))
    return out


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """The table for people: mean over seeds with its deviation, and the interval of the first seed."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["network"], row["test"]].append(row)
    lines = []
    for name in dict.fromkeys(row["network"] for row in rows):
        cells = [name, rows[[row["network"] for row in rows].index(name)]["parameters_m"]]
        for test in ("random fifth", "unseen blocks"):
            runs = groups[name, test]
            found = np.array([float(row["accuracy"]) for row in runs])
            spread = f" ± {found.std(ddof=1):.3f}" if len(found) > 1 else ""
            one = runs[0]
            cells.append(
                f"{found.mean():.3f}{spread} (n = {one['n']}, {float(one['low']):.3f}–{float(one['high']):.3f})"
            )
        lines.append([*cells, str(len(groups[name, "random fifth"]))])
    header = ["network", "parameters, M", "random fifth", "unseen blocks", "seeds"]
    notes = [
        f"Taleqani, four classes of fields at {SIDE_PX} px unless the name says another, from scratch, "
        f"{EPOCHS} epochs, Adam {RATE}, batch {BATCH}, one CPU thread; "
        "the same images and steps for all, no epoch chosen",
        "mean over seeds ± standard deviation; in brackets the 95 % interval of the first seed, blocks drawn anew",
        "random fifth: neighbours of its fields, mostly of the same patient, were trained on",
        f"{SUM_OF[0]} and {SUM_OF[1]}: {SUM_EPOCHS} epochs, for they learn slowly from scratch",
        "so few steps favour small networks: what loses here may win with a GPU's budget",
    ]
    return markdown(header, lines, "The papers' networks within a CPU's means", notes)


def merged(tables: Sequence[Path]) -> list[dict[str, Any]]:
    """Rows of all tables that are there, in the order of the networks and seeds; of one run twice, the first."""
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for table in tables:
        if table.exists():
            for row in csv.DictReader(table.open(newline="")):
                found.setdefault((row["network"], int(row["seed"]), row["test"]), row)
    order = [*NETWORKS, *SINGLES, SUM]
    return [found[key] for key in sorted(found, key=lambda key: (order.index(key[0]), key[1], key[2]))]


def write(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write both tables."""
    with (folder / "paper_networks.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "paper_networks.md").write_text(summary(rows), "utf-8")


def main() -> None:
    """Run what is not in the CSV yet, the first seeds first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", nargs="*", help="networks of the table; without it all")
    parser.add_argument("--only-seeds", nargs="*", type=int, help="seeds in the order they are run")
    parser.add_argument("--merge", nargs="*", type=Path, default=[], help="tables of other runs of this script to add")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sample_set = load_set("taleqani", given.data)
    parts = parted(sample_set)
    given.out.mkdir(parents=True, exist_ok=True)
    print({name: len(samples) for name, samples in parts.items()})
    table = given.out / "paper_networks.csv"
    done = merged([table, *given.merge])
    if given.merge:
        write(given.out, done)
        return
    more = range(1, given.seeds)
    plan = [(name, 0) for name in CHEAP] + [(name, seed) for seed in more for name in CHEAP]
    plan += [(name, 0) for name in (*SINGLES, *ZOOMED)]
    plan += [(name, seed) for seed in more for name in NETWORKS if name not in CHEAP]
    if given.only_seeds:
        plan = [(name, seed) for seed in given.only_seeds for name, planned in plan if planned == seed]
    held: dict[str, dict[str, Any]] = {}
    for name, seed in plan:
        if given.only and name not in given.only:
            continue
        if any(row["network"] == name and int(row["seed"]) == seed for row in done):
            continue
        found, seconds = run(sample_set, parts, recipe_of(name, seed, given.epochs))
        done += rows_of_run(sample_set, parts, name, seed, found, seconds)
        held[name] = found
        if name == SUM_OF[1] and SUM_OF[0] in held:
            pair = [held[one] for one in SUM_OF]
            joint: dict[str, Any] = {
                test: weighted_sum(np.stack([one[test] for one in pair]), SUM_WEIGHTS)
                for test in ("random fifth", "unseen blocks")
            }
            joint["parameters_m"] = sum(one["parameters_m"] for one in pair)
            done += rows_of_run(sample_set, parts, SUM, 0, joint, 0.0)
        print(*done[-2:], sep="\n", flush=True)
        write(given.out, done)


if __name__ == "__main__":
    main()
