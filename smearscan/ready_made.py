"""Judge images of single cells that somebody else cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from smearscan.common_scale import CommonScale, find_common_scales, scale_by_red_cells
from smearscan.crops import shipped_segmenter
from smearscan.crops.mask import make_mask
from smearscan.crops.network import MaskNetPlan
from smearscan.crops.prepare import native_um_per_px
from smearscan.crops.readymade import ReadyMade, read_ready_made
from smearscan.errors import SlideError, UnsupportedImageError
from smearscan.geometry import Box
from smearscan.judge import load_judge
from smearscan.records import CellMask, Crop
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
        read = [read_picture(path, common.get(path), um_per_px, cell_um, settings.scale) for path in part]
        good = [picture for picture in read if isinstance(picture, ReadyMade)]
        judge = load_judge(settings.classify)
        crops, masks = [picture.crop for picture in good], [picture.mask for picture in good]
        verdicts = iter(judge.judge(crops, masks, refuses_coarse=False))
        for path, picture in zip(part, read, strict=True):
            if isinstance(picture, ReadyMade):
                yield _line(path, picture, next(verdicts), judge.coarsest_um_per_px)
            else:
                yield CropVerdict(str(path), reason=str(picture))


def read_picture(
    path: Path,
    common: CommonScale | None = None,
    um_per_px: float | None = None,
    cell_um: float | None = None,
    settings: ScaleSettings | None = None,
) -> ReadyMade | SlideError:
    """A file as `make_picture` makes it, or why that cannot be."""
    try:
        with open_slide(path) as image:
            rgb = image.read(Box(0, 0, *image.info.size))
        return make_picture(rgb, str(path), common, um_per_px, cell_um, settings)
    except SlideError as error:
        return error


def make_picture(
    rgb: np.ndarray,
    name: str,
    common: CommonScale | None = None,
    um_per_px: float | None = None,
    cell_um: float | None = None,
    settings: ScaleSettings | None = None,
) -> ReadyMade:
    """A picture of one cell as networks are to see it, whoever asks: outlined, then shrunk to the training's crops.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.
    name
        The file, for errors.
    common
        Scale that it shares with others; wins over the rest.
    um_per_px, cell_um
        What else is known of its scale. Where nothing is, red cells around the cell are the ruler, if there are some.
    settings
        How wide a red cell is.

    Raises
    ------
    UnsupportedImageError
        If the picture is too small to hold a cell.
    """
    if common is not None:
        made = _read_by(common, rgb, name)
    else:
        made = read_ready_made(rgb, shipped_segmenter(), um_per_px, cell_um, name)
        if um_per_px is None and cell_um is None:
            made = _by_own_red_cells(made, rgb, name, settings or ScaleSettings())
    crop, mask = _shrunk(made.crop, made.mask)
    return replace(made, crop=crop, mask=mask)


def _read_by(scale: CommonScale, rgb: np.ndarray, name: str) -> ReadyMade:
    made = read_ready_made(rgb, shipped_segmenter(), scale.um_per_px, name=name)
    return replace(made, has_scale=False, notes=(scale.note, *made.notes))


def _by_own_red_cells(made: ReadyMade, rgb: np.ndarray, name: str, settings: ScaleSettings) -> ReadyMade:
    """A picture that nothing is known of, by its own red cells; as it was made where they say too little."""
    if made.has_scale or made.is_on_black or made.mask.area_um2 == 0:
        return made
    cell_px = 2 * math.sqrt(made.mask.area_um2 / math.pi) / native_um_per_px(made.crop)
    scale = scale_by_red_cells(rgb, cell_px, settings)
    if scale is None:
        return made
    try:
        by_red_cells = _read_by(scale, rgb, name)
    except UnsupportedImageError:
        return made
    return by_red_cells if by_red_cells.mask.area_um2 > 0 else made


def _shrunk(crop: Crop, mask: CellMask) -> tuple[Crop, CellMask]:
    """A crop and its mask at the resolution of those that the networks were trained on; live cells have it too."""
    side = MaskNetPlan().side_px
    um_per_px = crop.um_per_px * crop.pixels.shape[0] / side
    pixels = cv2.resize(crop.pixels, (side, side), interpolation=cv2.INTER_AREA)
    cell, nucleus = (_shrunk_mask(part, side) for part in (mask.cell, mask.nucleus))
    return replace(crop, pixels=pixels, um_per_px=um_per_px), make_mask(cell, nucleus, um_per_px)


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
