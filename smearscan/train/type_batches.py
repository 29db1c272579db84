"""Batches for the differential: some cells near their laboratory's look, the rest carried to where nobody has been."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from smearscan.crops.mask import CellSegmenter
from smearscan.models.cards import InputCard
from smearscan.train.cells import SOURCES, CellTable
from smearscan.train.coarse_copies import coarse_copies
from smearscan.train.foreign import Foreigner, ForeignLook
from smearscan.train.restain import Strength
from smearscan.train.stain_maps import StainMaps
from smearscan.train.windows import FINE_UM, masked_pictures, nucleus_pictures, shrinks_without_scale

_NEAR = Strength(scale=0.05, blur_px=0.7, mix=0.04, gain=0.08, offset=0.02, rim=0.2)
_FAR = ForeignLook()
#: Share of the far cells that are carried into another laboratory's stain, and that are a worse camera's copy.
_RESTAINED, _COPIED = 0.6, 0.5
#: Each cell is copied so many times.
_N_COPIES = 3
#: Share of a batch that is shown as pictures without scale are: every cell as wide as `TYPICAL_CELL_UM`.
_WITHOUT_SCALE = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRows:
    """Rows of the cell table to draw from.

    Attributes
    ----------
    rows, labels
        (N,) int; a label is what `TypeBatches` hands back.
    chances
        (N,) of being drawn, sum 1.
    is_round
        (N,) bool: round cells; the laboratories' stains are read from them, and their chromatin may be clumped.
    copied
        (N,) chance of each cell to be copied, each time: large groups need fewer copies.
    """

    rows: np.ndarray
    labels: np.ndarray
    chances: np.ndarray
    is_round: np.ndarray
    copied: np.ndarray


class TypeBatches:
    """Draws whitened pictures and their labels; made once a training run.

    Parameters
    ----------
    batch
        Cells a batch.
    seed
        Of augmentation and copies; which cells are drawn comes from the generator of each call.
    near
        Share of a batch that stays near its laboratory's look.
    """

    def __init__(
        self,
        table: CellTable,
        given: TrainingRows,
        card: InputCard,
        segmenter: CellSegmenter,
        batch: int,
        seed: int,
        near: float,
    ) -> None:
        if card.softened_um:
            raise ValueError("cells of types are not softened in training")
        self._given, self._batch, self._n_near = given, batch, round(batch * near)
        self._looks = Foreigner(seed, shows_nucleus=card.third == "nucleus")
        rows = given.rows
        own = _pictures(table.windows[rows], table.masks[rows], card)
        labels = zip(table.sources[rows], table.stains[rows], strict=True)
        groups = np.array([SOURCES[source] if stain < 0 else f"stain {stain}" for source, stain in labels])
        self._maps = StainMaps(own[..., :4], groups, given.is_round)
        chosen = _to_copy(given.copied, seed)
        copies, masks = coarse_copies(table.windows[rows[chosen]], table.masks[rows[chosen]], segmenter, seed)
        self._pictures = np.concatenate([own, _pictures(copies, masks, card)])
        widths = np.concatenate([table.measures[rows, 0], 2 * np.sqrt((masks > 0).sum((1, 2)) / np.pi) * FINE_UM])
        self._shrinks = shrinks_without_scale(widths)
        self._copies = _copies_of(chosen, len(rows))

    def __call__(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Network input (B, 3, S, S) and labels (B,)."""
        cells = rng.choice(len(self._given.rows), self._batch, p=self._given.chances)
        n_near = self._n_near
        near, far = cells[:n_near], self._some_copied(cells[n_near:], rng)
        images = torch.cat(
            [
                self._looks(self._images(near), _NEAR, self._drawn_shrinks(near, rng)),
                self._looks.abroad(
                    self._images(far),
                    _FAR,
                    self._drawn_shrinks(far, rng),
                    torch.from_numpy(self._maps.draw(cells[n_near:], _RESTAINED, rng)),
                    torch.from_numpy(self._given.is_round[cells[n_near:]]),
                ),
            ]
        )
        return images, torch.from_numpy(self._given.labels[cells])

    def _images(self, pictures: np.ndarray) -> Tensor:
        return torch.from_numpy(self._pictures[pictures]).permute(0, 3, 1, 2)

    def _drawn_shrinks(self, pictures: np.ndarray, rng: np.random.Generator) -> Tensor:
        is_unscaled = rng.random(len(pictures)) < _WITHOUT_SCALE
        return torch.from_numpy(np.where(is_unscaled, self._shrinks[pictures], 1.0).astype(np.float32))

    def _some_copied(self, cells: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Indices of pictures: of the cell itself, or of one of its copies."""
        out = cells.copy()
        for i, cell in enumerate(cells):
            if self._copies[cell] and rng.random() < _COPIED:
                out[i] = rng.choice(self._copies[cell])
        return out


def _to_copy(copied: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([np.flatnonzero(rng.random(len(copied)) < copied) for _ in range(_N_COPIES)])


def _copies_of(chosen: np.ndarray, n_cells: int) -> list[list[int]]:
    """Where the copies of each cell stand, behind the cells themselves."""
    copies: list[list[int]] = [[] for _ in range(n_cells)]
    for place, cell in enumerate(chosen):
        copies[cell].append(n_cells + place)
    return copies


def _pictures(windows: np.ndarray, masks: np.ndarray, card: InputCard) -> np.ndarray:
    """(N, S, S, 5) uint8: masked RGB, mask, nucleus."""
    masked = masked_pictures(windows, masks, card.window_um, card.side_px)
    return np.concatenate([masked, nucleus_pictures(masks, card.window_um, card.side_px)[..., None]], axis=3)
