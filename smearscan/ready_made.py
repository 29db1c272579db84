"""Judge images of single cells that somebody else cut."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from smearscan.common_scale import CommonScale, find_common_scales, scale_by_red_cells
from smearscan.crops import shipped_segmenter
from smearscan.crops.mask import BATCH_SIZE, make_mask
from smearscan.crops.network import MaskNetPlan
from smearscan.crops.prepare import native_um_per_px
from smearscan.crops.readymade import Framed, ReadyMade, frame_picture, outline_framed
from smearscan.errors import SlideError, UnsupportedImageError
from smearscan.geometry import Box
from smearscan.judge import load_judge
from smearscan.regions.field import check_colour
from smearscan.settings import ScaleSettings, Settings
from smearscan.slide import open_slide
from smearscan.verdict import Verdict

#: Pictures held in memory at a time.
_AT_A_TIME = 128


@dataclass(frozen=True, slots=True)
class CropVerdict:
    """One line of predictions.csv; a picture that cannot be read has a reason and no class."""

    path: str
    cell_class: str = ""
    blast_probability: float | None = None
    class_probability: float | None = None
    spread: float | None = None
    um_per_px: float | None = None
    notes: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture of one cell, (H, W, 3) uint8 RGB; its file, for errors; the scale it shares with others, if it does."""

    rgb: np.ndarray
    name: str
    common: CommonScale | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What is looked at of a picture; where red cells lie around the cell, by the scale that they say too."""

    first: Framed
    by_red_cells: tuple[CommonScale, Framed] | None = None


def classify_pictures(
    paths: Sequence[Path], settings: Settings, um_per_px: float | None = None, cell_um: float | None = None
) -> Iterator[CropVerdict]:
    """One verdict for each picture, in their order.

    Parameters
    ----------
    um_per_px, cell_um
        Scale of the pictures, or diameter of their cells in µm; without either red cells are the ruler, those of many
        pictures of one size together (`common_scale`), else the cell itself is measured.
    """
    is_unknown = um_per_px is None and cell_um is None
    common = find_common_scales(paths, shipped_segmenter(), settings.scale) if is_unknown else {}
    for first in range(0, len(paths), _AT_A_TIME):
        part = paths[first : first + _AT_A_TIME]
        made = make_pictures((read_picture(path, common) for path in part), um_per_px, cell_um, settings.scale)
        good = [picture for picture in made if isinstance(picture, ReadyMade)]
        judge = load_judge(settings.classify)
        crops, masks = [picture.crop for picture in good], [picture.mask for picture in good]
        verdicts = iter(judge.judge(crops, masks, refuses_coarse=False))
        for path, picture in zip(part, made, strict=True):
            if isinstance(picture, ReadyMade):
                yield _line(path, picture, next(verdicts), judge.coarsest_um_per_px)
            else:
                yield CropVerdict(str(path), reason=str(picture))


def read_picture(path: Path, common: Mapping[Path, CommonScale]) -> Picture | SlideError:
    """A file's picture with the scale that it shares, or why it cannot be read or judged: it is damaged, or grey."""
    try:
        with open_slide(path) as image:
            rgb = image.read(Box(0, 0, *image.info.size))
        # As of a field: networks that know colours alone would make something of it, but not what it is.
        check_colour(str(path), int((rgb.max(axis=2) - rgb.min(axis=2)).max()))
        return Picture(rgb, str(path), common.get(path))
    except SlideError as error:
        return error


def make_pictures(
    pictures: Iterable[Picture | SlideError],
    um_per_px: float | None = None,
    cell_um: float | None = None,
    settings: ScaleSettings | None = None,
) -> list[ReadyMade | SlideError]:
    """Pictures of one cell as networks are to see them, whoever asks: outlined, then shrunk to the training's crops.

    Parameters
    ----------
    pictures
        Taken as many at a time as are outlined together, none is kept; why there is none stays in its place.
    um_per_px, cell_um
        What is known of the scale of those that share none. Where nothing is, red cells around the cell are the ruler,
        if there are some.
    settings
        How wide a red cell is.

    Returns
    -------
    In their order; in place of one that is too small to hold a cell, or has an impossible scale, why.
    """
    settings, left, made = settings or ScaleSettings(), iter(pictures), []
    while part := list(islice(left, BATCH_SIZE)):
        framed = [_framed(picture, um_per_px, cell_um, settings) for picture in part]
        outlined = iter(_outlined([views for views in framed if isinstance(views, _Views)]))
        made += [_shrunk(next(outlined)) if isinstance(views, _Views) else views for views in framed]
    return made


