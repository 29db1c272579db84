"""Only where the leukocytes are: boxes of one image, whatever is known of its scale."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smearscan.detect import create_detector, detect_image, find_leukocytes, merge_detections
from smearscan.detect.boxes import whole_box
from smearscan.detect.ladder import SURE, UNSURE, climb, look
from smearscan.detect.pooled_scale import LEAST_IMAGES, PooledScale, pool_scale
from smearscan.errors import ScaleError, SlideError
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Detection, Scale, SharedScale
from smearscan.regions import find_regions
from smearscan.settings import Settings
from smearscan.slide import Slide, open_slide
from smearscan.slide.scale import given_scale, measure_red_cells, resolve_scale
from smearscan.slide.shared_scale import LEAST_CELLS, Reading, agrees, least_cells, share_scale
from smearscan.slide.shared_scale import LEAST_IMAGES as LEAST_TO_SHARE

#: An image up to this size is searched whole, as a field; a larger one like a scan, tile by tile.
_FIELD_PX = 40_000_000
#: Images of one size that are measured at most before they are searched.
_MOST_MEASURED = 60
#: And readings of them that are enough, if they come to twice the red cells that must be.
_ENOUGH = 8
#: The detectors learned their scale from boxes drawn around red cells, which are wider than the outlines measured here.
_BOX_TO_OUTLINE = 1.08
#: Images searched at every scale where red cells leave it open: with twelve the peak is sharper than a step.
_MOST_CLIMBED = 12


@dataclass(frozen=True, slots=True)
class Spot:
    """One line of boxes.csv: a leukocyte's box in level-0 pixels, top left plus size."""

    path: str
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    score: float


def spot_leukocytes(
    path: Path,
    settings: Settings,
    mpp: float | None = None,
    shared: Mapping[Size, SharedScale | PooledScale] | None = None,
) -> list[Spot]:
    """Find the leukocytes of one image; it is never refused for want of a scale.

    Parameters
    ----------
    mpp
        µm per pixel; without it the file's, else red cells are measured, else several scales are tried.
    shared
        What images that came with this one agree on (`agreed_scales`). That of red cells is taken unless the image's
        own speak against it; that of leukocytes where its own red cells leave the scale open.

    Raises
    ------
    SlideError
        If the image cannot be read, or no microscope has the scale that is given.
    """
    with open_slide(path) as slide:
        if mpp is not None:
            given_scale(str(path), mpp)
        width, height = slide.info.size
        if width * height > _FIELD_PX:
            found = _on_scan(slide, _scan_scale(slide, settings, mpp), settings)
        else:
            found = _on_field(slide, settings, mpp, (shared or {}).get(slide.info.size))
    boxes = sorted(found, key=lambda d: (d.box.y, d.box.x, -d.score))
    return [Spot(str(path), d.box.x, d.box.y, d.box.width, d.box.height, d.score) for d in boxes]


def agreed_scales(paths: Sequence[Path], settings: Settings) -> dict[Size, SharedScale | PooledScale]:
    """The scale that images of one size agree on, for those that say none themselves, sorted by size.

    Red cells are asked first; where there are too few of them the leukocytes of some images are, which is a guess that
    does for finding leukocytes and for nothing else. The order of `paths` does not matter.
    """
    groups = _of_sizes(paths)
    shared: dict[Size, SharedScale | PooledScale] = {**_shared(groups, settings)}
    for size, files in groups.items():
        if size not in shared and (pooled := _pooled(files, settings)) is not None:
            shared[size] = pooled
    return {size: shared[size] for size in groups if size in shared}


def shared_scales(paths: Sequence[Path], settings: Settings) -> dict[Size, SharedScale]:
    """The scale that red cells on images of one size agree on, where they say none themselves; some are measured."""
    return _shared(_of_sizes(paths), settings)


def _of_sizes(paths: Sequence[Path]) -> dict[Size, list[Path]]:
    groups: dict[Size, list[Path]] = {}
    for path in sorted(paths):
        size = field_size(path)
        if size is not None:
            groups.setdefault(size, []).append(path)
    return dict(sorted(groups.items()))


