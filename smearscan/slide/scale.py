"""µm per pixel of a slide: what it was given, what its file says, else red cells as the ruler.

A dried red cell of a healthy adult is about 7.5 µm wide (Bain, Blood Cells). Patients differ, so
the scale found this way is never better than that spread, and always marked as estimated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from smearscan.errors import ScaleError
from smearscan.geometry import PLAUSIBLE_UM_PER_PX, Box, Mpp, Size
from smearscan.records import Scale
from smearscan.settings import ScaleSettings
from smearscan.slide.base import Slide
from smearscan.slide.metadata import plausible
from smearscan.slide.red_cells import RoundCell
from smearscan.slide.ruler import (
    RedCellMeasure,
    cells_at_best_zoom,
    measure_red_cells,
    pooled,
    scaled,
)

__all__ = ["RedCellMeasure", "given_scale", "measure_red_cells", "measure_slide", "note_other_scale", "resolve_scale"]

#: A window as it is measured, pixels, and how much of level 0 it shows: the zoom is unknown.
_WINDOW_PX = 700
_ZOOMS = (1, 3)
#: Images up to this side are one window.
_ONE_WINDOW_PX = 2048
#: Places of a scan that are looked at, and cells that are plenty.
_N_PLACES = 8
_PLENTY = 120
#: The survey that finds the film, longest side in pixels, and the side of its squares.
_SURVEY_PX, _SQUARE_PX = 768, 12
#: A given scale and a file's own within this are the same, relative: vendors round, and calibrations differ so much.
_SAME_SCALE = 0.05


def resolve_scale(slide: Slide, given: float | None, settings: ScaleSettings) -> Scale:
    """The scale of a slide: from its file, as given, else measured from its red cells.

    Parameters
    ----------
    given
        µm per pixel that the submitter named; it beats the file's own.
    settings
        What a red cell measures and how sure one must be.

    Raises
    ------
    ScaleError
        If no microscope has what is given; if the file does not say, nothing is given and the red cells are too few or
        too uneven.
    """
    if given is not None:
        return given_scale(slide.info.path, given)
    if slide.info.mpp is not None:
        return Scale(slide.info.mpp, "metadata")
    measure = measure_slide(slide)
    remedy = "give the scale with --mpp or the worksheet's column mpp"
    if measure is None or measure.n_red_cells < settings.min_red_cells:
        n = 0 if measure is None else measure.n_red_cells
        needed = settings.min_red_cells
        raise ScaleError(
            f"{slide.info.path}: no µm per pixel in the file, and {n} red cells of {needed} needed", remedy
        )
    relative_sd = math.hypot(measure.relative_sd, settings.between_patient_sd)
    if relative_sd > settings.max_relative_sd:
        raise ScaleError(
            f"{slide.info.path}: no µm per pixel in the file, and its red cells give it only to ±{relative_sd:.0%}",
            remedy,
        )
    mpp = settings.red_cell_diameter_um / measure.diameter_px
    return Scale(Mpp(mpp, mpp), "estimated", relative_sd, measure.n_red_cells)


def given_scale(path: str, um_per_px: float) -> Scale:
    """The scale that the submitter named for an image.

    Raises
    ------
    ScaleError
        If no microscope has it: at such a scale an image is a dot, or fits no memory.
    """
    mpp = plausible(um_per_px, um_per_px)
    if mpp is None:
        low, high = PLAUSIBLE_UM_PER_PX
        raise ScaleError(
            f"{path}: {um_per_px:g} µm per pixel was given for it, which no microscope has",
            f"give one from {low:g} to {high:g}; divide nm by 1000",
        )
    return Scale(mpp, "given")


def note_other_scale(slide: Slide, given: float | None) -> tuple[str, ...]:
    """What is to be told where another scale was given than the file says: one of them is wrong."""
    own = slide.info.mpp
    if given is None or own is None or max(abs(given / own.x - 1), abs(given / own.y - 1)) <= _SAME_SCALE:
        return ()
    return (f"taken at the {given:g} µm per pixel that were given, where the file says {own.mean:.4g}",)


def measure_slide(slide: Slide) -> RedCellMeasure | None:
    """Red cells over a handful of windows of a slide, in level-0 pixels; None where there are none.

    A small image is one window. On a scan, windows are read where the film is neither glass nor
    thick, at level 0 and thrice as wide, until there are plenty of cells.
    """
    size = slide.info.size
    if max(size) <= _ONE_WINDOW_PX:
        return measure_red_cells(slide.read(Box(0, 0, size.width, size.height)))
    found: list[list[RoundCell]] = []
    for place in _places(slide):
        found.append(_best_of_zooms(slide, place))
        measure = pooled(found)
        if measure is not None and measure.n_red_cells >= _PLENTY and len(found) >= _N_PLACES // 2:
            break
    return pooled(found)


def _best_of_zooms(slide: Slide, place: tuple[float, float]) -> list[RoundCell]:
    """Red cells around a place at the zoom that shows most of them, in level-0 pixels."""
    best: list[RoundCell] = []
    for zoom in _ZOOMS:
        side = _WINDOW_PX * zoom
        box = Box(round(place[0] - side / 2), round(place[1] - side / 2), side, side)
        pixels = slide.read(box, Size(_WINDOW_PX, _WINDOW_PX))
        cells = [scaled(cell, float(zoom)) for cell in cells_at_best_zoom(pixels)]
        if len(cells) > 1.5 * len(best):
            best = cells
        if len(best) >= _PLENTY / _N_PLACES:
            break
    return best


def _places(slide: Slide) -> Iterator[tuple[float, float]]:
    """Middles of windows on thin film, level-0 pixels, spread over the slide, best first."""
    survey = slide.thumbnail(_SURVEY_PX).astype(np.float64)
    factor = slide.info.size.width / survey.shape[1]
    rows, columns = max(1, survey.shape[0] // _SQUARE_PX), max(1, survey.shape[1] // _SQUARE_PX)
    grey = survey.mean(axis=2)[: rows * _SQUARE_PX, : columns * _SQUARE_PX]
    squares = grey.reshape(rows, -1, columns, grey.shape[1] // columns).mean(axis=(1, 3))
    glass = np.percentile(grey, 99.5)
    stained = glass - squares
    film = stained > max(6.0, 0.25 * np.percentile(stained, 90))
    # The monolayer is paler than the thick head and darker than the feathered end.
    wanted = np.percentile(stained[film], 40) if film.any() else 0.0
    order = np.argsort(np.where(film, np.abs(stained - wanted), np.inf), axis=None, kind="stable")
    taken: list[tuple[int, int]] = []
    apart = max(rows, columns) / 10
    for index in order[: int(film.sum())]:
        row, column = divmod(int(index), columns)
        if all(math.hypot(row - r, column - c) >= apart for r, c in taken):
            taken.append((row, column))
            yield (column + 0.5) * _SQUARE_PX * factor, (row + 0.5) * _SQUARE_PX * factor
        if len(taken) == _N_PLACES:
            return
