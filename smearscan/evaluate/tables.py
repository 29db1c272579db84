"""Tables as CSV for machines and Markdown for people, in the papers' layout."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from smearscan.report.atomic import write_bytes

Cell = str | int | float | None
#: Figures of a machine; people are shown three decimals.
_CSV_DECIMALS, _PEOPLE_DECIMALS = 6, 3


def write_table(
    folder: Path,
    name: str,
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write `name.csv` and `name.md`; title and notes stand in the Markdown alone."""
    write_csv(folder, name, header, rows)
    write_markdown(folder, name, header, rows, title, notes)


def write_csv(folder: Path, name: str, header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Write `name.csv`: six decimals, nothing where there is no figure."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([_machine(cell) for cell in row] for row in rows)
    write_bytes(folder / f"{name}.csv", text.getvalue().encode("utf-8", "backslashreplace"))


def write_markdown(
    folder: Path,
    name: str,
    header: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    title: str = "",
    notes: Sequence[str] = (),
) -> None:
    """Write `name.md`: three decimals, – where there is no figure."""
    write_bytes(folder / f"{name}.md", markdown(header, rows, title, notes).encode("utf-8", "backslashreplace"))


def markdown(header: Sequence[str], rows: Sequence[Sequence[Cell]], title: str = "", notes: Sequence[str] = ()) -> str:
    """A Markdown table with a heading and notes."""
    lines = [f"## {title}", ""] if title else []
    lines += [_line(header), _line(["---"] * len(header))]
    lines += [_line([_person(cell) for cell in row]) for row in rows]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def with_interval(value: float, low: float, high: float) -> str:
    """`0.931 (0.902–0.955)`; the value alone where there is no interval, – where there is neither."""
    if not math.isfinite(value):
        return "–"
    shown = f"{value:.{_PEOPLE_DECIMALS}f}"
    if not (math.isfinite(low) and math.isfinite(high)):
        return shown
    return f"{shown} ({low:.{_PEOPLE_DECIMALS}f}–{high:.{_PEOPLE_DECIMALS}f})"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _machine(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return round(cell, _CSV_DECIMALS) if math.isfinite(cell) else ""
    return "" if cell is None else cell


def _person(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:.{_PEOPLE_DECIMALS}f}" if math.isfinite(cell) else "–"
    return "–" if cell is None else str(cell)