def _shared(groups: Mapping[Size, Sequence[Path]], settings: Settings) -> dict[Size, SharedScale]:
    found = {}
    for size, files in groups.items():
        if len(files) < LEAST_TO_SHARE:  # too few to agree, whatever is measured: each is, when its turn comes
            continue
        if (shared := share_scale(list(_read_some(files, settings)), settings.scale)) is not None:
            found[size] = shared
    return found


def _pooled(files: Sequence[Path], settings: Settings) -> PooledScale | None:
    if len(files) < LEAST_IMAGES:
        return None
    detector, looks = create_detector(settings.detect.detector, settings.detect), []
    for place in _mixed(len(files))[:_MOST_CLIMBED]:
        try:
            with open_slide(files[place]) as slide:
                looks.append(look(climb(slide.read(Box(0, 0, *slide.info.size)), detector)))
        except SlideError:
            continue  # it fails by name when its turn comes
    return pool_scale(looks)


def _mixed(n: int) -> list[int]:
    """The places of n files in an order that is mixed, as neighbours are often of one patient, and always the same."""
    return [int(place) for place in np.random.default_rng(0).permutation(n)]


def _read_some(files: Sequence[Path], settings: Settings) -> Iterator[Reading]:
    """Readings of images in a fixed mixed order, until there are enough good ones."""
    n_good, n_cells = 0, 0
    for place in _mixed(len(files))[:_MOST_MEASURED]:
        reading = _read_scale(files[place], settings)
        if reading is not None and reading.n_red_cells >= LEAST_CELLS:
            yield reading
            n_good, n_cells = n_good + 1, n_cells + reading.n_red_cells
        if n_good >= _ENOUGH and n_cells >= 2 * least_cells(settings.scale):
            return


def field_size(path: Path) -> Size | None:
    """Size of a field that says nothing of scale; None for scans, and for what cannot be read."""
    try:
        with open_slide(path) as slide:
            size = slide.info.size
            return size if slide.info.mpp is None and size.width * size.height <= _FIELD_PX else None
    except SlideError:
        return None  # it fails by name when its turn comes


def _read_scale(path: Path, settings: Settings) -> Reading | None:
    try:
        with open_slide(path) as slide:
            return _reading(slide.read(Box(0, 0, *slide.info.size)), settings)
    except SlideError:
        return None


def _reading(rgb: np.ndarray, settings: Settings) -> Reading | None:
    measure = measure_red_cells(rgb)
    if measure is None:
        return None
    mpp = settings.scale.red_cell_diameter_um / measure.diameter_px
    return Reading(mpp, measure.relative_sd, measure.n_red_cells)


def _on_field(
    slide: Slide, settings: Settings, mpp: float | None, shared: SharedScale | PooledScale | None
) -> list[Detection]:
    detector = create_detector(settings.detect.detector, settings.detect)
    rgb = slide.read(Box(0, 0, *slide.info.size))
    if mpp is None and slide.info.mpp is not None:
        mpp = slide.info.mpp.mean
    scale, relative_sd = (mpp, 0.0) if mpp is not None else _field_scale(_reading(rgb, settings), shared, settings)
    found = detect_image(rgb, detector, scale, relative_sd)
    whole = [Detection(whole_box(b.x, b.y, b.x + b.width, b.y + b.height), score) for b, score in found]
    return merge_detections(whole, settings.detect.merge_iou)


def _field_scale(
    own: Reading | None, shared: SharedScale | PooledScale | None, settings: Settings
) -> tuple[float | None, float]:
    """µm/px to search a field at that says none, and how unsure it is: by its red cells and what it shares."""
    if isinstance(shared, SharedScale):
        mpp = shared.mpp / _BOX_TO_OUTLINE
        if own is None:
            return mpp, shared.relative_sd
        is_one_cell = own.relative_sd >= UNSURE  # as often something else: it settles nothing, and is no scale to try
        if agrees(shared, own, settings.scale):
            # Known twice over nothing else is tried, however little the leukocytes say.
            return mpp, shared.relative_sd if is_one_cell else 0.0
        if is_one_cell:
            return mpp, max(shared.relative_sd, SURE)
    if isinstance(shared, PooledScale) and (own is None or own.relative_sd >= SURE):
        return shared.mpp, shared.relative_sd
    return (None, 0.0) if own is None else (own.mpp / _BOX_TO_OUTLINE, own.relative_sd)


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
