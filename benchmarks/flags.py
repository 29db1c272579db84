"""What flag groups of real cells would get, pooled as if each were a patient.

    python benchmarks/flags.py --data FOLDER --cache FOLDER [--most 450] [--least 40]

Groups are blocks of Taleqani's file numbers that were not trained on, the gaps beside them, and the held-back cells of
the other laboratories. Each is judged by the preset's networks, and its fraction corrected with the card's validation
less the group itself. The gap blocks set the ensemble's threshold: theirs are no blind figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from smearscan.aggregate import Validation, aggregate_patient
from smearscan.classes import COUNTED
from smearscan.cut_cells import picture_key
from smearscan.geometry import Box
from smearscan.judge import Judge, load_judge
from smearscan.models import load_card
from smearscan.records import CellPrediction, Detection, SlideResult, SlideSource
from smearscan.settings import Settings, load_settings
from smearscan.train.blast_cells import held_back
from smearscan.train.cells import SOURCES, CellTable, is_smudge, load_cells
from smearscan.train.run_time import run_time_pictures


def groups(table: CellTable) -> Iterator[tuple[str, np.ndarray]]:
    """Name as in the card, and rows of whole cells."""
    usable = table.is_whole & ~is_smudge(table) & (table.types != "artefact")
    for source, name in enumerate(SOURCES):
        mine = usable & (table.sources == source)
        for block in np.unique(table.blocks[mine & ((table.blocks != 0) | held_back(table))]):
            rows = np.flatnonzero(mine & (table.blocks == block) & ((table.blocks != 0) | held_back(table)))
            yield f"{name.lower()}_{'gap' if block < 0 else max(int(block), 1)}", rows


def judged(judge: Judge, table: CellTable, rows: np.ndarray) -> tuple[CellPrediction, ...]:
    """Verdicts on cells of the table, as a slide's."""
    cards = {picture_key(package.card.input): package.card.input for package in judge.packages}
    pictures = {key: run_time_pictures(table, rows, card) for key, card in cards.items()}
    verdicts = judge.verdicts(pictures, [float(a) for a in np.pi * table.measures[rows, 0] ** 2 / 4])
    return tuple(
        CellPrediction(
            Detection(Box(20 * i, 0, 10, 10), 1.0),
            verdict.cell_class,
            verdict.class_probability,
            verdict.blast_probability,
            verdict.cell_class in COUNTED,
        )
        for i, verdict in enumerate(verdicts)
    )


def print_flag(name: str, cells: tuple[CellPrediction, ...], settings: Settings) -> None:
    """One line."""
    card = load_card(settings.classify.blast[0]).model_dump(mode="json")
    validation = Validation.from_card(card)
    others = replace(validation, groups=tuple(group for group in validation.groups if group.name != name))
    source = SlideSource(slide_id=name, path=name, paths=(name,), patient_id=name)
    patient = aggregate_patient(name, [SlideResult(source, "done", cells=cells)], settings.aggregate, others)
    counts, between = patient.differential, f"{patient.corrected.low:.2f} to {patient.corrected.high:.2f}"
    share = f"{counts.n_blasts:3d} of {counts.n_leukocytes:3d} leukocytes called ({patient.raw.estimate:.0%})"
    print(f"{name:10s} {share}, corrected {between}: {patient.flag}", flush=True)


def main() -> None:
    """One line a group."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--most", type=int, default=450, help="cells of a group at most, drawn with a fixed seed")
    parser.add_argument("--least", type=int, default=40, help="leukocytes that are enough")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = load_settings()
    aggregate = settings.aggregate.model_copy(update={"min_leukocytes": given.least})
    settings = settings.model_copy(update={"aggregate": aggregate})
    judge, table = load_judge(settings.classify), load_cells(given.data, given.cache)
    for name, rows in groups(table):
        chosen = np.sort(np.random.default_rng(0).permutation(rows)[: given.most])
        print_flag(name, judged(judge, table, chosen), settings)


if __name__ == "__main__":
    main()
