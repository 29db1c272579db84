"""The main path: slide → regions → detections → crops → predictions → patient.

Read from top to bottom it is the whole main job. The work is cut into chunks (tiles to search,
cells to judge), each a plain function of picklable records, so that the same functions run in one
process, in many, or on a queue, and give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from smearscan.crops import (
    batches_of_neighbours,
    cut_crops,
    measure_cell,
    segment_cells,
    shipped_segmenter,
    sides_um,
)
from smearscan.cut_cells import CutCells, asked_inputs, crop_side_px, joined, network_pictures
from smearscan.detect import create_detector, find_leukocytes, merge_detections
from smearscan.judge import load_judge
from smearscan.judgement import describe_cell, describe_slide
from smearscan.records import CellPrediction, Detection, SlideResult, SlideSource, Tile
from smearscan.settings import Settings
from smearscan.slide import open_slide
from smearscan.slide.focus import focus_score
from smearscan.stain import Normaliser, fit_normaliser
from smearscan.survey import FieldPlan, Survey, sample_slide_stain, survey_slide
from smearscan.timing import Stopwatch, add_seconds
from smearscan.verdict import Verdict

#: Tiles in one search chunk: some seconds of work, and memory that does not grow with the slide.
TILES_PER_CHUNK = 16

In = TypeVar("In")
Out = TypeVar("Out")


class Runner(Protocol):
    """Applies a function to chunks and keeps their order; `map` of the built-ins is one."""

    def __call__(self, function: Callable[[In], Out], chunks: Iterable[In], /) -> Iterable[Out]: ...


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """A slide surveyed: its images, its stain, what was left out."""

    source: SlideSource
    survey: Survey
    normaliser: Normaliser
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Part of one image's work: tiles to search, or detections to judge."""

    field: FieldPlan
    normaliser: Normaliser
    settings: Settings
    tiles: tuple[Tile, ...] = ()
    detections: tuple[Detection, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a chunk gave: detections of a search, cells of a judgement."""

    field_name: str
    detections: tuple[Detection, ...] = ()
    cells: tuple[CellPrediction, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)


def screen_slide(source: SlideSource, settings: Settings, run: Runner = map) -> SlideResult:
    """Find and judge every leukocyte of one slide.

    Raises
    ------
    SlideError
        If no image of the slide can be read, scaled or searched.
    """
    (plan,) = run(plan_slide, [(source, settings)])
    searched = list(run(search_chunk, search_chunks(plan, settings)))
    judged = list(run(judge_chunk, judge_chunks(plan, settings, searched)))
    return finish_slide(plan, [*searched, *judged])


def plan_slide(job: tuple[SlideSource, Settings]) -> SlidePlan:
    """Open every image of a slide: its scale, where to look, its stain."""
    source, settings = job
    watch = Stopwatch()
    with watch.time("survey"):
        survey = survey_slide(source, settings)
    with watch.time("stain"):
        sample = sample_slide_stain(survey, settings.stain.max_sample_px)
        normaliser = fit_normaliser(settings.stain.method, sample.foreground, sample.background)
    return SlidePlan(source, survey, normaliser, watch.seconds)


def search_chunks(plan: SlidePlan, settings: Settings) -> list[Chunk]:
    """The tiles of every image, some a chunk."""
    return [
        Chunk(field, plan.normaliser, settings, tiles=field.regions.tiles[first : first + TILES_PER_CHUNK])
        for field in plan.survey.fields
        for first in range(0, len(field.regions.tiles), TILES_PER_CHUNK)
    ]


def search_chunk(chunk: Chunk) -> Outcome:
    """Find the leukocytes whose centres lie in the chunk's tiles."""
    watch, settings = Stopwatch(), chunk.settings.detect
    with watch.time("detect"), open_slide(chunk.field.path) as slide:
        detector = create_detector(settings.detector, settings)
        found = find_leukocytes(slide, chunk.tiles, chunk.field.scale, detector, settings)
    return Outcome(chunk.field.name, detections=tuple(found), seconds=watch.seconds)


def judge_chunks(plan: SlidePlan, settings: Settings, searched: Sequence[Outcome]) -> list[Chunk]:
    """Every cell once, near ones together, so that a chunk decodes few tiles of the slide."""
    chunks = []
    for field_plan in plan.survey.fields:
        parts = [d for outcome in searched if outcome.field_name == field_plan.name for d in outcome.detections]
        merged = merge_detections(parts, settings.detect.merge_iou)
        chunks += [
            Chunk(field_plan, plan.normaliser, settings, detections=batch)
            for batch in batches_of_neighbours(merged, settings.classify.chunk_cells)
        ]
    return chunks


def judge_chunk(chunk: Chunk) -> Outcome:
    """Cut and judge the chunk's cells at one go."""
    (outcome,) = classify_cells([crop_chunk(chunk)], chunk.settings)
    return outcome


def crop_chunk(chunk: Chunk) -> CutCells:
    """Cut, mask and measure the chunk's cells, and make the pictures that the networks ask for.

    Raises
    ------
    UnsupportedImageError
        If the slide is too coarse for a network.
    """
    watch, plan, asked = Stopwatch(), chunk.field, asked_inputs(chunk.settings.classify)
    with watch.time("crop"), open_slide(plan.path) as slide:
        crops = cut_crops(slide, chunk.detections, plan.scale, size_px=crop_side_px(asked))
    with watch.time("mask"):
        masks = segment_cells(shipped_segmenter(), crops, sides_um(chunk.detections, plan.scale))
    with watch.time("measure"):
        measures = tuple(measure_cell(mask, crop.um_per_px) for mask, crop in zip(masks, crops, strict=True))
        focus = tuple(focus_score(crop.pixels, crop.um_per_px) for crop in crops)
    with watch.time("prepare"):
        pictures = network_pictures(asked, crops, masks, chunk.normaliser, plan.path)
    areas = tuple(mask.area_um2 for mask in masks)
    return CutCells(plan.name, chunk.detections, measures, areas, focus, pictures, watch.seconds)


def classify_cells(cut: Sequence[CutCells], settings: Settings) -> list[Outcome]:
    """Judge cut cells, of any number of slides, together in full batches; one outcome for each set, in their order.

    A cell is judged by its own pictures alone, so it makes no difference which sets come together. The networks'
    seconds are shared out by cells.
    """
    watch = Stopwatch()
    with watch.time("classify"):
        areas = [area for cells in cut for area in cells.areas_um2]
        pictures = joined([cells.pictures for cells in cut if len(cells)]) if areas else {}
        verdicts = iter(load_judge(settings.classify).verdicts(pictures, areas))
    a_cell = watch.seconds["classify"] / max(1, len(areas))
    return [
        Outcome(
            cells.field_name,
            cells=tuple(_described(cells, verdicts, settings.classify.min_cell_focus)),
            seconds=add_seconds([cells.seconds, {"classify": a_cell * len(cells)}]),
        )
        for cells in cut
    ]


def _described(cells: CutCells, verdicts: Iterator[Verdict], min_focus: float) -> Iterator[CellPrediction]:
    """The records of one set of cells, with as many verdicts taken from the front."""
    of_cells = zip(cells.detections, cells.measures, cells.focus, strict=True)
    for detection, measures, focus in of_cells:
        yield describe_cell(cells.field_name, detection, next(verdicts), measures, focus, min_focus)


def finish_slide(plan: SlidePlan, outcomes: Sequence[Outcome]) -> SlideResult:
    """All that was learned of the slide, the same whatever order the chunks came back in."""
    cells = [cell for outcome in outcomes for cell in outcome.cells]
    seconds = add_seconds([plan.seconds, *(outcome.seconds for outcome in outcomes)])
    stain = plan.normaliser
    # A stain that could not be described is at no distance: as 0 it would stand for the reference's own.
    quality = {} if stain.distance is None else {"stain_distance": stain.distance}
    return describe_slide(plan.source, plan.survey, cells, quality, stain.flags, seconds)
