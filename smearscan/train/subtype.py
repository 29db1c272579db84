"""Train Sajon's four classes of fields: ``python -m smearscan.train.subtype --data FOLDER --work FOLDER``.

Three runs of one recipe: `paper-leaky` and `blocks` only measure, and `blocks` calibrates; `all` is shipped, trained
on every field at hand, with the others' figures in its card. Fields are of one laboratory, so training restains,
coarsens and re-encodes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from smearscan.datasets.files import read_sample
from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.datasets.splits import make_splits
from smearscan.evaluate.bootstrap import intervals
from smearscan.evaluate.metrics import Scored
from smearscan.models.calibrate import fit_temperature
from smearscan.models.cards import InputCard, ModelCard
from smearscan.models.infer import logits
from smearscan.models.packages import Package, save_package
from smearscan.models.registry import create_model
from smearscan.models.whole_image import whole_image
from smearscan.train.field_changes import Changes, change_fields
from smearscan.train.fit import Batch, Recipe, fit, soft_targets

INPUT = InputCard(
    window_um=80.0,
    um_per_px=80.0 / 112,
    side_px=112,
    background="kept",
    takes="image",
    mean=(0.75, 0.65, 0.75),
    sd=(0.2, 0.2, 0.2),
)
NETWORK = "vgg16_eca"
OPTIONS: dict[str, Any] = {"width": 0.25, "head": "gap", "batch_norm": True}
CHANGES = Changes()
_BATCH = 32


def train(sample_set: SampleSet, samples: Sequence[Sample], recipe: Recipe) -> torch.nn.Module:
    """Train on these fields; small classes are drawn more often, by the root of their size."""
    fields = np.stack([read_sample(sample_set, sample) for sample in samples])
    labels = np.array(sample_set.labels(samples))
    chances = 1 / np.sqrt(np.bincount(labels))[labels]
    targets = soft_targets(labels, len(sample_set.classes))
    mean, sd = (torch.tensor(values)[:, None, None] for values in (INPUT.mean, INPUT.sd))

    def draw(rng: np.random.Generator) -> Batch:
        rows = rng.choice(len(labels), recipe.batch, p=chances / chances.sum())
        images = change_fields(fields[rows], INPUT, CHANGES, rng)
        return (images - mean) / sd, targets[torch.from_numpy(rows)]

    torch.manual_seed(recipe.seed)
    return fit(create_model(NETWORK, len(sample_set.classes), **OPTIONS), draw, recipe)


def _half_as_jpeg(rgb: np.ndarray) -> np.ndarray:
    small = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 75])[1], cv2.IMREAD_COLOR))


#: What may have been done to a file before it is handed in.
MADE_OTHERWISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "as_is": lambda rgb: rgb,
    "half_jpeg75": _half_as_jpeg,
    "double": lambda rgb: cv2.resize(rgb, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC),
    "tinted": lambda rgb: (255 * (rgb / 255) ** np.array([1.15, 0.9, 1.0])).astype(np.uint8),
}


def raw_outputs(
    package: Package, sample_set: SampleSet, samples: Sequence[Sample], made: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Logits (N, 4) of samples, each made otherwise first."""
    images = [whole_image(made(read_sample(sample_set, sample)), INPUT) for sample in samples]
    return logits(package, np.stack(images))


def measure(
    package: Package, sample_set: SampleSet, samples: Sequence[Sample], name: str
) -> dict[str, float | int | str]:
    """Accuracy with an interval over blocks of file numbers, per class, and of files made otherwise."""
    labels = np.array(sample_set.labels(samples))
    figures: dict[str, float | int | str] = {f"{name}_n": len(samples)}
    for made, change in MADE_OTHERWISE.items():
        raw = raw_outputs(package, sample_set, samples, change) / package.card.temperature
        right = raw.argmax(1) == labels
        if made != "as_is":
            figures[f"{name}_accuracy_{made}"] = round(float(right.mean()), 4)
            continue
        shares = np.exp(raw - raw.max(1, keepdims=True))
        subjects = np.array([sample.subject for sample in samples])
        scored = Scored(labels, shares / shares.sum(1, keepdims=True), subjects, sample_set.classes)
        low, high = intervals(scored)["accuracy"]
        figures[f"{name}_accuracy"] = round(float(right.mean()), 4)
        figures[f"{name}_interval_95"] = f"{low:.3f} to {high:.3f}, blocks of file numbers drawn anew"
        for column, label in enumerate(sample_set.classes):
            figures[f"{name}_recall_{label}"] = round(float(right[labels == column].mean()), 3)
    return figures


