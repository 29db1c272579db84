"""Where the cells lie: a slide's thumbnail with every cell as a dot, those of the gallery numbered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from smearscan.classes import COUNTED
from smearscan.records import CellPrediction, SlideResult
from smearscan.report import wording
from smearscan.report.content import Card, Thumbnail
from smearscan.report.identity import is_called_blast


@dataclass(frozen=True, slots=True)
class MapView:
    """One thumbnail with its cells, ready for the page. `svg` is markup, `title` text."""

    title: str
    svg: str
    note: str


def choose_maps(cards: Sequence[Card], limit: int) -> list[tuple[str, str]]:
    """(slide_id, field name) of the thumbnails to show: most gallery blasts first, then most cells."""
    cells: Counter[tuple[str, str]] = Counter()
    blasts: Counter[tuple[str, str]] = Counter()
    for card in cards:
        image = card.numbered.slide_id, card.numbered.cell.field_name
        cells[image] += 1
        blasts[image] += card.is_blast
    return sorted(cells, key=lambda image: (-blasts[image], -cells[image], image))[:limit]


def draw_map(
    slide: SlideResult, field_name: str, thumbnail: Thumbnail, picture_uri: str, cards: Iterable[Card], max_dots: int
) -> MapView:
    """Draw one thumbnail: all cells as dots by group, those of the gallery as links to their cards.

    Positions are level-0 pixels times the thumbnail's scale, so the picture may be of any size.
    """
    height, width = thumbnail.pixels.shape[:2]
    here = [cell for cell in slide.cells if cell.field_name == field_name]
    shown = sorted(here, key=lambda c: -round(c.blast_probability, 6))[:max_dots]
    unit = max(width, height) / 450
    dots = [
        _dots([c for c in shown if _group(c) == group], thumbnail.scale, group, unit)
        for group in ("aside", "other", "blast")
    ]
    links = [_link(card, thumbnail.scale, unit) for card in cards]
    title = wording.printable(f"{slide.source.slide_id}: {field_name}" if field_name else slide.source.slide_id)
    n_blasts = sum(is_called_blast(c) for c in here)
    spoken = escape(f"Thumbnail of {title} with {len(here)} cells, {n_blasts} called blast", quote=True)
    svg = (
        f'<svg class="map" viewBox="0 0 {width} {height}" role="group" aria-label="{spoken}">'
        f'<image href="{picture_uri}" width="{width}" height="{height}"/>{"".join(dots)}{"".join(links)}</svg>'
    )
    note = f"{len(here)} cells, {n_blasts} called blast"
    if len(here) > len(shown):
        note += f"; {len(shown)} are drawn"
    return MapView(title, svg, note)


def _group(cell: CellPrediction) -> str:
    if is_called_blast(cell):
        return "blast"
    return "other" if cell.is_counted and cell.cell_class in COUNTED else "aside"


def _dots(cells: Sequence[CellPrediction], scale: float, group: str, unit: float) -> str:
    """All dots of a group as one path of round points: twelve bytes a cell, not a hundred."""
    places = (cell.detection.box.centre for cell in cells)
    path = "".join(f"M{p.x * scale:.1f} {p.y * scale:.1f}h0" for p in places)
    return f'<path class="dots d-{group}" stroke-width="{3 * unit:.1f}" d="{path}"/>' if path else ""


def _link(card: Card, scale: float, unit: float) -> str:
    centre = card.numbered.cell.detection.box.centre
    x, y = f"{centre.x * scale:.1f}", f"{centre.y * scale:.1f}"
    style = "pin is-blast" if card.is_blast else "pin"
    return (
        f'<a class="{style}" id="dot-{card.rank}" href="#cell-{card.rank}" data-cell="{card.rank}">'
        f"<title>{escape(card.caption)}</title>"
        f'<circle class="halo" cx="{x}" cy="{y}" r="{4.5 * unit:.1f}" stroke-width="{3.2 * unit:.2f}"/>'
        f'<circle cx="{x}" cy="{y}" r="{4.5 * unit:.1f}" stroke-width="{1.5 * unit:.2f}"/></a>'
    )
