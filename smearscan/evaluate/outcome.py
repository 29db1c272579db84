"""The files of one evaluated model: predictions, tables with intervals, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from smearscan.datasets.samples import Sample
from smearscan.evaluate.bootstrap import intervals
from smearscan.evaluate.figures import draw_confusion, draw_reliability, draw_roc
from smearscan.evaluate.metrics import METRICS, Scored, by_class, confusion, measure
from smearscan.evaluate.pairing import Fold
from smearscan.evaluate.predict import Predictions, write_predictions
from smearscan.evaluate.tables import Cell, with_interval, write_csv, write_markdown, write_table
from smearscan.report.atomic import make_folder, write_bytes

_TITLES = {"f1": "F1", "weighted_f1": "weighted F1", "macro_f1": "macro F1", "auroc": "AUROC", "ece": "ECE"}


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One MODEL on one set under one protocol.

    `pooled` holds each image once; where several models judged it, the mean of their probabilities.
    """

    name: str
    set_name: str
    protocol: str
    folds: tuple[tuple[Fold, Predictions], ...]
    pooled: Predictions
    has_subjects: bool
    notes: tuple[str, ...]

    @property
    def is_leaky(self) -> bool:
        """Whether a figure here must not be believed."""
        return any(fold.split.is_leaky for fold, _ in self.folds)

    @property
    def shown_protocol(self) -> str:
        """The protocol as outputs name it."""
        return f"{self.protocol} (LEAKY)" if self.is_leaky else self.protocol


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Metrics of some images with their intervals."""

    n: int
    n_subjects: int
    values: Mapping[str, float]
    bounds: Mapping[str, tuple[float, float]]


def figures_of(scored: Scored) -> Figures:
    """Metrics and intervals."""
    return Figures(len(scored.labels), len(set(scored.subjects.tolist())), measure(scored), intervals(scored))


def pool(parts: Sequence[Predictions]) -> Predictions:
    """Each image once: the mean of the probabilities where several folds judged it."""
    rows: dict[Sample, list[np.ndarray]] = {}
    kept: dict[Sample, tuple[str, str]] = {}
    for part in parts:
        for i, sample in enumerate(part.samples):
            kept.setdefault(sample, (part.labels[i], part.reasons[i]))
            rows.setdefault(sample, []).append(part.probabilities[i])
    means = [np.mean(found, axis=0) for found in rows.values()]
    matrix = np.array(means, np.float32).reshape(len(means), len(parts[0].classes))
    labels, reasons = tuple(label for label, _ in kept.values()), tuple(why for _, why in kept.values())
    return Predictions(tuple(rows), labels, parts[0].classes, matrix, reasons)


def write_outcome(folder: Path, outcome: Outcome, prefix: str = "", with_figures: bool = True) -> Figures | None:
    """Write all files of one model; the pooled figures, or None where no image has a label."""
    make_folder(folder)
    write_predictions(folder / "predictions.csv", outcome.pooled, prefix)
    several = len(outcome.folds) > 1
    for fold, predictions in outcome.folds if several else ():
        make_folder(folder / _plain(fold.split.name))
        write_predictions(folder / _plain(fold.split.name) / "predictions.csv", predictions, prefix)
    _write_submission(folder, outcome.pooled)
    scored = outcome.pooled.scored()
    if len(scored.labels) == 0:
        return None
    found = figures_of(scored)
    folds = {fold.split.name: part.scored() for fold, part in outcome.folds}
    _write_metrics(folder, outcome, folds if several else {}, found)
    _write_classes(folder, scored, outcome.notes)
    _write_subjects(folder, outcome, scored)
    if with_figures:
        _draw(folder, outcome, folds, scored, several)
    return found


def title_of(metric: str) -> str:
    """A metric's name for people."""
    return _TITLES.get(metric, metric)


def _plain(name: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in name)


