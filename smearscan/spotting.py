"""Only where the leukocytes are: boxes of one image, whatever is known of its scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smearscan.detect import create_detector, detect_image, find_leukocytes, merge_detections
from smearscan.detect.boxes import whole_box
from smearscan.errors import ScaleError
from smearscan.geometry import Box, Mpp
from smearscan.records import Detection, Scale
from smearscan.regions import find_regions
from smearscan.settings import Settings
from smearscan.slide import Slide, open_slide
from smearscan.slide.scale import measure_red_cells, resolve_scale

#: An image up to this size is searched whole, as a field; a larger one like a scan, tile by tile.
_FIELD_PX = 40_000_000


@dataclass(frozen=True, slots=True)
class Spot:
    """One line of boxes.csv: a leukocyte's box in level-0 pixels, top left plus size."""

    path: str
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    score: float


def spot_leukocytes(path: Path, settings: Settings, mpp: float | None = None) -> list[Spot]:
    """Find the leukocytes of one image; it is never refused for want of a scale.

    Parameters
    ----------
    mpp
        µm per pixel; without it the file's, else red cells are measured, else several scales are tried.

    Raises
    ------
    SlideError
        If the image cannot be read.
    """
    with open_slide(path) as slide:
        width, height = slide.info.size
        if width * height > _FIELD_PX:
            found = _on_scan(slide, _scan_scale(slide, settings, mpp), settings)
        else:
            found = _on_field(slide, settings, mpp)
    boxes = sorted(found, key=lambda d: (d.box.y, d.box.x, -d.score))
    return [Spot(str(path), d.box.x, d.box.y, d.box.width, d.box.height, d.score) for d in boxes]


def _on_field(slide: Slide, settings: Settings, mpp: float | None) -> list[Detection]:
    detector = create_detector(settings.detect.detector, settings.detect)
    rgb = slide.read(Box(0, 0, *slide.info.size))
    if mpp is None and slide.info.mpp is not None:
        mpp = slide.info.mpp.mean
    relative_sd = 0.0
    if mpp is None and (measure := measure_red_cells(rgb)) is not None:
        mpp = settings.scale.red_cell_diameter_um / measure.diameter_px
        relative_sd = measure.relative_sd
    found = detect_image(rgb, detector, mpp, relative_sd)
    whole = [Detection(whole_box(b.x, b.y, b.x + b.width, b.y + b.height), score) for b, score in found]
    return merge_detections(whole, settings.detect.merge_iou)


def _on_scan(slide: Slide, scale: Scale, settings: Settings) -> list[Detection]:
    detector = create_detector(settings.detect.detector, settings.detect)
    tiles = find_regions(slide, scale, settings.regions).tiles
    return merge_detections(find_leukocytes(slide, tiles, scale, detector, settings.detect), settings.detect.merge_iou)


def _scan_scale(slide: Slide, settings: Settings, mpp: float | None) -> Scale:
    try:
        return resolve_scale(slide, mpp, settings.scale)
    except ScaleError:
        # Never refused here: boxes carry no µm, and most scans without a scale come from a 40× objective.
        return Scale(Mpp(0.25, 0.25), "estimated", 1.0)
