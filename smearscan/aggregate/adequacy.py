"""Whether a smear can carry a verdict at all. If not, the verdict is *insufficient* with the reason."""

from __future__ import annotations

from collections.abc import Sequence

from smearscan.aggregate.differential import list_beside
from smearscan.classes import CellClass
from smearscan.errors import ScaleError
from smearscan.records import Differential, SlideResult
from smearscan.settings import AggregateSettings


def list_shortfalls(
    slides: Sequence[SlideResult], differential: Differential, settings: AggregateSettings
) -> list[str]:
    """Sentences that say why there can be no verdict; empty where there can.

    Reads of `SlideResult.quality`: `focus` (0–1), `searched_mm2` and `stain_distance` (see
    `smearscan.stain`), each averaged or summed over the slides that were done; a slide that does not
    give one is not judged by it.
    """
    done = [s for s in slides if s.status == "done"]
    found = [f"slide {s.source.slide_id} has no scale: {s.reason}" for s in slides if is_without_scale(s)]
    if not done:
        found.append("no slide could be read")
    n = differential.n_leukocytes
    if n < settings.min_leukocytes:
        found.append(f"{n} leukocytes were counted, fewer than {settings.min_leukocytes}")
    return found + _unlike_training(done, differential, settings) + _poor_images(done, settings)


def is_without_scale(slide: SlideResult) -> bool:
    """Whether a slide failed for want of a scale: by its error, or it was opened (its size is known) and has none."""
    if slide.status != "failed" or slide.scale is not None:
        return False
    return slide.size is not None or slide.error_kind == ScaleError.__name__


def _unlike_training(done: Sequence[SlideResult], differential: Differential, settings: AggregateSettings) -> list[str]:
    found = []
    n, n_unidentified = differential.n_leukocytes, differential.counts.get(CellClass.UNIDENTIFIED, 0)
    if n_unidentified > settings.max_unidentified_fraction * n:
        found.append(
            f"{n_unidentified} of {n} leukocytes are unlike those the network knows,"
            f" more than {settings.max_unidentified_fraction:.0%}"
        )
    distance = _mean_over_cells(done, "stain_distance")
    if distance is not None and distance > settings.max_stain_distance:
        found.append(f"the stain is out of range: distance {distance:.1f}, more than {settings.max_stain_distance:g}")
    return found


def _poor_images(done: Sequence[SlideResult], settings: AggregateSettings) -> list[str]:
    found = []
    focus = _mean_over_cells(done, "focus")
    if focus is not None and focus < settings.min_focus:
        found.append(f"the focus is {focus:.2f} of 1, less than {settings.min_focus:g}")
    n_blurred = sum(list_beside(s.cells)["out_of_focus"] for s in done)
    n = n_blurred + sum(c.is_counted for s in done for c in s.cells)
    if n_blurred > settings.max_blurred_fraction * n:
        found.append(f"{n_blurred} of {n} leukocytes are out of focus, more than {settings.max_blurred_fraction:.0%}")
    areas = [s.quality["searched_mm2"] for s in done if "searched_mm2" in s.quality]
    if areas and sum(areas) < settings.min_searched_mm2:
        found.append(f"{sum(areas):.2f} mm² of monolayer were searched, less than {settings.min_searched_mm2:g} mm²")
    return found


def _mean_over_cells(done: Sequence[SlideResult], name: str) -> float | None:
    """A slide's number averaged with its counted cells as weight: a slide without cells spoils nothing."""
    rows = [(s.quality[name], sum(c.is_counted for c in s.cells)) for s in done if name in s.quality]
    total = sum(n for _, n in rows)
    return sum(value * n for value, n in rows) / total if total else None
