"""Models on a set under a protocol: all files of `smearscan evaluate`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import SettingsError
from smearscan.evaluate.comparison import summed, write_comparison, write_origin
from smearscan.evaluate.cost import measure_cost
from smearscan.evaluate.ensemble import check_way, join, write_disagreement
from smearscan.evaluate.models import Model, check_device, is_named_in, load_models
from smearscan.evaluate.outcome import Outcome, pool, write_outcome
from smearscan.evaluate.pairing import Fold, choose_protocol, pair
from smearscan.evaluate.predict import Predictions, predict
from smearscan.evaluate.reconcile import Agreement, reconcile
from smearscan.report.atomic import make_folder

Progress = Callable[[int, int], None]


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
    with_figures
        Whether ROC, confusion and reliability are drawn.
    """

    set_name: str | None = None
    protocol: str | None = None
    seed: int = 0
    device: str = "auto"
    with_cost: bool = True
    ensemble: str | None = None
    with_figures: bool = True


@dataclass(frozen=True, slots=True)
class _Plan:
    """One MODEL: its packages, which images each is tested on, how classes are brought together."""

    name: str
    models: Sequence[Model]
    protocol: str
    folds: tuple[Fold, ...]
    agreement: Agreement


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
        Called with images done and images in all.

    Raises
    ------
    SmearscanError
        If a model, the set or the protocol cannot be used; unreadable images only cost their own row.
    """
    options = options or Options()
    if options.ensemble is not None:
        check_way(options.ensemble, len(given))
    check_device(options.device)
    loaded = [load_models(name) for name in given]
    names = _names(given, loaded)
    sample_set = load_set(options.set_name or ("csv" if data.is_file() else "folder"), data)
    plans = [_plan(name, models, sample_set, options) for name, models in zip(names, loaded, strict=True)]
    outcomes = _judged(plans, sample_set, options.device, progress)
    prefix = _prefix(data, sample_set)
    make_folder(out)
    found = [
        write_outcome(out / one.name if len(given) > 1 else out, one, prefix, options.with_figures) for one in outcomes
    ]
    costs = [measure_cost(models[0], options.device) if options.with_cost else None for models in loaded]
    if options.ensemble is not None:
        joined = join(outcomes, options.ensemble, partial(_on_validation, sample_set=sample_set, device=options.device))
        found.append(write_outcome(out / joined.name, joined, prefix, options.with_figures))
        write_disagreement(out / joined.name, joined, outcomes)
        costs.append(summed(costs))
        outcomes.append(joined)
    write_comparison(out, outcomes, found, costs)
    write_origin(out, data, sample_set, loaded, outcomes, options.seed)
    return outcomes


def _names(given: Sequence[str], loaded: Sequence[Sequence[Model]]) -> list[str]:
    pairs = zip(given, loaded, strict=True)
    names = [models[0].name if len(models) == 1 else Path(name).name for name, models in pairs]
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


def _plan(name: str, models: Sequence[Model], sample_set: SampleSet, options: Options) -> _Plan:
    agreement = reconcile(sample_set.classes, models[0].card.classes, name)
    protocol = choose_protocol(options.protocol, models, sample_set)
    return _Plan(name, models, protocol, pair(models, sample_set, protocol, options.seed), agreement)


def _judged(plans: Sequence[_Plan], sample_set: SampleSet, device: str, progress: Progress | None) -> list[Outcome]:
    """Every fold's model on its test images; those with the same test images share the reading of them."""
    alike: dict[tuple[Sample, ...], list[tuple[int, Fold]]] = defaultdict(list)
    for i, plan in enumerate(plans):
        for fold in plan.folds:
            alike[fold.split.test].append((i, fold))
    total, done = sum(map(len, alike)), 0
    parts: list[list[tuple[Fold, Predictions]]] = [[] for _ in plans]
    for test, folds in alike.items():
        tell = partial(_tell, progress, done, total) if progress else None
        pairs = [(fold.model, plans[i].agreement) for i, fold in folds]
        judged = predict(pairs, sample_set, test, device=device, progress=tell)
        for (i, fold), predictions in zip(folds, judged, strict=True):
            parts[i].append((fold, predictions))
        done += len(test)
    return [_outcome(plan, part, sample_set) for plan, part in zip(plans, parts, strict=True)]


def _outcome(plan: _Plan, parts: Sequence[tuple[Fold, Predictions]], sample_set: SampleSet) -> Outcome:
    pooled = pool([part for _, part in parts])
    notes = _notes(plan, sample_set)
    if failed := pooled.n_failed:
        notes += (f"{failed} images could not be read: see the column reason of predictions.csv",)
    return Outcome(plan.name, sample_set.name, plan.protocol, tuple(parts), pooled, sample_set.has_subjects, notes)


def _on_validation(outcome: Outcome, sample_set: SampleSet, device: str) -> Predictions:
    """A member's predictions on the validation images of its split; of several folds there is no one such set."""
    if len(outcome.folds) != 1:
        raise SettingsError(f"{outcome.name} was tested on several splits: nothing to fit on", "use --ensemble mean")
    ((fold, _),) = outcome.folds
    agreement = reconcile(sample_set.classes, fold.model.card.classes, outcome.name)
    return predict([(fold.model, agreement)], sample_set, fold.split.validation, device=device)[0]


def _tell(progress: Progress, before: int, total: int, n: int, _: int) -> None:
    progress(before + n, total)


def _notes(plan: _Plan, sample_set: SampleSet) -> tuple[str, ...]:
    card = plan.models[0].card
    notes = list(dict.fromkeys(fold.split.note for fold in plan.folds if fold.split.note))
    notes += [plan.agreement.note] if plan.agreement.note else []
    notes += sample_set.notes
    if plan.protocol == "all" and is_named_in(card, sample_set.name):
        notes.append("the card names this set among what the model was trained on: these figures are no test")
    notes += [f"the model was trained on: {line}" for line in card.data]
    unit = "subjects" if sample_set.has_subjects else "blocks of neighbouring files"
    return (*notes, f"intervals: 95 %, {unit} drawn anew 1,000 times; blank where a class has fewer than two")
