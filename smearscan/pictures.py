"""The pictures of a report: cells cut again for the gallery, attention over those that matter, thumbnails.

Cutting the few cells that are shown once more costs less than keeping the picture of every cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smearscan.crops import cut_crops, segment_cells, shipped_segmenter
from smearscan.judge import load_judge
from smearscan.records import Crop, PatientResult, SlideResult
from smearscan.report.content import CellImage, ReportImages, Thumbnail
from smearscan.report.gallery import choose_gallery
from smearscan.report.identity import CellKey, NumberedCell
from smearscan.settings import Settings
from smearscan.slide import Slide, open_slide


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
    for image, shown in cells.items():
        with open_slide(slides[image[0]].field_named(image[1]).path) as slide:
            thumbnails[image] = _thumbnail(slide, job.settings.report.thumbnail_px)
            crops |= _cut(slide, slides[image[0]], shown)
    attention = _attention(choice.attention, crops, job.settings)
    gallery = {key: CellImage(crop.pixels, crop.um_per_px, attention.get(key)) for key, crop in crops.items()}
    return ReportImages(thumbnails, gallery)


def _thumbnail(slide: Slide, max_side: int) -> Thumbnail:
    pixels = slide.thumbnail(max_side)
    return Thumbnail(pixels, pixels.shape[1] / slide.info.size.width)


def _cut(slide: Slide, result: SlideResult, shown: Sequence[NumberedCell]) -> dict[CellKey, Crop]:
    scale = result.field_named(shown[0].cell.field_name).scale
    crops = cut_crops(slide, [numbered.cell.detection for numbered in shown], scale)
    return {numbered.key: crop for numbered, crop in zip(shown, crops, strict=True)}


def _attention(keys: Sequence[CellKey], crops: dict[CellKey, Crop], settings: Settings) -> dict[CellKey, np.ndarray]:
    if not keys:
        return {}
    wanted = [crops[key] for key in keys]
    maps = load_judge(settings.classify).explain(wanted, segment_cells(shipped_segmenter(), wanted))
    return dict(zip(keys, maps, strict=True))