def make_card(sample_set: SampleSet, recipe: Recipe) -> ModelCard:
    """The card before anything was measured."""
    return ModelCard(
        name="subtype",
        summary="Four classes of whole fields of one laboratory: benign (hematogones), early pre-B, pre-B, pro-B.",
        network=NETWORK,
        options=OPTIONS,
        classes=sample_set.classes,
        input=INPUT,
        training={
            "command": "python -m smearscan.train.subtype",
            "steps": recipe.steps,
            "batch": recipe.batch,
            "seed": recipe.seed,
            "kept": "running average of the weights at the last step; no epoch was selected",
            "measured": "by twins of the same recipe that had not seen their test fields; this one is trained on all. "
            "The network was chosen on the blocks' test fields, out of three candidates",
        },
        data=("Taleqani (Ghaderzadeh et al. 2022; 2,608 of 3,256 fields, terms of the data not stated)",),
        not_for=(
            "diagnosis, or the class of a single cell",
            "another laboratory: class and stain go together in the one it was trained on; supporting evidence at most",
            "fields of any scale but that of a 100x objective, or without leukocytes",
        ),
    )


def main() -> None:
    """Train under one protocol, measure, and for `all` write the package."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the twins' figures")
    parser.add_argument("--protocol", choices=("paper-leaky", "blocks", "all"), required=True)
    parser.add_argument("--steps", type=int, default=1700)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder; without it the package is installed")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    sample_set = load_set("taleqani", given.data)
    recipe = Recipe(steps=given.steps, batch=_BATCH, rate=2e-3, seed=given.seed, average=0.99)
    card = make_card(sample_set, recipe)
    given.work.mkdir(parents=True, exist_ok=True)
    if given.protocol == "all":
        _ship(sample_set, recipe, card, given.work, given.out)
        return
    split = make_splits(sample_set, given.protocol, seed=given.seed)[0]
    training = split.train if given.protocol == "blocks" else split.train + split.validation
    package = Package(train(sample_set, training, recipe), card)
    held = raw_outputs(package, sample_set, split.validation, MADE_OTHERWISE["as_is"])
    temperature = fit_temperature(held, np.array(sample_set.labels(split.validation)))
    package = Package(package.model, card.model_copy(update={"temperature": temperature}))
    name = {"paper-leaky": "random_fifth", "blocks": "unseen_blocks"}[given.protocol]
    found = {"temperature": temperature, "figures": measure(package, sample_set, split.test, name)}
    (given.work / f"{given.protocol}.json").write_text(json.dumps(found, indent=1), "utf-8")
    save_package(package.model, package.card, folder=given.work / given.protocol)
    print(json.dumps(found, indent=1))


def _ship(sample_set: SampleSet, recipe: Recipe, card: ModelCard, work: Path, out: Path | None) -> None:
    """Train on all fields and write the package with the twins' temperature and figures."""
    twins = [json.loads((work / f"{name}.json").read_text("utf-8")) for name in ("paper-leaky", "blocks")]
    model = train(sample_set, [sample for sample in sample_set.samples if sample.label], recipe)
    figures = {**twins[0]["figures"], **twins[1]["figures"]}
    save_package(
        model, card.model_copy(update={"temperature": twins[1]["temperature"], "figures": figures}), folder=out
    )


if __name__ == "__main__":
    main()
