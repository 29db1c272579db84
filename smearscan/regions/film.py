"""What the survey's histograms mean: white, film, dark blue, thickness; all relative to the slide itself.

Laboratories differ tenfold in how strongly a red cell is stained (optical density 0.03 to 0.37 in green
over the fields this was made with), so no threshold here is one of a laboratory: each is taken from the
slide's own white and the slide's own film, between stated bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.regions.survey import JOINT_STEP, Survey
from smearscan.settings import RegionSettings

GREEN, BLUE = 1, 2

#: Share of the brightest pixels taken for glass: film of any use has gaps.
_WHITE_PERCENTILE = 99.0

#: Optical density in green that is film: this share of the film's median, between these bounds.
_FILM_SHARE, _FILM_BOUNDS = 0.4, (0.02, 0.06)

#: Nuclei absorb green at least this many times as much as a red cell (3 to 7 times, faint ones twice), and
#: blue, of that, at most this share of what red cells do: haemoglobin and eosin absorb blue, azure hardly.
#: Over nine groups of fields that share was 0.02 to 0.5, so that red cells in layers are told from nuclei.
_NUCLEUS_DENSITY, _NUCLEUS_BLUE = 2.0, 0.6

#: Film has cells, so brightness changes within 8 µm over at least this share of a tile; uneven light does not.
_MIN_STRUCTURE = 0.01

#: Tiles with less film than this do not tell how dense a red cell is; of the rest, the thinner quarter does.
_REFERENCE_FILM, _REFERENCE_PERCENTILE = 0.1, 25


@dataclass(frozen=True, slots=True, eq=False)
class FilmMap:
    """One value a tile, in the survey's order.

    Attributes
    ----------
    film_fraction, closed_fraction, density, azure_fraction : ndarray
        (tiles,) float64: share of film; share of its blocks without a gap; median optical density of
        film in green over that of a single red cell; share of nuclei.
    is_film, has_azure, is_thick : ndarray
        (tiles,) bool.
    """

    film_fraction: np.ndarray
    closed_fraction: np.ndarray
    density: np.ndarray
    azure_fraction: np.ndarray
    is_film: np.ndarray
    has_azure: np.ndarray
    is_thick: np.ndarray


def measure_white(histogram: np.ndarray) -> np.ndarray:
    """Brightness of glass, (3,) float64, from a (3, 256) histogram of the whole slide."""
    return np.array([_percentile(channel, _WHITE_PERCENTILE) for channel in histogram], np.float64)


def film_density(histogram: np.ndarray, white: float) -> float:
    """Optical density in green above which a pixel is film, from a (256,) histogram."""
    density = densities(white)
    low, high = _FILM_BOUNDS
    film = np.where(density > low, histogram, 0)
    if not film.sum():
        return high
    return float(np.clip(_FILM_SHARE * density[_percentile(film, 50)], low, high))


def densities(white: float) -> np.ndarray:
    """Optical density of each value 0 to 255, (256,) float64: log10 of white over value."""
    return np.log10(max(white, 1.0) / np.maximum(np.arange(256), 1))


def map_film(survey: Survey, settings: RegionSettings) -> FilmMap:
    """Judge every tile of a survey."""
    green = survey.histograms[:, GREEN]
    white = measure_white(survey.histograms.sum(axis=0))[GREEN]
    density = densities(white)
    is_stained = density > film_density(green.sum(axis=0), white)
    film_fraction = green[:, is_stained].sum(axis=1) / survey.n_px
    structure = _structure(survey, white)
    is_film = (film_fraction >= settings.min_film_fraction) & (structure >= _MIN_STRUCTURE)

    median = np.array([_median_density(tile, is_stained, density) for tile in green])
    red_cell = _red_cell_density(median, film_fraction, is_film)
    n_azure = survey.joint[:, _is_azure(survey, red_cell, is_film)].sum(axis=1)
    azure_fraction = n_azure / survey.n_px
    has_azure = (n_azure * survey.px_um2 > settings.min_azure_um2) & (structure > 0)

    touched = survey.darkest[:, is_stained].sum(axis=1)
    closed_fraction = survey.brightest[:, is_stained].sum(axis=1) / np.maximum(touched, 1)
    is_thick = (
        is_film
        & (median >= settings.thick_density * red_cell)
        & (closed_fraction > settings.max_closed_fraction)
        & (azure_fraction <= settings.max_azure_fraction)
    )
    relative = median / red_cell
    return FilmMap(film_fraction, closed_fraction, relative, azure_fraction, is_film, has_azure, is_thick)


def _structure(survey: Survey, white: float) -> np.ndarray:
    """Share of a tile where brightness changes within 8 µm by more than film's least, (tiles,) float64."""
    step = max(2, round(white * (1 - 10 ** -_FILM_BOUNDS[0])))
    return survey.contrast[:, step:].sum(axis=1) / np.maximum(survey.n_px, 1)


def _median_density(histogram: np.ndarray, is_stained: np.ndarray, density: np.ndarray) -> float:
    film = np.where(is_stained, histogram, 0)
    return float(density[_percentile(film, 50)]) if film.any() else 0.0


def _red_cell_density(median: np.ndarray, film_fraction: np.ndarray, is_film: np.ndarray) -> float:
    """Optical density of a single red cell in green: that of film where it is thin.

    Taken from the slide itself. Where all of it is equally dense (a marrow full of cells, or a film that
    is thick throughout) nothing is denser than this, and nothing is left out by a guess.
    """
    tells = is_film & (film_fraction >= _REFERENCE_FILM)
    if not tells.any():
        return _FILM_BOUNDS[1]
    return max(_FILM_BOUNDS[0], float(np.percentile(median[tells], _REFERENCE_PERCENTILE)))


def _is_azure(survey: Survey, red_cell: float, is_film: np.ndarray) -> np.ndarray:
    """Which bins of the joint histogram are nuclei; (32, 32) bool, green by blue."""
    white = measure_white(survey.histograms.sum(axis=0))
    middle = np.arange(32) * JOINT_STEP + JOINT_STEP / 2
    green, blue = (np.log10(white[channel] / middle) for channel in (GREEN, BLUE))
    green, blue = np.broadcast_arrays(green[:, None], np.maximum(blue[None, :], 0.0))
    ratio = blue / np.maximum(green, 1e-6)
    red_cells = (survey.joint[is_film].sum(axis=0) * (abs(green - red_cell) < red_cell / 2)).ravel()
    order = np.argsort(ratio, axis=None, kind="stable")
    usual = ratio.ravel()[order][_percentile(red_cells[order], 50)] if red_cells.any() else 1.0
    return (green > _NUCLEUS_DENSITY * red_cell) & (ratio < _NUCLEUS_BLUE * usual)


def _percentile(histogram: np.ndarray, percent: float) -> int:
    """Smallest value at or below which `percent` of the pixels lie."""
    cumulated = np.cumsum(histogram)
    return int(np.searchsorted(cumulated, percent / 100 * cumulated[-1]))
