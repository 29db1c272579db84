"""Where to look on an image: skip glass and thick film, keep the monolayer, grade focus."""

from __future__ import annotations

import numpy as np

from smearscan.errors import EmptySlideError
from smearscan.records import RegionMap, Scale, Tile
from smearscan.regions.field import check_colour, check_light, empty, search_field
from smearscan.regions.film import FilmMap, map_film, measure_white
from smearscan.regions.grid import make_grid
from smearscan.regions.sharpness import grade_tiles
from smearscan.regions.survey import Survey, survey_slide
from smearscan.settings import RegionSettings
from smearscan.slide.base import Slide


def find_regions(slide: Slide, scale: Scale, settings: RegionSettings) -> RegionMap:
    """Tiles to search, how much film that is, how sharp it is.

    An image of at most `max_field_mm2` is a field that a person chose: all of it is searched, however
    dense. On a scan the tiles with film are kept, and those on glass that hold something as dark as a
    nucleus. Left out are tiles where the film has no gaps and is denser than the slide's own thin part,
    unless leukocytes fill them, and tiles out of focus on a slide that is else in focus.

    Parameters
    ----------
    slide
        Opened; its survey is read row by row.
    scale
        µm per pixel at level 0.
    settings
        Sizes and limits.

    Returns
    -------
    RegionMap
        Tiles from top left to bottom right, one row after another; cores are disjoint, and together with
        what was left out they partition the slide. Halos are clipped to it.

    Raises
    ------
    EmptySlideError
        If there is nothing but glass, or all is black.
    UnsupportedImageError
        If the image is grey or bright on dark.
    """
    mpp, size = scale.mpp, slide.info.size
    rows = make_grid(size, mpp, settings.tile_um, settings.halo_um)
    if size.width * mpp.x * size.height * mpp.y <= settings.max_field_mm2 * 1e6:
        return search_field(slide, [tile for row in rows for tile in row], mpp)
    survey = survey_slide(slide, rows, mpp, settings.survey_um_per_px)
    film = _judged(slide.info.path, survey, settings)
    return _keep(slide, scale, settings, survey, film, n_columns=len(rows[0]))


def _judged(path: str, survey: Survey, settings: RegionSettings) -> FilmMap:
    whole = survey.histograms.sum(axis=0)
    if whole[1].sum() < _MIN_SCANNED * survey.n_px.sum():
        raise EmptySlideError(f"{path} is blank: all black or all white", "check the lamp, the exposure and the export")
    check_light(path, measure_white(whole), whole)
    film = map_film(survey, settings)
    if not (film.is_film | film.has_azure).any():
        raise empty(path)
    check_colour(path, survey.max_colour)
    return film


#: Less of a scan than this that is neither pure white nor pure black is none.
_MIN_SCANNED = 0.001


def _keep(
    slide: Slide, scale: Scale, settings: RegionSettings, survey: Survey, film: FilmMap, n_columns: int
) -> RegionMap:
    wanted = (film.is_film | film.has_azure) & ~film.is_thick
    places: dict[tuple[int, int], tuple[Tile, float]] = {
        divmod(int(index), n_columns): (survey.tiles[index], float(film.film_fraction[index]))
        for index in np.flatnonzero(wanted)
    }
    sharpness = grade_tiles(slide, places, scale.mpp, settings.n_focus_samples, settings.min_focus)
    kept = {place: found for place, found in places.items() if place not in sharpness.blurred}
    film_mm2 = film.film_fraction * survey.n_px * survey.px_um2 / 1e6
    return RegionMap(
        tiles=tuple(tile for tile, _ in kept.values()),
        film_mm2=float(film_mm2[film.is_film | film.has_azure].sum()),
        searched_mm2=float(sum(film_mm2[row * n_columns + column] for row, column in kept)),
        focus=sharpness.focus,
        n_thick_tiles=int(film.is_thick.sum()),
        n_blurred_tiles=len(sharpness.blurred),
    )
