"""Put together what was learned of a cell, and of a slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from smearscan.aggregate.differential import is_counted
from smearscan.records import CellPrediction, Detection, FieldResult, SlideResult, SlideSource
from smearscan.survey import FieldPlan, Survey
from smearscan.verdict import Verdict


def describe_cell(
    field_name: str, detection: Detection, verdict: Verdict, measures: dict[str, float], focus: float, min_focus: float
) -> CellPrediction:
    """One cell's record: class, probabilities, measures in µm, whether it is counted."""
    is_sharp = focus >= min_focus
    return CellPrediction(
        detection=detection,
        cell_class=verdict.cell_class,
        class_probability=verdict.class_probability,
        blast_probability=verdict.blast_probability,
        is_counted=is_counted(verdict.cell_class, is_sharp),
        field_name=field_name,
        spread=verdict.spread,
        is_in_focus=is_sharp,
        measures=measures,
    )


def describe_slide(
    source: SlideSource,
    survey: Survey,
    cells: Sequence[CellPrediction],
    quality: Mapping[str, float],
    notes: Sequence[str],
    seconds: Mapping[str, float],
) -> SlideResult:
    """One slide's record; its cells in the order (field, y, x), whatever order they came in."""
    first = survey.fields[0]
    return SlideResult(
        source=source,
        status="done",
        reason="; ".join(f"left out: {reason}" for reason in survey.left_out),
        scale=first.scale,
        size=first.size,
        fields=tuple(FieldResult(plan.name, plan.path, plan.size, plan.scale) for plan in survey.fields),
        left_out=survey.left_out,
        cells=tuple(sorted(cells, key=_place)),
        quality={**_quality(survey.fields), **quality},
        notes=(*survey.notes, *notes),
        seconds=dict(seconds),
    )


def _quality(fields: Sequence[FieldPlan]) -> dict[str, float]:
    maps = [plan.regions for plan in fields]
    return {
        "focus": fmean(regions.focus for regions in maps),
        "film_mm2": sum(regions.film_mm2 for regions in maps),
        "searched_mm2": sum(regions.searched_mm2 for regions in maps),
        "n_thick_tiles": float(sum(regions.n_thick_tiles for regions in maps)),
        "n_blurred_tiles": float(sum(regions.n_blurred_tiles for regions in maps)),
    }


def _place(cell: CellPrediction) -> tuple[str, int, int, int, int, float]:
    box = cell.detection.box
    return cell.field_name, box.y, box.x, box.height, box.width, -cell.detection.score
