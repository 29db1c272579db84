"""Which cells teach the differential what: those with a type, split for good, and round ones of no named type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.train.cells import SOURCES, CellTable, is_smudge, median_of_field

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
#: Labels of cells known to be mononuclear and no more, which the differential leaves to the blast networks, and of
#: small dense round ones; behind them what each is taught to be.
UNNAMED, SMALL = len(CLASSES), len(CLASSES) + 1
UNNAMED_TARGETS = (
    {"lymphocyte": 0.6, "monocyte": 0.2, "immature_granulocyte": 0.2},
    {"lymphocyte": 0.65, "erythroblast": 0.35},
)
#: Weight of a group of a source's cells in a batch, where it is not that of a named leukocyte.
_SHARES = {"artefact": 0.3, "smudge": 0.2, "unnamed": 0.8, "small": 0.25}


@dataclass(frozen=True, slots=True, eq=False)
class TypedCells:
    """Rows of the cell table whose type is known, with their split: 0 training, 1 validation, 2 test."""

    rows: np.ndarray
    labels: np.ndarray
    split: np.ndarray


def typed_cells(table: CellTable) -> TypedCells:
    """Cells with a type, among them smudges and red cells; split 70/10/20 by order in each source, class and reading.

    Of Taleqani's only those of the training blocks: the others are kept for blasts.
    """
    types = table.types.astype(object)
    types[is_smudge(table) & (table.types == "")] = "smudge"
    rows = np.flatnonzero(np.isin(types, CLASSES) & (table.blocks == 0))
    labels = np.array([CLASSES.index(t) for t in types[rows]])
    split = np.zeros(len(rows), np.int64)
    groups = np.stack([table.sources[rows], labels, table.readings[rows]])
    for group in np.unique(groups, axis=1).T:
        found = np.flatnonzero((groups == group[:, None]).all(0))
        found = found[np.argsort(table.orders[rows[found]], kind="stable")]
        split[found[int(0.7 * len(found)) : int(0.8 * len(found))]] = 1
        split[found[int(0.8 * len(found)) :]] = 2
    return TypedCells(rows, labels, split)


def unnamed_cells(table: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """Rows of Taleqani's round cells in its training blocks, and which kind each is, `UNNAMED` or `SMALL`.

    Their type is not known, only that they are mononuclear; the small dense ones are lymphocytes or nucleated red
    cells. Without them the network called most of them what it had seen of that laboratory (smudges), or platelets.
    """
    cell, nucleus, share, solidity, density = table.measures.T
    open_rows = table.is_whole & ~is_smudge(table) & (table.types == "") & (table.blocks == 0)
    malignant = table.is_from("Early", "Pre", "Pro")
    is_round = np.where(malignant, share >= 0.5, (share >= 0.7) & (solidity > 0.95) & table.is_from("Benign"))
    large = open_rows & (nucleus >= 7.0) & is_round.astype(bool)
    own = malignant | table.is_from("Benign")
    dense = density > median_of_field(table, density)
    small = open_rows & own & ~large & (cell < 9.5) & (share >= 0.45) & (solidity > 0.92) & dense
    rows = np.flatnonzero(large | small)
    return rows, np.where(small[rows], SMALL, UNNAMED)


def sampling_weights(sources: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Chance of each training cell to be drawn: source × class count alike, small groups less."""
    weights = np.zeros(len(labels))
    for source in np.unique(sources):
        for label in np.unique(labels[sources == source]):
            group = (sources == source) & (labels == label)
            share = 1.0 if SOURCES[source] == "pbc" else 0.45 * min(1.0, group.sum() / 80)
            share = _SHARES.get((*CLASSES, "unnamed", "small")[label], share)
            weights[group] = share / group.sum()
    return weights / weights.sum()
