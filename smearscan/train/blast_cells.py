"""Which cells teach blast or not, how often each is drawn, and how a batch is made of them.

Positives are Taleqani's malignant fields, negatives its benign ones and normal blood of five other laboratories, so
that "another laboratory" is not the only thing that "not a blast" can mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from smearscan.models.cards import InputCard
from smearscan.train.cells import CellTable, is_smudge
from smearscan.train.fit import Batch, soft_targets
from smearscan.train.restain import Restainer, Strength
from smearscan.train.windows import degraded, masked_pictures, shrinks_without_scale

CLASSES = ("other", "blast")
#: Window that the members see in training, µm. At run time they are shown `INPUT`'s: cells larger by a tenth, which
#: ranks cells better at home and abroad.
TRAINING_WINDOW_UM = 22.0
#: All blasts come from one soft camera, and most other cells from sharp ones: unless all are made as soft as it,
#: "sharp" means "no blast", and another hospital's blasts are passed over.
INPUT = InputCard(
    window_um=20.0,
    um_per_px=20.0 / 64,
    side_px=64,
    background="black",
    coarsest_um_per_px=0.62,
    stain="cell",
    softened_um=0.4,
    mean=(128 / 255,) * 3,
    sd=(40 / 255,) * 3,
)
#: The member that knows its own laboratory sees the colours as they are.
HOME_INPUT = INPUT.model_copy(
    update={
        "window_um": 29.0,
        "um_per_px": 29.0 / 64,
        "stain": "none",
        "softened_um": 0.0,
        "mean": (0.5,) * 3,
        "sd": (0.25,) * 3,
    }
)
#: Where a picture is carried to teach that member what is not its own laboratory.
ELSEWHERE = Strength(scale=0.12, blur_px=1.3, mix=0.30, gain=0.45, offset=0.06)
#: The member that knows its home: as in `NEAR`, but size is not asked apart where it is sure.
HOME_NEAR = Strength(scale=0.06, blur_px=0.9, mix=0.05, gain=0.10, offset=0.02)
#: Half of a batch is left near its own laboratory's look, half is carried far from it. Sizes are drawn wide: a scale
#: measured from red cells is often off by a tenth, and size is asked apart from the networks.
NEAR = Strength(scale=0.09, blur_px=0.9, mix=0.05, gain=0.10, offset=0.02)
FAR = Strength(scale=0.16, blur_px=1.3, mix=0.15, gain=0.25, offset=0.05)
#: Share of a batch that is shown as pictures without scale are: every cell as wide as `TYPICAL_CELL_UM`.
_WITHOUT_SCALE = 0.15
#: Lowest JPEG quality of the coarse pictures here.
_WORST_QUALITY = 35
#: Share of the draws in which a cell of Taleqani, and of another laboratory, is shown as a coarse camera keeps it.
_COARSE_AT_HOME, _COARSE_ABROAD = 0.4, 0.6
#: A positive must at least look like a nucleated round cell: nucleus in µm, nucleus to cytoplasm.
_LEAST_NUCLEUS_UM, _LEAST_NUCLEAR_SHARE = 7.0, 0.5
_SHARES = {"Benign": 0.50, "pbc": 0.20, "raabin": 0.10, "bccd": 0.10, "seg1": 0.08, "seg2": 0.02}
_LYMPHOID = {"lymphocyte": 5.0, "monocyte": 2.5, "immature_granulocyte": 2.5}


@dataclass(frozen=True, slots=True, eq=False)
class BlastCells:
    """Rows of the cell table with 1 for blast, and the chance of each to be drawn."""

    rows: np.ndarray
    labels: np.ndarray
    chances: np.ndarray


def usable(table: CellTable) -> np.ndarray:
    """(N,) bool: one whole cell, no smudge, platelet or red cell; no atypical cell of segmentation_WBC's second set."""
    is_cell = ~np.isin(table.types, ["platelet", "artefact"]) & table.is_whole & ~is_smudge(table)
    atypical = table.is_from("seg2") & ~np.isin(table.types, ["neutrophil", "eosinophil", "monocyte"])
    return is_cell & ~atypical


def held_back(table: CellTable) -> np.ndarray:
    """(N,) bool: Taleqani's test blocks, and the last fifth of every class of every other laboratory.

    Types that were read later count as unread, so that no cell which the members were trained on changes sides.
    """
    out = table.blocks > 0
    types = np.where(table.readings > 1, "", table.types)
    for source in np.unique(table.sources[~_own(table)]):
        for name in np.unique(types[table.sources == source]):
            group = np.flatnonzero((table.sources == source) & (types == name))
            out[group[np.argsort(table.orders[group], kind="stable")][int(0.8 * len(group)) :]] = True
    return out


def _own(table: CellTable) -> np.ndarray:
    return table.is_from("Benign", "Early", "Pre", "Pro")


