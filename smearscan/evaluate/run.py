"""Models on a set under a protocol: all files of `smearscan evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smearscan import __version__
from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import SampleSet
from smearscan.errors import SettingsError
from smearscan.evaluate.cost import Cost, measure_cost
from smearscan.evaluate.ensemble import check_way, join, write_disagreement
from smearscan.evaluate.metrics import METRICS, class_names
from smearscan.evaluate.models import Model, is_named_in, load_models
from smearscan.evaluate.outcome import Figures, Outcome, pool, title_of, write_outcome
from smearscan.evaluate.pairing import Fold, choose_protocol, pair
from smearscan.evaluate.predict import Predictions, predict
from smearscan.evaluate.reconcile import reconcile
from smearscan.evaluate.tables import Cell, with_interval, write_table
from smearscan.report.atomic import make_folder, write_bytes

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Options:
    """What is evaluated how.

    Attributes
    ----------
    set_name, protocol
        None: `folder` of a folder and `csv` of a file; the recorded split, `blocks` on Taleqani, else all images.
    seed
        Of random splits.
    device
        As `infer` takes it.
    with_cost
        Whether parameters, operations and images a second are measured.
    ensemble
        How the models are joined to one more, as `smearscan.evaluate.ensemble.join` takes it; None joins nothing.
    """

    set_name: str | None = None
    protocol: str | None = None
    seed: int = 0
    device: str = "auto"
    with_cost: bool = True
    ensemble: str | None = None


def evaluate(
    given: Sequence[str], data: Path, out: Path, options: Options | None = None, progress: Progress | None = None
) -> list[Outcome]:
    """Evaluate models and write everything below `out`; one folder a model where there are several.

    Parameters
    ----------
    given
        As `load_models` takes them.
    data
        Folder of the set, or a CSV.
    progress
        Called with images done, images in all, and the model's name.

    Raises
    ------
    SmearscanError
        If a model, the set or the protocol cannot be used; unreadable images only cost their own row.
    """
    options = options or Options()
    if options.ensemble is not None:
        check_way(options.ensemble, len(given))
    loaded = [(name, load_models(name)) for name in given]
    names = _names(given, loaded)
    sample_set = load_set(options.set_name or ("csv" if data.is_file() else "folder"), data)
    prefix = _prefix(data, sample_set)
    outcomes, found, costs = [], [], []
    make_folder(out)
    for name, (_, models) in zip(names, loaded, strict=True):
        outcome = _judged(name, models, sample_set, options, progress)
        found.append(write_outcome(out / name if len(given) > 1 else out, outcome, prefix))
        costs.append(measure_cost(models[0], options.device) if options.with_cost else None)
        outcomes.append(outcome)
    if options.ensemble is not None:
        joined = join(outcomes, options.ensemble, partial(_on_validation, sample_set=sample_set, device=options.device))
        found.append(write_outcome(out / joined.name, joined, prefix))
        write_disagreement(out / joined.name, joined, outcomes)
        costs.append(_summed(costs))
        outcomes.append(joined)
    _write_comparison(out, outcomes, found, costs)
    _write_origin(out, data, sample_set, loaded, outcomes, options)
    return outcomes


def _names(given: Sequence[str], loaded: Sequence[tuple[str, list[Model]]]) -> list[str]:
    names = [models[0].name if len(models) == 1 else Path(name).name for name, models in loaded]
    if len(set(names)) < len(names):
        names = [Path(name).with_suffix("").as_posix().strip("./").replace("/", "_") for name in given]
    if len(set(names)) < len(names):
        raise SettingsError(f"a model is given twice: {', '.join(given)}", "name each once")
    return names


def _prefix(data: Path, sample_set: SampleSet) -> str:
    """What stands between the folder that was given and the paths of the set."""
    if not sample_set.root.is_relative_to(data):
        return ""
    inner = sample_set.root.relative_to(data).as_posix()
    return "" if inner == "." else f"{inner}/"


def _judged(
    name: str, models: Sequence[Model], sample_set: SampleSet, options: Options, progress: Progress | None
) -> Outcome:
    protocol = choose_protocol(options.protocol, models, sample_set)
    folds = pair(models, sample_set, protocol, options.seed)
    agreement = reconcile(sample_set.classes, models[0].card.classes, name)
    total, done = sum(len(fold.split.test) for fold in folds), 0
    parts: list[tuple[Fold, Predictions]] = []
    for fold in folds:
        tell = partial(_tell, progress, name, done, total) if progress else None
        judged = predict(fold.model, sample_set, fold.split.test, agreement, device=options.device, progress=tell)
        parts.append((fold, judged))
        done += len(judged.samples)
    notes = _notes(models, sample_set, protocol, [fold.split.note for fold in folds], agreement.note)
    pooled = pool([part for _, part in parts])
    if failed := pooled.n_failed:
        notes += (f"{failed} images could not be read: see the column reason of predictions.csv",)
    return Outcome(name, sample_set.name, protocol, tuple(parts), pooled, sample_set.has_subjects, notes)


def _on_validation(outcome: Outcome, sample_set: SampleSet, device: str) -> Predictions:
    """A member's predictions on the validation images of its split; of several folds there is no one such set."""
    if len(outcome.folds) != 1:
        raise SettingsError(f"{outcome.name} was tested on several splits: nothing to fit on", "use --ensemble mean")
    ((fold, _),) = outcome.folds
    agreement = reconcile(sample_set.classes, fold.model.card.classes, outcome.name)
    return predict(fold.model, sample_set, fold.split.validation, agreement, device=device)