def _write_metrics(folder: Path, outcome: Outcome, folds: Mapping[str, Scored], pooled: Figures) -> None:
    found = {name: figures_of(scored) for name, scored in folds.items() if len(scored.labels)}
    rows: list[list[Cell]] = [_row(outcome, name, one) for name, one in found.items()]
    people: list[list[Cell]] = [_people(name, one) for name, one in found.items()]
    if len(found) > 1:
        for name, what in (("mean", fmean), ("sd", stdev)):
            values = [what([one.values[metric] for one in found.values()]) for metric in METRICS]
            head: list[Cell] = [outcome.name, outcome.set_name, outcome.shown_protocol, name, None, None]
            rows.append([*head, *(cell for value in values for cell in (value, None, None))])
            people.append([name, None, None, *values])
    rows.append(_row(outcome, "pooled", pooled))
    people.append(_people("pooled" if found else "all test images", pooled))
    spread = [f"{name}{end}" for name in METRICS for end in ("", "_low", "_high")]
    title = f"{outcome.name} on {outcome.set_name}, {outcome.shown_protocol}"
    write_csv(folder, "metrics", ["model", "set", "protocol", "fold", "n_images", "n_subjects", *spread], rows)
    header = ["fold", "images", "subjects" if outcome.has_subjects else "blocks", *map(title_of, METRICS)]
    write_markdown(folder, "metrics", header, people, title, outcome.notes)


def _row(outcome: Outcome, fold: str, found: Figures) -> list[Cell]:
    head: list[Cell] = [outcome.name, outcome.set_name, outcome.shown_protocol, fold, found.n, found.n_subjects]
    return [*head, *(cell for name in METRICS for cell in (found.values[name], *found.bounds[name]))]


def _people(fold: str, found: Figures) -> list[Cell]:
    shown = [with_interval(found.values[name], *found.bounds[name]) for name in METRICS]
    return [fold, found.n, found.n_subjects, *shown]


def _write_classes(folder: Path, scored: Scored, notes: Sequence[str]) -> None:
    rows = by_class(scored)
    write_table(folder, "per_class", list(rows[0]), [list(row.values()) for row in rows], "Per class", notes)
    counts = confusion(scored)
    table: list[list[Cell]] = [
        [name, *map(int, row)] for name, row in zip(scored.classes, counts.tolist(), strict=True)
    ]
    write_table(folder, "confusion", ["label \\ predicted", *scored.classes], table, "Confusion")


def _write_subjects(folder: Path, outcome: Outcome, scored: Scored) -> None:
    word = "subject" if outcome.has_subjects else "block"
    rows: list[list[Cell]] = []
    for subject in sorted(set(scored.subjects.tolist())):
        one = scored.only(scored.subjects == subject)
        usual = int(np.bincount(one.labels, minlength=len(scored.classes)).argmax())
        mean = one.probabilities.mean(axis=0)
        right = float((one.predicted == one.labels).mean())
        rows.append([subject, scored.classes[usual], len(one.labels), right, scored.classes[int(mean.argmax())],
                     *map(float, mean)])  # fmt: skip
    header = [word, "label", "images", "accuracy", "called by the mean", *(f"mean p({c})" for c in scored.classes)]
    write_table(folder, "per_subject", header, rows, f"Per {word}", outcome.notes)


def _draw(folder: Path, outcome: Outcome, folds: Mapping[str, Scored], scored: Scored, several: bool) -> None:
    title = f"{outcome.name} on {outcome.set_name}, {outcome.shown_protocol}"
    if several and len(scored.classes) == 2:
        draw_roc(folder / "roc.svg", {**folds, "pooled": scored}, title)
    else:
        draw_roc(folder / "roc.svg", {"all": scored}, title)
    draw_confusion(folder / "confusion.svg", scored, title)
    draw_reliability(folder / "reliability.svg", scored, title)
    for name, one in folds.items() if several else ():
        if len(one.labels):
            draw_confusion(folder / _plain(name) / "confusion.svg", one, f"{title}, {name}")
            draw_roc(folder / _plain(name) / "roc.svg", {name: one}, f"{title}, {name}")


def _write_submission(folder: Path, predictions: Predictions) -> None:
    """C-NMC's phase III: one line an image in the order of their numbers, 1 for `all`, 0 for `hem`."""
    hidden = [i for i, sample in enumerate(predictions.samples) if sample.part == "phase3"]
    if not hidden or len(predictions.classes) != 2:
        return
    order = sorted(hidden, key=lambda i: int(Path(predictions.samples[i].path).stem))
    called = [str(int(np.nan_to_num(predictions.probabilities[i]).argmax())) for i in order]
    write_bytes(folder / "submission.txt", ("\n".join(called) + "\n").encode())
