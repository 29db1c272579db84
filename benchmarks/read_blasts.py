"""How much of what blasts lack lies in the labels: ``python benchmarks/read_blasts.py --data FOLDER --cache FOLDER``.

Taleqani's label is the field's. `read_blasts.tsv` holds cells of its test blocks that were drawn at random and read by
eye; printed is the AUROC by the field's label, then without the malignant fields' cells that plainly are no blasts.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from smearscan.models.packages import load_package
from smearscan.settings import load_settings
from smearscan.train.blast_figures import ensemble_probability
from smearscan.train.cells import CellTable, load_cells
from smearscan.train.measure_scores import auroc

_READ = Path(__file__).with_name("read_blasts.tsv")
#: The block of pre-B of which hardly more than half is called.
_ODD_BLOCK = 2


def read_rows(table: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the cell table that were read, and what was seen of each."""
    with _READ.open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    rows = [
        np.flatnonzero(table.is_from(read["class"]) & (table.orders == int(read["number"])))[int(read["nth"])]
        for read in found
    ]
    return np.array(rows), np.array([read["seen"] for read in found])


def main() -> None:
    """Print a line for each choice of cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    given = parser.parse_args()
    torch.set_num_threads(1)
    table, settings = load_cells(given.data, given.cache), load_settings().classify
    rows, seen = read_rows(table)
    blast = ensemble_probability([load_package(name) for name in settings.blast], settings, table, rows)
    is_malignant = table.is_from("Early", "Pre", "Pro")[rows]
    is_odd = table.is_from("Pre")[rows] & (table.blocks[rows] == _ODD_BLOCK)
    is_none, is_dark = is_malignant & (seen == "none"), is_malignant & (seen == "dark")
    choices = {
        "all": np.ones(len(rows), bool),
        "without those that plainly are no whole single blast": ~is_none,
        "and without small dark lymphocytes": ~is_none & ~is_dark,
        "and without one block of pre-B": ~is_none & ~is_dark & ~is_odd,
    }
    for title, chosen in choices.items():
        n_malignant = int(is_malignant[chosen].sum())
        score = auroc(blast[chosen], is_malignant[chosen])
        print(f"{title}: AUROC {score:.3f} of {n_malignant} malignant, {int(chosen.sum()) - n_malignant} benign")


if __name__ == "__main__":
    main()