def training_cells(
    table: CellTable, left_out: tuple[str, ...] = (), stains_left_out: tuple[int, ...] = ()
) -> BlastCells:
    """Cells of the training blocks; `left_out` names sources to do without, `stains_left_out` Taleqani's stains."""
    keep = usable(table) & (table.blocks == 0) & ~held_back(table) & ~table.is_from(*left_out)
    keep &= ~np.isin(table.stains, stains_left_out)
    is_blast = table.is_from("Early", "Pre", "Pro")
    _, nucleus, share, _, _ = table.measures.T
    keep &= ~is_blast | ((nucleus >= _LEAST_NUCLEUS_UM) & (share >= _LEAST_NUCLEAR_SHARE))
    rows = np.flatnonzero(keep)
    labels = is_blast[rows].astype(np.int64)
    return BlastCells(rows, labels, _chances(table, rows))


def _chances(table: CellTable, rows: np.ndarray) -> np.ndarray:
    """Half positives, spread over class and stain; half negatives, spread over laboratories, lymphocytes most."""
    chances = np.zeros(len(rows))
    for grade in ("Early", "Pre", "Pro"):
        group = table.is_from(grade)[rows]
        chances[group] = _spread_over_stains(table, rows[group]) / 6
    for source, share in _SHARES.items():
        group = table.is_from(source)[rows]
        if source == "Benign":
            weight = _spread_over_stains(table, rows[group])
            weight *= np.where(table.measures[rows[group], 2] > 0.6, 2.0, 1.0)
        else:
            weight = np.array([_LYMPHOID.get(t, 1.0) for t in table.types[rows[group]]])
        chances[group] = weight / max(weight.sum(), 1e-9) * share / 2
    return chances / chances.sum()


def _spread_over_stains(table: CellTable, rows: np.ndarray) -> np.ndarray:
    """Weights by which a stain counts as the root of its number of cells; they sum to 1."""
    counts = np.bincount(table.stains[rows], minlength=int(table.stains.max()) + 1)
    weights: np.ndarray = 1 / np.sqrt(counts[table.stains[rows]])
    return weights / max(weights.sum(), 1e-9)


def batches(table: CellTable, cells: BlastCells, n: int, seed: int) -> Callable[[np.random.Generator], Batch]:
    """What draws batches of `n`: sharp and coarse pictures, of known and of unknown scale."""
    own = _own(table)[cells.rows]
    windows, masks = table.windows[cells.rows], table.masks[cells.rows]
    sharp = masked_pictures(windows, masks, TRAINING_WINDOW_UM, INPUT.side_px)
    coarse = masked_pictures(degraded(windows, seed, _WORST_QUALITY), masks, TRAINING_WINDOW_UM, INPUT.side_px)
    coarse_shares = np.where(own, _COARSE_AT_HOME, _COARSE_ABROAD)
    typical = shrinks_without_scale(table.measures[cells.rows, 0])
    restain = Restainer(seed, soft_px=INPUT.softened_um / TRAINING_WINDOW_UM * INPUT.side_px)

    def draw(rng: np.random.Generator) -> Batch:
        batch = rng.choice(len(cells.rows), n, p=cells.chances)
        is_coarse = (rng.random(n) < coarse_shares[batch])[:, None, None, None]
        images = torch.from_numpy(np.where(is_coarse, coarse[batch], sharp[batch])).permute(0, 3, 1, 2)
        half = n // 2
        shrinks = torch.from_numpy(np.where(rng.random(n) < _WITHOUT_SCALE, typical[batch], 1).astype(np.float32))
        near, far = restain(images[:half], NEAR, shrinks[:half]), restain(images[half:], FAR, shrinks[half:])
        return torch.cat([near, far]), soft_targets(cells.labels[batch], len(CLASSES))

    return draw


def home_batches(table: CellTable, cells: BlastCells, n: int, seed: int) -> Callable[[np.random.Generator], Batch]:
    """Batches for the member that knows Taleqani's own stains: two thirds its training cells with their labels.

    The last third, other laboratories' cells and its own carried far away, has the target one half: abroad this member
    shall say nothing, so that the ensemble is left to the members that look past the stain.
    """
    own = _own(table)[cells.rows]
    pictures = masked_pictures(
        table.windows[cells.rows], table.masks[cells.rows], HOME_INPUT.window_um, HOME_INPUT.side_px
    )
    at_home = np.where(own, cells.chances, 0)
    at_home[own & (cells.labels == 0)] /= at_home[own & (cells.labels == 0)].sum()
    at_home[own & (cells.labels == 1)] /= at_home[own & (cells.labels == 1)].sum()
    at_home /= at_home.sum()
    others, mine = np.flatnonzero(~own), np.flatnonzero(own)
    restain = Restainer(seed)

    def draw(rng: np.random.Generator) -> Batch:
        n_home = 2 * n // 3
        home = rng.choice(len(own), n_home, p=at_home)
        away = rng.choice(mine, (n - n_home) // 2)
        abroad = rng.choice(others, n - n_home - len(away))
        order = np.concatenate([home, abroad, away])
        images = torch.from_numpy(pictures[order]).permute(0, 3, 1, 2)
        near = restain.coloured(images[: n_home + len(abroad)], HOME_NEAR)
        far = restain.coloured(images[n_home + len(abroad) :], ELSEWHERE)
        silent = torch.full((n - n_home, len(CLASSES)), 0.5)
        targets = torch.cat([soft_targets(cells.labels[home], len(CLASSES)), silent])
        return (torch.cat([near, far]) - 0.5) / 0.25, targets

    return draw
