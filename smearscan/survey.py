"""A slide before it is searched: each of its images opened, scaled, and its regions found.

The images of one slide share a smear and mostly a camera: where a field shows too few red cells to
be measured, the fields of the same size lend it their scale. A field that cannot be used is left out by name; a
slide fails only when none is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import median

import numpy as np

from smearscan.errors import ScaleError, SlideError
from smearscan.geometry import Mpp, Size
from smearscan.records import RegionMap, Scale, SharedScale, SlideSource, Tile
from smearscan.regions import find_regions
from smearscan.settings import ScaleSettings, Settings
from smearscan.slide import open_slide
from smearscan.slide.scale import note_other_scale, resolve_scale
from smearscan.slide.shared_scale import Reading, agrees, share_scale
from smearscan.stain import StainSample, sample_stain

#: Tiles whose stain is sampled, all over the slide, and the scale at which they are read: colours, not edges.
_STAIN_TILES, _STAIN_UM_PER_PX = 16, 1.0


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """One image of a slide: its scale and where to look on it; `name` is empty for a scan or a lone field."""

    name: str
    path: str
    size: Size
    scale: Scale
    regions: RegionMap


@dataclass(frozen=True, slots=True)
class Survey:
    """The usable images of a slide, what the readers decided, and the images left out, by reason."""

    fields: tuple[FieldPlan, ...]
    notes: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Image:
    name: str
    path: str
    size: Size | None = None
    scale: Scale | None = None
    error: SlideError | None = None


def survey_slide(source: SlideSource, settings: Settings) -> Survey:
    """Open every image of a slide once for its scale, once for its regions.

    Raises
    ------
    SlideError
        If no image is left: the first `ScaleError`, or where there is none the first image's error.
    """
    images = [_Image(name, path) for name, path in zip(field_names(source), source.paths, strict=True)]
    notes = [note for image in images for note in _measure(image, source, settings)]
    notes += _share_scales(images, source.shared_scale, settings.scale)
    notes += _lend_scales(images)
    fields = tuple(plan for image in images if (plan := _plan(image, settings)) is not None)
    errors = [image.error for image in images if image.error is not None]
    if not fields:
        # Whether a patient has a verdict depends on it: names of files must not decide which error that is.
        raise next((error for error in errors if isinstance(error, ScaleError)), errors[0])
    left_out = (*source.repeated, *(str(error) for error in errors))
    return Survey(fields, tuple(dict.fromkeys(notes)), left_out)


def sample_slide_stain(survey: Survey, max_px: int) -> StainSample:
    """Stained pixels and the white of the glass, from tiles evenly spread over all images of a slide."""
    tiles = [(plan, tile) for plan in survey.fields for tile in plan.regions.tiles]
    n = min(len(tiles), _STAIN_TILES)
    return sample_stain(_read([tiles[i * len(tiles) // n] for i in range(n)]), max_px)


def _read(tiles: list[tuple[FieldPlan, Tile]]) -> Iterator[np.ndarray]:
    for path, of_image in groupby(tiles, key=lambda place: place[0].path):
        with open_slide(path) as slide:
            for plan, tile in of_image:
                width, height = tile.core.width * plan.scale.mpp.x, tile.core.height * plan.scale.mpp.y
                size = Size(max(1, round(width / _STAIN_UM_PER_PX)), max(1, round(height / _STAIN_UM_PER_PX)))
                yield slide.read(tile.core, size)


def field_names(source: SlideSource) -> list[str]:
    """Name of each image of a slide: none for the only one, else its path below the slide's folder."""
    if len(source.paths) == 1 and Path(source.path) == Path(source.paths[0]):
        return [""]
    return [Path(path).relative_to(source.path).as_posix() for path in source.paths]


def _measure(image: _Image, source: SlideSource, settings: Settings) -> tuple[str, ...]:
    try:
        with open_slide(image.path) as slide:
            image.size = slide.info.size
            image.scale = resolve_scale(slide, source.mpp_given, settings.scale)
            return (*slide.notes, *note_other_scale(slide, source.mpp_given))
    except SlideError as error:
        image.error = error
        return ()


def _share_scales(images: list[_Image], lent: SharedScale | None, settings: ScaleSettings) -> list[str]:
    """Give images of one size the scale that their red cells agree on, but for those whose own say otherwise."""
    notes = []
    for size in dict.fromkeys(image.size for image in images):
        of_size = [image for image in images if image.size == size]
        measured = [image.scale for image in of_size if image.scale and image.scale.source == "estimated"]
        found = share_scale([_reading(scale, settings) for scale in measured], settings)
        # What the slide's own fields say comes before what other slides of the submission do.
        shared = found or lent
        n_taken = sum(_take(image, shared, settings) for image in of_size) if shared is not None else 0
        if shared is not None and n_taken:
            notes.append(shared.note)
    return notes


def _take(image: _Image, shared: SharedScale, settings: ScaleSettings) -> bool:
    """Give an image the shared scale, unless its file says one or its own red cells speak against it."""
    if image.scale is None:
        is_one = isinstance(image.error, ScaleError)
    else:
        is_one = image.scale.source == "estimated" and agrees(shared, _reading(image.scale, settings), settings)
    if is_one:
        sd = math.hypot(shared.relative_sd, settings.between_patient_sd)
        image.scale, image.error = Scale(Mpp(shared.mpp, shared.mpp), "estimated", sd, shared.n_red_cells), None
    return is_one


def _reading(scale: Scale, settings: ScaleSettings) -> Reading:
    """What red cells said of an image, without the spread between patients that its scale includes."""
    error = math.sqrt(max(0.0, scale.relative_sd**2 - settings.between_patient_sd**2))
    return Reading(scale.mpp.mean, error, scale.n_red_cells)


def _lend_scales(images: list[_Image]) -> list[str]:
    """Give images without a scale the median of those of the same size, as uncertain as these and their spread."""
    notes = []
    for size in dict.fromkeys(image.size for image in images if isinstance(image.error, ScaleError)):
        of_size = [image for image in images if image.size == size]
        lenders = [image.scale for image in of_size if image.scale is not None]
        borrowers = [image for image in of_size if isinstance(image.error, ScaleError)]
        if not lenders:
            continue
        mpps = [scale.mpp.mean for scale in lenders]
        middle = median(mpps)
        spread = float(np.std(np.log(mpps)))
        sd = math.hypot(max(scale.relative_sd for scale in lenders), spread)
        for image in borrowers:
            image.scale, image.error = Scale(Mpp(middle, middle), "estimated", sd), None
        which = "1 image" if len(borrowers) == 1 else f"{len(borrowers)} images"
        verb = "takes" if len(borrowers) == 1 else "take"
        notes.append(f"{which} without a scale {verb} that of the slide's others of their size, {middle:.4f} µm/px")
    return notes


def _plan(image: _Image, settings: Settings) -> FieldPlan | None:
    if image.scale is None or image.size is None:
        return None
    try:
        with open_slide(image.path) as slide:
            regions = find_regions(slide, image.scale, settings.regions)
            return FieldPlan(image.name, image.path, image.size, image.scale, regions)
    except SlideError as error:
        image.error = error
        return None
