"""The main path: slide → regions → detections → crops → predictions → patient.

Read from top to bottom it is the whole main job. The work is cut into chunks (tiles to search,
cells to judge), each a plain function of picklable records, so that the same functions run in one
process, in many, or on a queue, and give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from smearscan.crops import batches_of_neighbours, cut_crops, segment_cells, shipped_segmenter
from smearscan.detect import create_detector, find_leukocytes, merge_detections
from smearscan.judge import load_judge
from smearscan.judgement import describe_cell, describe_slide
from smearscan.records import CellPrediction, Detection, SlideResult, SlideSource, Tile
from smearscan.settings import Settings
from smearscan.slide import open_slide
from smearscan.stain import Normaliser, fit_normaliser
from smearscan.survey import FieldPlan, Survey, sample_slide_stain, survey_slide
from smearscan.timing import Stopwatch, add_seconds

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
    """Cut, mask, normalise and judge the chunk's cells."""
    watch, field_plan = Stopwatch(), chunk.field
    with watch.time("crop"), open_slide(field_plan.path) as slide:
        crops = cut_crops(slide, chunk.detections, field_plan.scale)
    with watch.time("mask"):
        masks = segment_cells(shipped_segmenter(), crops)
    with watch.time("classify"):
        verdicts = load_judge(chunk.settings.classify).judge(crops, masks, chunk.normaliser)
    with watch.time("measure"):
        min_focus = chunk.settings.classify.min_cell_focus
        cells = [
            describe_cell(field_plan.name, *of_cell, min_focus)
            for of_cell in zip(chunk.detections, crops, masks, verdicts, strict=True)
        ]
    return Outcome(field_plan.name, cells=tuple(cells), seconds=watch.seconds)


def finish_slide(plan: SlidePlan, outcomes: Sequence[Outcome]) -> SlideResult:
    """All that was learned of the slide, the same whatever order the chunks came back in."""
    cells = [cell for outcome in outcomes for cell in outcome.cells]
    seconds = add_seconds([plan.seconds, *(outcome.seconds for outcome in outcomes)])
    stain = plan.normaliser
    return describe_slide(plan.source, plan.survey, cells, {"stain_distance": stain.distance}, stain.flags, seconds)
