"""The report's drawings as inline SVG text: small pure functions, colours from the page's style sheet.

All text is escaped here; numbers are printed with one decimal so that the same result gives the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from smearscan.records import Interval
from smearscan.report import wording

_ICONS = {
    "octagon": '<path d="M9 2h10l7 7v10l-7 7H9l-7-7V9z"/><path class="ink" d="M14 7.5v8M14 20v.5"/>',
    "triangle": '<path d="M14 2.5 26.5 25h-25z"/><path class="ink" d="M14 11v6.5M14 21.3v.4"/>',
    "eye": '<path d="M1.5 14C5 7.5 9.5 5 14 5s9 2.5 12.5 9C23 20.5 18.5 23 14 23S5 20.5 1.5 14z"/>'
    '<circle class="ink" cx="14" cy="14" r="4"/>',
    "question": '<circle cx="14" cy="14" r="12.5"/>'
    '<path class="ink" d="M10 11c0-5.5 8-5.5 8 0 0 3-4 3-4 6M14 20.8v.4"/>',
    "tick": '<circle cx="14" cy="14" r="12.5"/><path class="ink" d="m8 14.5 4.3 4.3L20.5 10"/>',
}


def icon(name: str) -> str:
    """A flag's icon; its word stands beside it, so it is hidden from screen readers."""
    return f'<svg class="icon" viewBox="0 0 28 28" aria-hidden="true">{_ICONS[name]}</svg>'


@dataclass(frozen=True, slots=True)
class LineLayout:
    """Where the parts of a number line stand, in units of its view box.

    `text_half` is half the width of a printed estimate with its interval; `row_step` lies between the two rows. The
    rows' names stand left of the axis, or with the numbers above it where there is no room.
    """

    style: str
    width: float
    left: float
    right: float
    top: float
    row_step: float
    text_half: float
    is_name_above: bool


WIDE = LineLayout("number-line", 900, 150, 860, 54, 52, 90, False)
NARROW = LineLayout("number-line is-narrow", 360, 14, 346, 76, 52, 128, True)


def number_line(
    raw: Interval | None,
    corrected: Interval | None,
    thresholds: tuple[float, float],
    limit_of_blank: float,
    denominator: str,
    layout: LineLayout = WIDE,
) -> str:
    """Raw and corrected fraction with their intervals, drawn against the thresholds.

    The axis runs from 0 to 100 % and is square-root scaled: the decisions lie at its low end.
    """
    bottom = layout.top + 112.0

    def at(fraction: float) -> float:
        return layout.left + (layout.right - layout.left) * math.sqrt(min(max(fraction, 0.0), 1.0))

    parts = _zones(at, thresholds, limit_of_blank, layout, bottom)
    for tick in (0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0):
        parts.append(_line(at(tick), bottom, at(tick), bottom + 5, "axis"))
        parts.append(_text(at(tick), bottom + 20, f"{100 * tick:g}", "tick", "middle"))
    parts.append(_line(layout.left, bottom, layout.right, bottom, "axis"))
    axis = f"blasts, % of {denominator} (square-root scale)"
    parts.append(_text((layout.left + layout.right) / 2, bottom + 40, axis, "axis-name", "middle"))
    for row, (value, label) in enumerate(((raw, "As counted"), (corrected, "Corrected"))):
        parts.append(_estimate(value, at, layout.top + 36 + row * layout.row_step, label, thresholds, layout))
    as_counted, as_corrected = (_spoken(value, thresholds) for value in (raw, corrected))
    spoken = f"Blast fraction as counted {as_counted}; corrected {as_corrected}; of {denominator}."
    return _svg(layout.style, layout.width, bottom + 48, spoken, parts)


def _zones(
    at: Callable[[float], float],
    thresholds: tuple[float, float],
    limit_of_blank: float,
    layout: LineLayout,
    bottom: float,
) -> list[str]:
    """Coloured ranges, thresholds and limit of blank; the names come last, so that no line crosses them."""
    work_up, acute = thresholds
    top, height = layout.top, bottom - layout.top
    zones = [("z0", 0.0, work_up), ("z1", work_up, acute), ("z2", acute, 1.0)]
    parts = [
        f'<rect class="zone {c}" x="{at(a):.1f}" y="{top:.1f}" width="{at(b) - at(a):.1f}" height="{height:.1f}"/>'
        for c, a, b in zones
    ]
    # Each name has a line of its own where two do not fit side by side; the limit of blank may lie anywhere.
    lift = 22 if layout.is_name_above else 0
    parts += [_line(at(t), top - 22 - up, at(t), bottom, "threshold") for t, up in ((work_up, lift), (acute, 0))]
    last = "acute" if layout.is_name_above else "acute-leukaemia range"
    names = [
        _text(at(work_up) + 7, top - 9 - lift, f"work-up ≥ {wording.threshold(work_up)}", "zone-name"),
        _text(at(acute) + 7, top - 9, f"{last} ≥ {wording.threshold(acute)}", "zone-name"),
    ]
    if limit_of_blank < 1:
        x, label = at(limit_of_blank), f"limit of blank {wording.percent(limit_of_blank, thresholds)}"
        parts.append(_line(x, top - 34 - lift, x, bottom, "blank"))
        centre = min(max(x, 70.0), layout.right - 70)
        names.append(_text(centre, top - 40 - lift, label, "zone-name", "middle"))
    return parts + names