def _framed(
    picture: Picture | SlideError, um_per_px: float | None, cell_um: float | None, settings: ScaleSettings
) -> _Views | SlideError:
    if isinstance(picture, SlideError):
        return picture
    try:
        if picture.common is not None:
            return _Views(_framed_by(picture.common, picture))
        first = frame_picture(picture.rgb, shipped_segmenter(), um_per_px, cell_um, picture.name)
    except SlideError as error:
        return error
    is_known = um_per_px is not None or cell_um is not None or first.has_scale
    red_cells = None if is_known or first.is_on_black else scale_by_red_cells(picture.rgb, settings)
    if red_cells is None:
        return _Views(first)
    try:
        return _Views(first, (red_cells, _framed_by(red_cells, picture)))
    except UnsupportedImageError:  # what was taken for red cells is none: by it the picture holds no cell
        return _Views(first)


def _framed_by(scale: CommonScale, picture: Picture) -> Framed:
    framed = frame_picture(picture.rgb, shipped_segmenter(), scale.um_per_px, name=picture.name)
    return replace(framed, has_scale=False, notes=(scale.note, *framed.notes))


def _outlined(views: Sequence[_Views]) -> list[ReadyMade]:
    """All at once, then those whose red cells make a leukocyte of the cell by their scale; as they were if it fails."""
    made = outline_framed([view.first for view in views], shipped_segmenter())
    again: dict[int, Framed] = {}
    for place, view in enumerate(views):
        if view.by_red_cells is not None:
            red_cells, framed = view.by_red_cells
            if red_cells.makes_a_leukocyte(_diameter_px(made[place])):
                again[place] = framed
    for place, anew in zip(again, outline_framed(list(again.values()), shipped_segmenter()), strict=True):
        if anew.mask.area_um2 > 0:
            made[place] = anew
    return made


def _diameter_px(made: ReadyMade) -> float:
    """Of a circle of the cell's area, in the picture's own pixels; 0 where none was outlined."""
    return 2 * math.sqrt(made.mask.area_um2 / math.pi) / native_um_per_px(made.crop)


def _shrunk(made: ReadyMade) -> ReadyMade:
    """Crop and mask at the resolution of those that the networks were trained on; live cells have it too."""
    side, crop = MaskNetPlan().side_px, made.crop
    um_per_px = crop.um_per_px * crop.pixels.shape[0] / side
    pixels = cv2.resize(crop.pixels, (side, side), interpolation=cv2.INTER_AREA)
    cell, nucleus = (_shrunk_mask(part, side) for part in (made.mask.cell, made.mask.nucleus))
    mask = make_mask(cell, nucleus, um_per_px)
    return replace(made, crop=replace(crop, pixels=pixels, um_per_px=um_per_px), mask=mask)


def _shrunk_mask(mask: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(mask.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA) > 127


def _line(path: Path, picture: ReadyMade, verdict: Verdict, coarsest_um_per_px: float) -> CropVerdict:
    notes = picture.notes
    if native_um_per_px(picture.crop) > coarsest_um_per_px:
        notes += (f"coarser than the {coarsest_um_per_px:g} µm/px the networks can judge: take it with care",)
    return CropVerdict(
        path=str(path),
        cell_class=verdict.cell_class.value,
        blast_probability=verdict.blast_probability,
        class_probability=verdict.class_probability,
        spread=verdict.spread,
        um_per_px=native_um_per_px(picture.crop) if picture.has_scale else None,
        notes="; ".join(notes),
    )
