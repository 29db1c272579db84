"""The pictures of a report: cells cut again for the gallery, attention over those that matter, thumbnails.

Cutting the few cells that are shown once more costs less than keeping the picture of every cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.crops import cut_crops, in_bands, segment_cells, shipped_segmenter, sides_um
from smearscan.crops.cut import SIZE_PX, WINDOW_UM
from smearscan.crops.fields import field_windows
from smearscan.cut_cells import asked_inputs, crop_side_px
from smearscan.geometry import Size
from smearscan.judge import load_judge
from smearscan.models.field_subtypes import FieldSubtypes, field_subtypes, subtype_card
from smearscan.records import Crop, PatientResult, Scale
from smearscan.report.content import CellImage, ReportImages, Streams, Thumbnail
from smearscan.report.gallery import GalleryChoice, choose_gallery
from smearscan.report.identity import CellKey, NumberedCell, is_called_blast
from smearscan.settings import Settings
from smearscan.slide import Slide, open_slide

#: Fewer cells called blasts are as many as blast-free smears have: their fields are not looked at.
_FEWEST_SUSPECT = 3
#: Side of a field as it is read, px: that of the fields the network was trained on.
_FIELD_PX = 224


@dataclass(frozen=True, slots=True)
class PictureJob:
    """A patient whose report wants pictures."""

    patient: PatientResult
    settings: Settings


def take_pictures(job: PictureJob) -> ReportImages:
    """Cut every cell of the gallery and shrink every image it lies on."""
    choice = choose_gallery(job.patient, job.settings.report)
    slides = {slide.source.slide_id: slide for slide in job.patient.slides}
    cells: dict[tuple[str, str], list[NumberedCell]] = defaultdict(list)
    for numbered in choice.cells:
        cells[numbered.slide_id, numbered.cell.field_name].append(numbered)
    thumbnails: dict[tuple[str, str], Thumbnail] = {}
    crops: dict[CellKey, Crop] = {}
    judged: dict[CellKey, tuple[Crop, float]] = {}
    fields: list[np.ndarray] = []
    wanted, side_px = set(choice.attention), crop_side_px(asked_inputs(job.settings.classify))
    for image, shown in cells.items():
        field = slides[image[0]].field_named(image[1])
        with open_slide(field.path) as slide:
            thumbnails[image] = _thumbnail(slide, job.settings.report.thumbnail_px)
            for numbered in sorted(shown, key=_in_bands):
                # What attention is drawn over must be fine enough to draw on.
                shown_px = SIZE_PX if numbered.key in wanted else _shown_px(field.scale)
                crops[numbered.key] = _cut(slide, field.scale, numbered, shown_px)
                if numbered.key in wanted:
                    # Attention is that over the picture the networks saw, not over the one for the eye.
                    (side_um,) = sides_um([numbered.cell.detection], field.scale)
                    judged[numbered.key] = _cut(slide, field.scale, numbered, side_px), side_um
            fields += _suspect_fields(slide, field.scale, shown, _n_fields(job, choice) - len(fields))
    explained = _explained([judged[key] for key in choice.attention], choice.attention, job.settings)
    gallery = {key: CellImage(crop.pixels, crop.um_per_px, *explained.get(key, ())) for key, crop in crops.items()}
    return ReportImages(thumbnails, gallery, _subtypes(fields))


def _n_fields(job: PictureJob, choice: GalleryChoice) -> int:
    n_suspect = sum(is_called_blast(numbered.cell) for numbered in choice.cells)
    is_suspect = job.patient.flag != "clear" and n_suspect >= _FEWEST_SUSPECT
    return job.settings.report.max_subtype_fields if is_suspect else 0


def _suspect_fields(slide: Slide, scale: Scale, shown: Sequence[NumberedCell], limit: int) -> list[np.ndarray]:
    """Fields around the cells called blasts, likeliest first, (224, 224, 3) uint8 RGB."""
    if limit <= 0:
        return []
    centres = [numbered.cell.detection.box.centre for numbered in shown if is_called_blast(numbered.cell)]
    windows = field_windows(centres, slide.info.size, scale, subtype_card().input.window_um, limit)
    return [slide.read(window, Size(_FIELD_PX, _FIELD_PX)) for window in windows]


def _subtypes(fields: Sequence[np.ndarray]) -> FieldSubtypes | None:
    return field_subtypes(fields) if fields else None


def _thumbnail(slide: Slide, max_side: int) -> Thumbnail:
    pixels = slide.thumbnail(max_side)
    return Thumbnail(pixels, pixels.shape[1] / slide.info.size.width)


def _in_bands(numbered: NumberedCell) -> tuple[float, ...]:
    # Neighbours one after another: they share decoded tiles.
    return in_bands(numbered.cell.detection)


def _shown_px(scale: Scale) -> int:
    """Side of a gallery's pictures: no finer than the slide itself, whose pixels the reader's browser enlarges."""
    return min(SIZE_PX, max(1, round(WINDOW_UM / min(scale.mpp.x, scale.mpp.y))))


def _cut(slide: Slide, scale: Scale, numbered: NumberedCell, side_px: int) -> Crop:
    (crop,) = cut_crops(slide, [numbered.cell.detection], scale, size_px=side_px)
    return crop


def _explained(
    judged: Sequence[tuple[Crop, float]], keys: Sequence[CellKey], settings: Settings
) -> dict[CellKey, tuple[np.ndarray, Streams | None, float]]:
    """Of each cell what `CellImage` says of attention, its streams, and the share of the picture they lie over."""
    judge = load_judge(settings.classify) if keys else None
    # A network that was shown the slide's stain looked at other pictures than can be cut here.
    if judge is None or judge.is_shown_slides_stain:
        return {}
    crops, sides = zip(*judged, strict=True)
    found = judge.explain(crops, segment_cells(shipped_segmenter(), crops, sides))
    streams: list[Streams | None] = [None] * len(keys)
    if own := found.attention:
        streams = [Streams(*parts) for parts in zip(own.maps, own.boxes, own.erased, strict=True)]
    shares = [min(1.0, found.window_um / (crop.um_per_px * crop.pixels.shape[1])) for crop in crops]
    return dict(zip(keys, zip(found.cams, streams, shares, strict=True), strict=True))
