"""A smear with known truth, before it is stored: one object that paints any part of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.classes import CellClass
from smearscan.geometry import Box, Size
from smearscan.synth.chance import uniform
from smearscan.synth.film import Film, Layout
from smearscan.synth.laboratories import Laboratory, find_laboratory, list_laboratories
from smearscan.synth.paint import Painter, TrueCell
from smearscan.synth.placement import Placement, Recipe
from smearscan.synth.sprites import SpriteBank

#: A scanner stitches fields of this size; the light falls off over each.
_STITCHED = Size(2048, 2048)

#: Images smaller than this in either direction are fields of the monolayer, µm.
_SMEAR_FROM_UM = (2400.0, 1200.0)


@dataclass(frozen=True, slots=True)
class SmearOptions:
    """What a smear shows and how it looks; None means the usual for the laboratory, seed or size.

    Attributes
    ----------
    laboratory
        A name of `list_laboratories()`; None draws one.
    mpp
        µm per pixel.
    blast_fraction
        Share of blasts among the counted leukocytes, 0 to 1.
    cells_per_mm2, platelets_per_mm2
        Leukocytes and platelets per mm² of film.
    touching
        Share of leukocytes with another one touching them, 0 to 1.
    red_cell_um
        Median diameter of the patient's red cells, µm; None draws it within 4 % of 7.5.
    layout
        `field` is monolayer everywhere; `smear` has glass, thick head, monolayer and feathered end.
    thickness
        Factor on the film's thickness: 1 is a good monolayer, 0 glass, 2.5 too thick to read.
    normal
        Shares of the other leukocytes; scaled to sum to 1.
    uncounted
        Erythroblasts, smudges and artefacts, each per leukocyte.
    n_variants
        Drawings per class before they are turned.
    """

    laboratory: str | None = None
    mpp: float | None = None
    blast_fraction: float = 0.0
    cells_per_mm2: float = 300.0
    platelets_per_mm2: float = 900.0
    touching: float = 0.06
    red_cell_um: float | None = None
    layout: Layout | None = None
    thickness: float = 1.0
    normal: dict[CellClass, float] | None = None
    uncounted: dict[CellClass, float] | None = None
    n_variants: int = 64

    def __post_init__(self) -> None:
        if not 0 <= self.blast_fraction <= 1:
            raise ValueError(f"a blast fraction lies between 0 and 1, not at {self.blast_fraction}")
        if self.mpp is not None and not 0.02 <= self.mpp <= 4:
            raise ValueError(f"µm per pixel must lie between 0.02 and 4, not at {self.mpp}")


class Smear:
    """One synthetic smear of a given size.

    Parameters
    ----------
    width, height
        Pixels at level 0.
    seed
        The same seed and options give the same pixels.
    options
        See `SmearOptions`.

    Raises
    ------
    ValueError
        If the size is not positive or an option is out of range.
    """

    def __init__(self, width: int, height: int, seed: int, options: SmearOptions) -> None:
        if width < 1 or height < 1:
            raise ValueError(f"a smear needs a positive width and height, not {width}×{height}")
        self.size = Size(width, height)
        self.seed = seed
        self.options = options
        self.laboratory: Laboratory = find_laboratory(options.laboratory or _drawn(seed))
        self.mpp = options.mpp or self.laboratory.mpp
        self.red_cell_um = options.red_cell_um or 7.5 * (0.96 + 0.08 * float(uniform(seed, 5)[0]))
        self.layout: Layout = options.layout or self._usual_layout()
        self._painter = self._make_painter()

    def paint(self, box: Box) -> np.ndarray:
        """Pixels of a rectangle, (H, W, 3) uint8 RGB; the same in whatever pieces they are asked for."""
        return self._painter.paint(box)

    def true_cells(self, box: Box) -> list[TrueCell]:
        """Cells whose centre lies in a rectangle; rectangles that tile the image share them out."""
        return self._painter.true_cells(box)

    def parameters(self) -> dict[str, object]:
        """What the smear was made with, for its JSON."""
        return {
            "width_px": self.size.width,
            "height_px": self.size.height,
            "seed": self.seed,
            "laboratory": self.laboratory.name,
            "mpp": self.mpp,
            "blast_fraction": self.options.blast_fraction,
            "red_cell_um": round(self.red_cell_um, 4),
            "red_cell_px": round(self.red_cell_um / self.mpp, 4),
            "cells_per_mm2": self.options.cells_per_mm2,
            "layout": self.layout,
            "thickness": self.options.thickness,
        }

    def _usual_layout(self) -> Layout:
        width_um, height_um = self.size.width * self.mpp, self.size.height * self.mpp
        return "smear" if width_um >= _SMEAR_FROM_UM[0] and height_um >= _SMEAR_FROM_UM[1] else "field"

    def _make_painter(self) -> Painter:
        options = self.options
        film = Film(self.size.width * self.mpp, self.size.height * self.mpp, self.seed, self.layout, options.thickness)
        recipe = Recipe(options.blast_fraction, options.cells_per_mm2, options.platelets_per_mm2, options.touching)
        if options.normal is not None:
            recipe.normal.clear()
            recipe.normal.update(options.normal)
        if options.uncounted is not None:
            recipe.uncounted.clear()
            recipe.uncounted.update(options.uncounted)
        bank = SpriteBank(self.laboratory, self.mpp, self.seed, self.red_cell_um, options.n_variants)
        placement = Placement(film, recipe, self.seed, self.red_cell_um)
        is_lone = self.size.width <= _STITCHED.width and self.size.height <= _STITCHED.height
        return Painter(self.size, placement, bank, self.size if is_lone else _STITCHED)


def _drawn(seed: int) -> str:
    """The laboratory of a seed for which none is named."""
    names = list_laboratories()
    return names[int(uniform(seed, 4)[0] * len(names))]


def draw_smear(width: int, height: int, seed: int, **options: object) -> tuple[np.ndarray, list[TrueCell]]:
    """A smear in memory, for tests and fields.

    Parameters
    ----------
    width, height
        Pixels.
    seed
        The same seed and options give the same pixels.
    **options
        Fields of `SmearOptions`: laboratory, mpp, blast_fraction, cells_per_mm2 …

    Returns
    -------
    pixels : numpy.ndarray
        (H, W, 3) uint8 RGB, before any compression.
    cells : list of TrueCell
        Every leukocyte, erythroblast, smudge, artefact and platelet.
    """
    smear = Smear(width, height, seed, SmearOptions(**options))  # type: ignore[arg-type]
    whole = Box(0, 0, width, height)
    return smear.paint(whole), smear.true_cells(whole)