def _summed(costs: Sequence[Cost | None]) -> Cost | None:
    """What all members cost together, one after the other."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    seconds = sum(1 / cost.images_per_s for cost in known)
    return Cost(sum(c.n_parameters for c in known), sum(c.gflops for c in known), 1 / seconds, known[0].device)


def _tell(progress: Progress, name: str, before: int, total: int, n: int, _: int) -> None:
    progress(before + n, total, name)


def _notes(
    models: Sequence[Model], sample_set: SampleSet, protocol: str, of_splits: Sequence[str], joined: str
) -> tuple[str, ...]:
    card = models[0].card
    notes = [*dict.fromkeys(note for note in of_splits if note), *([joined] if joined else []), *sample_set.notes]
    if protocol == "all" and is_named_in(card, sample_set.name):
        notes.append("the card names this set among what the model was trained on: these figures are no test")
    notes += [f"the model was trained on: {line}" for line in card.data]
    unit = "subjects" if sample_set.has_subjects else "blocks of neighbouring files"
    return (*notes, f"intervals: 95 %, {unit} drawn anew 1,000 times; blank where a class has fewer than two")


def _write_comparison(
    out: Path, outcomes: Sequence[Outcome], found: Sequence[Figures | None], costs: Sequence[Cost | None]
) -> None:
    """One row a model, as the papers compare them."""
    header = ["model", "set", "protocol", "images", *map(title_of, METRICS), "parameters (M)", "GFLOPs"]
    rows: list[list[Cell]] = []
    for outcome, figures, cost in zip(outcomes, found, costs, strict=True):
        measured = [with_interval(figures.values[m], *figures.bounds[m]) if figures else None for m in METRICS]
        rows.append([outcome.name, outcome.set_name, outcome.shown_protocol, figures.n if figures else 0, *measured,
                     cost.n_parameters / 1e6 if cost else None, cost.gflops if cost else None])  # fmt: skip
    notes = list(dict.fromkeys(note for outcome in outcomes for note in outcome.notes))
    classes = list(dict.fromkeys(class_names(outcome.pooled.classes) for outcome in outcomes))
    write_table(out, "comparison", header, rows, "Models compared", [f"classes: {'; '.join(classes)}", *notes])
    if any(costs):
        speed: list[list[Cell]] = [
            [outcome.name, cost.n_parameters, cost.gflops, cost.images_per_s, cost.device]
            for outcome, cost in zip(outcomes, costs, strict=True)
            if cost
        ]
        columns = ["model", "parameters", "GFLOPs an image", "images a second", "device"]
        write_table(
            out, "cost", columns, speed, "Cost", ["images a second: network alone, this machine, one batch at a time"]
        )


def _write_origin(
    out: Path,
    data: Path,
    sample_set: SampleSet,
    loaded: Sequence[tuple[str, list[Model]]],
    outcomes: Sequence[Outcome],
    options: Options,
) -> None:
    """What made these files: versions, digests, protocol, seed."""
    # An ensemble stands last: its weights are everybody's.
    everybody = [model for _, models in loaded for model in models]
    table = {
        "smearscan": __version__,
        "data": data.name,
        "set": sample_set.name,
        "classes": list(sample_set.classes),
        "n_samples": len(sample_set.samples),
        "seed": options.seed,
        "models": [
            {
                "name": outcome.name,
                "protocol": outcome.protocol,
                "is_leaky": outcome.is_leaky,
                "weights_sha256": [model.digest for model in models],
                "n_failed": outcome.pooled.n_failed,
                "notes": list(outcome.notes),
            }
            for outcome, models in zip(outcomes, [*(m for _, m in loaded), everybody], strict=False)
        ],
    }
    write_bytes(out / "evaluation.json", (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode())