def class_bar(share: Interval, key: str) -> str:
    """One bar of the differential with its interval; the numbers stand beside it in the table."""
    low, high = (100 * min(max(v, 0.0), 1.0) for v in (share.low, share.high))
    shapes = (
        '<rect class="track" width="100" height="8"/>',
        f'<rect class="fill c-{escape(key)}" width="{100 * min(max(share.estimate, 0.0), 1.0):.1f}" height="8"/>',
        f'<rect class="spread" x="{low:.1f}" y="3.4" width="{high - low:.1f}" height="1.2"/>',
    )
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        + "".join(shapes)
        + "</svg>"
    )


def mini_line(estimate: Interval | None, thresholds: tuple[float, float]) -> str:
    """A number line the height of a table row, for the list of patients."""

    def at(fraction: float) -> float:
        return 4 + 152 * math.sqrt(min(max(fraction, 0.0), 1.0))

    parts = [_line(at(t), 1, at(t), 19, "threshold") for t in thresholds] + [_line(4, 17, 156, 17, "axis")]
    if estimate is not None and _is_drawable(estimate):
        parts.append(_line(at(estimate.low), 9, at(estimate.high), 9, "whisker"))
        parts.append(f'<circle class="dot" cx="{at(estimate.estimate):.1f}" cy="9" r="4"/>')
    spoken = _spoken(estimate, thresholds)
    return _svg("mini-line", 160, 20, spoken, parts)


def probability_histogram(judged: Sequence[tuple[float, bool]], n_bins: int = 20) -> str:
    """Blast probabilities of the mononuclear cells, those called blast dark, the others light.

    Parameters
    ----------
    judged
        (probability 0 to 1, whether called blast) of each counted mononuclear cell.
    """
    left, right, top, bottom = 46.0, 540.0, 16.0, 150.0
    counts = [[0, 0] for _ in range(n_bins)]
    for probability, is_blast in judged:
        counts[min(int(probability * n_bins), n_bins - 1)][is_blast] += 1
    tallest = max([sum(pair) for pair in counts] + [1])
    step = (right - left) / n_bins
    parts = []
    for i, (others, blasts) in enumerate(counts):
        x, h_other, h_blast = left + i * step, *((bottom - top) * n / tallest for n in (others, blasts))
        parts.append(_bar(x, bottom - h_other, step, h_other, "other"))
        parts.append(_bar(x, bottom - h_other - h_blast, step, h_blast, "blast"))
        if others + blasts:
            y = bottom - h_other - h_blast - 4
            parts.append(_text(x + step / 2, y, str(others + blasts), "tick on-bar", "middle"))
    parts.append(_line(left, bottom, right, bottom, "axis"))
    for tick in (0, 0.25, 0.5, 0.75, 1):
        parts.append(_text(left + (right - left) * tick, bottom + 16, f"{tick:g}", "tick", "middle"))
    parts.append(_text((left + right) / 2, bottom + 34, "blast probability", "axis-name", "middle"))
    parts.append(_text(left - 8, top + 4, str(tallest), "tick", "end"))
    parts.append(_text(left - 8, bottom, "0", "tick", "end"))
    n_blasts = sum(is_blast for _, is_blast in judged)
    spoken = f"Histogram of the blast probability of {len(judged)} counted mononuclear cells, {n_blasts} called blast."
    return _svg("histogram", 560, bottom + 42, spoken, parts)


def _is_drawable(value: Interval) -> bool:
    return all(map(math.isfinite, (value.estimate, value.low, value.high)))


def _spoken(value: Interval | None, thresholds: tuple[float, float]) -> str:
    if value is None:
        return "no number"
    estimate = wording.percent(value.estimate, thresholds)
    return f"{estimate}, interval {wording.interval(value.low, value.high, thresholds)}"


def _estimate(
    value: Interval | None,
    at: Callable[[float], float],
    y: float,
    label: str,
    thresholds: tuple[float, float],
    layout: LineLayout,
) -> str:
    if value is None or not _is_drawable(value):
        missing = "no number"
        if layout.is_name_above:
            return _row_name(f"{label}: {missing}", y, layout)
        return _row_name(label, y, layout) + _text(layout.left + 8, y + 5, missing, "value")
    x, low, high = at(value.estimate), at(value.low), at(value.high)
    is_raw = label == "As counted"
    mark = (
        f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="7"/>'
        if is_raw
        else f'<path class="mark" d="M{x:.1f} {y - 8:.1f}l8 8-8 8-8-8z"/>'
    )
    shown = f"{wording.percent(value.estimate, thresholds)}  ({wording.interval(value.low, value.high, thresholds)})"
    shown = f"{label} {shown}" if layout.is_name_above else shown
    text_x = min(max(x, layout.left + layout.text_half), layout.right - layout.text_half)
    whisker = "".join(
        (
            _line(low, y, high, y, "whisker"),
            _line(low, y - 6, low, y + 6, "cap"),
            _line(high, y - 6, high, y + 6, "cap"),
        )
    )
    name = "" if layout.is_name_above else _row_name(label, y, layout)
    return (
        f'<g class="{"raw" if is_raw else "corrected"}">{whisker}{mark}{name}'
        f"{_text(text_x, y - 14, shown, 'value', 'middle')}</g>"
    )


def _row_name(name: str, y: float, layout: LineLayout) -> str:
    if layout.is_name_above:
        return _text(layout.left + 4, y - 14, name, "row-name")
    return _text(layout.left - 10, y + 5, name, "row-name", "end")


def _svg(style: str, width: float, height: float, spoken: str, parts: Sequence[str]) -> str:
    label = escape(spoken, quote=True)
    opening = f'<svg class="{style}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">'
    return f"{opening}{''.join(parts)}</svg>"


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _bar(x: float, y: float, width: float, height: float, style: str) -> str:
    if height <= 0:
        return ""
    return f'<rect class="{style}" x="{x + 1:.1f}" y="{y:.1f}" width="{width - 2:.1f}" height="{height:.1f}"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
