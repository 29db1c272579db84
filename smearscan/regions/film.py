"""What the survey's histograms mean: white, film, dark blue, thickness; all relative to the slide itself.

Laboratories differ tenfold in how strongly a red cell is stained (optical density 0.03 to 0.37 in green
over the fields this was made with), so no threshold here is one of a laboratory: each is taken from the
slide's own white and the slide's own film, between stated bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smearscan.regions.survey import Survey
from smearscan.settings import RegionSettings

RED, GREEN = 0, 1

#: Share of the brightest pixels taken for glass: film of any use has gaps.
_WHITE_PERCENTILE = 99.0

#: Optical density in green that is film: this share of the film's median, between these bounds.
_FILM_SHARE, _FILM_BOUNDS = 0.4, (0.02, 0.06)

#: Optical density in red that is azure, between these bounds: eosin lets red pass, azure does not.
_AZURE_BOUNDS = (0.06, 0.25)

#: Film has cells, so brightness changes within 8 µm over at least this share of a tile; uneven light does not.
_MIN_STRUCTURE = 0.01

#: Film fractions of a tile that is surely monolayer: some gaps, some cells.
_MONOLAYER = (0.2, 0.9)


@dataclass(frozen=True, slots=True, eq=False)
class FilmMap:
    """One value a tile, in the survey's order.

    Attributes
    ----------
    film_fraction, azure_um2, azure_fraction : ndarray
        (tiles,) float64.
    is_film, is_azure, is_thick : ndarray
        (tiles,) bool.
    """

    film_fraction: np.ndarray
    azure_um2: np.ndarray
    azure_fraction: np.ndarray
    is_film: np.ndarray
    is_azure: np.ndarray
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
    whole = survey.histograms.sum(axis=0)
    white = measure_white(whole)
    green = densities(white[GREEN])
    is_stained = green > film_density(whole[GREEN], white[GREEN])
    fraction = survey.histograms[:, GREEN, is_stained].sum(axis=1) / survey.n_px
    has_structure = _structure(survey, white[GREEN]) >= _MIN_STRUCTURE
    is_film = (fraction >= settings.min_film_fraction) & has_structure

    is_blue = densities(white[RED]) > _azure_density(survey.histograms[:, RED], is_film, white[RED])
    n_blue = survey.histograms[:, RED, is_blue].sum(axis=1)
    azure_um2 = n_blue * survey.px_um2
    azure_fraction = n_blue / survey.n_px
    is_azure = (azure_um2 > settings.min_azure_um2) & has_any_structure(survey, white[GREEN])
    density = _mean_density(survey.histograms[:, GREEN], is_stained, green)
    is_thick = _thick(fraction, density, is_film, azure_fraction, settings)
    return FilmMap(fraction, azure_um2, azure_fraction, is_film, is_azure, is_thick)


def has_any_structure(survey: Survey, white: float) -> np.ndarray:
    """Whether anything in a tile stands out from what lies 8 µm beside it; (tiles,) bool."""
    return _structure(survey, white) > 0


def _structure(survey: Survey, white: float) -> np.ndarray:
    step = max(2, round(white * (1 - 10 ** -_FILM_BOUNDS[0])))
    return survey.contrast[:, step:].sum(axis=1) / np.maximum(survey.n_px, 1)


def _azure_density(red: np.ndarray, is_film: np.ndarray, white: float) -> float:
    histogram = red[is_film].sum(axis=0)
    if not histogram.sum():
        return _AZURE_BOUNDS[0]
    # Red cells and gaps make up most of a film: what absorbs red far beyond their spread is azure.
    density = densities(white)
    middle, upper = density[_percentile(histogram, 50)], density[_percentile(histogram, 16)]
    return float(np.clip(middle + 2 * (upper - middle), *_AZURE_BOUNDS))


def _thick(
    fraction: np.ndarray, density: np.ndarray, is_film: np.ndarray, azure: np.ndarray, settings: RegionSettings
) -> np.ndarray:
    low, high = _MONOLAYER
    is_monolayer = is_film & (fraction >= low) & (fraction <= high)
    if not is_monolayer.any():
        # Without a monolayer to compare with, a slide is not thinned out by a guess.
        return np.zeros(len(fraction), bool)
    is_dense = density >= settings.thick_density * np.median(density[is_monolayer])
    is_closed = fraction > settings.max_film_fraction
    return is_film & is_closed & is_dense & (azure <= settings.max_azure_fraction)


def _mean_density(green: np.ndarray, is_stained: np.ndarray, density: np.ndarray) -> np.ndarray:
    stained = green[:, is_stained]
    return (stained * density[is_stained]).sum(axis=1) / np.maximum(stained.sum(axis=1), 1)


def _percentile(histogram: np.ndarray, percent: float) -> int:
    """Smallest value at or below which `percent` of the pixels lie."""
    cumulated = np.cumsum(histogram)
    return int(np.searchsorted(cumulated, percent / 100 * cumulated[-1]))
