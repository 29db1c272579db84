"""Where each cell lies: a function of the seed and of the place, never of what was asked before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from smearscan.classes import CellClass
from smearscan.synth.chance import uniform
from smearscan.synth.film import GLASS_BELOW, Film

#: Normal differential of adult blood, shares of the leukocytes.
NORMAL_BLOOD: dict[CellClass, float] = {
    CellClass.NEUTROPHIL: 0.57,
    CellClass.LYMPHOCYTE: 0.28,
    CellClass.MONOCYTE: 0.08,
    CellClass.EOSINOPHIL: 0.04,
    CellClass.BASOPHIL: 0.01,
    CellClass.IMMATURE_GRANULOCYTE: 0.02,
}

#: Per leukocyte: what is found but never counted.
UNCOUNTED: dict[CellClass, float] = {
    CellClass.ERYTHROBLAST: 0.02,
    CellClass.SMUDGE: 0.03,
    CellClass.ARTEFACT: 0.01,
}

#: How far red cells are shaken from an even packing, diameters: they touch, and some overlap.
_SHAKE = 0.42

#: Nothing drawn reaches further from its centre, µm.
REACH_UM = 14.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is on the smear, and how much of it.

    Attributes
    ----------
    blast_fraction
        Share of blasts among the leukocytes, 0 to 1.
    cells_per_mm2
        Leukocytes per mm² of film.
    platelets_per_mm2
        Platelets and clumps per mm² of film.
    touching
        Share of the leukocytes that have another one touching them.
    uncounted
        Erythroblasts, smudges and artefacts, each per leukocyte.
    """

    blast_fraction: float = 0.0
    cells_per_mm2: float = 300.0
    platelets_per_mm2: float = 900.0
    touching: float = 0.06
    normal: dict[CellClass, float] = field(default_factory=lambda: dict(NORMAL_BLOOD))
    uncounted: dict[CellClass, float] = field(default_factory=lambda: dict(UNCOUNTED))

    def shares(self) -> tuple[tuple[CellClass, ...], np.ndarray]:
        """Classes, and the cumulative share of each among all that is placed (ends at 1)."""
        total = sum(self.normal.values())
        parts = {c: (1 - self.blast_fraction) * share / total for c, share in self.normal.items()}
        parts[CellClass.BLAST] = self.blast_fraction
        parts.update(self.uncounted)
        sums = np.cumsum(list(parts.values()))
        return tuple(parts), sums / sums[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Cells of one kind of search: centres in µm, and what picks each drawing.

    `class_index` counts into `Recipe.shares()`; arrays are of equal length, in a fixed order.
    """

    x_um: np.ndarray
    y_um: np.ndarray
    class_index: np.ndarray
    variant: np.ndarray
    turn: np.ndarray


class Placement:
    """Centres of all cells of one smear, asked for by rectangle.

    Parameters
    ----------
    red_cell_um
        Median diameter of the red cells: they lie about that far apart.
    """

    def __init__(self, film: Film, recipe: Recipe, seed: int, red_cell_um: float) -> None:
        self.film = film
        self.recipe = recipe
        self.seed = seed
        self.red_cell_um = red_cell_um
        self._sums = recipe.shares()[1]
        per_leukocyte = 1 + sum(recipe.uncounted.values())
        self._density = max(1e-6, recipe.cells_per_mm2 * per_leukocyte / (1 + recipe.touching) * 1e-6)
        self._spacing = min(400.0, max(19.0, math.sqrt(0.8 / self._density)))

    def leukocytes(self, left: float, top: float, right: float, bottom: float) -> Placed:
        """Leukocytes and what else is as large, whose centre may lie in this rectangle, µm."""
        step = self._spacing
        ix, iy = _grid(left - step, top - step, right + step, bottom + step, step)
        draw = lambda use: uniform(self.seed, 11, use, ix, iy)  # noqa: E731
        room = max(0.0, step - 2 * 8.0) / step
        x = (ix + 0.5 + (draw(0) - 0.5) * room) * step
        y = (iy + 0.5 + (draw(1) - 0.5) * room) * step
        there = draw(2) < self._density * step * step * (self.film.at(x, y) > GLASS_BELOW)
        kind = np.searchsorted(self._sums, draw(3), side="right")
        twin = there & (draw(6) < self.recipe.touching)
        away, turn = 11.5 + 3.5 * draw(7), 2 * np.pi * draw(8)
        twin_kind = np.searchsorted(self._sums, draw(9), side="right")
        first = _pick(there, x, y, kind, draw(4), draw(5))
        second = _pick(twin, x + away * np.cos(turn), y + away * np.sin(turn), twin_kind, draw(10), draw(11))
        return _within(_merge(first, second), left, top, right, bottom)

    def platelets(self, left: float, top: float, right: float, bottom: float) -> Placed:
        """Platelets whose centre lies in this rectangle, µm; clear of leukocytes."""
        step = 12.0
        ix, iy = _grid(left, top, right, bottom, step)
        draw = lambda use: uniform(self.seed, 12, use, ix, iy)  # noqa: E731
        x, y = (ix + draw(0)) * step, (iy + draw(1)) * step
        there = draw(2) < self.recipe.platelets_per_mm2 * 1e-6 * step * step * (self.film.at(x, y) > GLASS_BELOW)
        found = _pick(there, x, y, np.zeros_like(ix), draw(3), draw(4))
        found = _within(found, left, top, right, bottom)
        return self._clear(found, 8.0)

    def red_cells(self, left: float, top: float, right: float, bottom: float) -> Placed:
        """Red cells whose centre lies in this rectangle, µm: where leukocytes leave room."""
        layers = [self._red_layer(layer, left, top, right, bottom) for layer in range(3)]
        return self._clear(_within(_merge(*layers), left, top, right, bottom), 5.2 + 0.42 * self.red_cell_um)

    def _red_layer(self, layer: int, left: float, top: float, right: float, bottom: float) -> Placed:
        """One layer of a shaken hexagonal packing; thick film has more layers."""
        step = 1.08 * self.red_cell_um
        rise = step * math.sqrt(0.75)
        columns, rows = _grid(left / step - 1, top / rise - 1, right / step + 1, bottom / rise + 1, 1.0)
        draw = lambda use: uniform(self.seed, 13 + layer, use, columns, rows)  # noqa: E731
        x = (columns + 0.5 * (rows & 1) + 0.37 * layer + _SHAKE * (draw(0) - 0.5)) * step
        y = (rows + 0.29 * layer + _SHAKE * (draw(1) - 0.5)) * rise
        film = self.film.at(x, y)
        keep = np.clip(0.62 * film, 0, 0.9) if layer == 0 else np.clip(0.55 * (film - layer - 0.1), 0, 0.9)
        return _pick(draw(2) < keep, x, y, np.zeros_like(columns), draw(3), draw(4))

    def _clear(self, found: Placed, distance_um: float) -> Placed:
        """Those further than this from every leukocyte's centre."""
        if not len(found.x_um):
            return found
        from scipy.spatial import cKDTree

        reach = distance_um
        near = self.leukocytes(
            found.x_um.min() - reach, found.y_um.min() - reach, found.x_um.max() + reach, found.y_um.max() + reach
        )
        if not len(near.x_um):
            return found
        tree = cKDTree(np.column_stack([near.x_um, near.y_um]))
        away, _ = tree.query(np.column_stack([found.x_um, found.y_um]))
        return _subset(found, away > distance_um)


def _grid(left: float, top: float, right: float, bottom: float, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Column and row numbers of the grid cells that meet a rectangle, row by row."""
    columns = np.arange(math.floor(left / step), math.ceil(right / step) + 1)
    rows = np.arange(math.floor(top / step), math.ceil(bottom / step) + 1)
    grid = np.meshgrid(columns, rows)
    return grid[0].ravel(), grid[1].ravel()


def _pick(there: np.ndarray, x: np.ndarray, y: np.ndarray, kind: np.ndarray, a: np.ndarray, b: np.ndarray) -> Placed:
    return Placed(x[there], y[there], kind[there], (a[there] * 2**20).astype(int), (b[there] * 8).astype(int))


def _merge(*parts: Placed) -> Placed:
    return Placed(*(np.concatenate([getattr(p, name) for p in parts]) for name in Placed.__slots__))


def _subset(found: Placed, chosen: np.ndarray) -> Placed:
    return Placed(*(getattr(found, name)[chosen] for name in Placed.__slots__))


def _within(found: Placed, left: float, top: float, right: float, bottom: float) -> Placed:
    inside = (found.x_um >= left) & (found.x_um < right) & (found.y_um >= top) & (found.y_um < bottom)
    return _subset(found, inside)
