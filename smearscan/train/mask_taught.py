"""Real cells as further training windows for the mask network, outlined by the network before it.

A smaller network learns from a larger one what nobody drew: thousands of cells of all laboratories in their fields, red
cells and platelets among them, of which some have no outline. Each is turned, moved and degraded anew, so that the
network is asked for the outline that the sharp, upright window was given. None of them is a cell that figures of
outlines or of blasts are measured on.

The table of cells holds what the installed network outlined: the shipped one was taught by the one of commit 4b62b52,
which had 587,276 parameters and half the resolution.

References
----------
Hinton et al. 2015, https://doi.org/10.48550/arXiv.1503.02531.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from smearscan.train.blast_cells import held_back
from smearscan.train.cells import CellTable
from smearscan.train.mask_data import SIDE_PX, degrade
from smearscan.train.mask_stain import to_density

#: Standard deviations of the logarithm of size and of the offset, px.
_SCALE, _OFFSET_PX = 0.12, 3.0
_TURNED = 0.5
#: Laboratories whose cells were outlined by hand are left to those outlines.
_DRAWN_BY_HAND = ("seg1", "seg2")


@dataclass(frozen=True, slots=True, eq=False)
class TaughtCells:
    """Windows (N, 128, 128, 3) uint8 RGB, labels (N, 128, 128) uint8 of 0 background, 1 cytoplasm, 2 nucleus, and the
    (N,) chance of each to be drawn.
    """

    windows: np.ndarray
    labels: np.ndarray
    chances: np.ndarray

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One training pair, as `mask_data.draw_window` gives them."""
        cell = rng.choice(len(self.chances), p=self.chances)
        turns, is_mirrored = int(rng.integers(4)), rng.random() < 0.5
        window, label = (np.rot90(part[cell], turns) for part in (self.windows, self.labels))
        if is_mirrored:
            window, label = window[:, ::-1], label[:, ::-1]
        window, label = np.ascontiguousarray(window), np.ascontiguousarray(label)
        if rng.random() < _TURNED:
            window, label = _moved(window, label, rng)
        return degrade(to_density(window), label, rng), label


def taught_cells(table: CellTable) -> TaughtCells:
    """Cells of training blocks and training parts; every source alike often, Taleqani's four classes as four."""
    keep = (table.blocks == 0) & ~held_back(table) & ~table.is_from(*_DRAWN_BY_HAND)
    rows = np.flatnonzero(keep)
    sources, counts = np.unique(table.sources[rows], return_counts=True)
    share = dict(zip(sources.tolist(), (1 / counts / len(counts)).tolist(), strict=True))
    return TaughtCells(
        table.windows[rows], table.masks[rows], np.array([share[s] for s in table.sources[rows].tolist()])
    )


def _moved(window: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Both turned by any angle, made larger or smaller, moved a little; pixels from outside are mirrored in."""
    angle, scale = rng.uniform(0, 2 * np.pi), float(np.exp(rng.normal(0, _SCALE)))
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = (SIDE_PX - 1) / 2
    matrix = np.column_stack([turn, middle + rng.normal(0, _OFFSET_PX, 2) - turn @ np.full(2, middle)])
    side = (SIDE_PX, SIDE_PX)
    moved = cv2.warpAffine(window, matrix, side, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    # Each of the two masks by itself: a rim between background and nucleus is no cytoplasm.
    soft = [
        cv2.warpAffine((label >= level).astype(np.float32), matrix, side, flags=cv2.INTER_LINEAR) > 0.5
        for level in (1, 2)
    ]
    return moved, soft[0].astype(np.uint8) + (soft[0] & soft[1])
