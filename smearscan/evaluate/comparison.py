"""All models of one evaluation side by side, and what made the files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from smearscan import __version__
from smearscan.datasets.samples import SampleSet
from smearscan.evaluate.cost import Cost
from smearscan.evaluate.metrics import METRICS, class_names
from smearscan.evaluate.models import Model
from smearscan.evaluate.outcome import Figures, Outcome, title_of
from smearscan.evaluate.tables import Cell, with_interval, write_table
from smearscan.report.atomic import write_bytes


def summed(costs: Sequence[Cost | None]) -> Cost | None:
    """What all members cost together, one after the other."""
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(costs):
        return None
    seconds = sum(1 / cost.images_per_s for cost in known)
    return Cost(sum(c.n_parameters for c in known), sum(c.gflops for c in known), 1 / seconds, known[0].device)


def write_comparison(
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


def write_origin(
    out: Path,
    data: Path,
    sample_set: SampleSet,
    loaded: Sequence[Sequence[Model]],
    outcomes: Sequence[Outcome],
    seed: int,
) -> None:
    """What made these files: versions, digests, protocol, seed."""
    # An ensemble stands last: its weights are everybody's.
    everybody = [model for models in loaded for model in models]
    table = {
        "smearscan": __version__,
        "data": data.name,
        "set": sample_set.name,
        "classes": list(sample_set.classes),
        "n_samples": len(sample_set.samples),
        "seed": seed,
        "models": [
            {
                "name": outcome.name,
                "protocol": outcome.protocol,
                "is_leaky": outcome.is_leaky,
                "weights_sha256": [model.digest for model in models],
                "n_failed": outcome.pooled.n_failed,
                "notes": list(outcome.notes),
            }
            for outcome, models in zip(outcomes, [*loaded, everybody], strict=False)
        ],
    }
    write_bytes(out / "evaluation.json", (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode())
