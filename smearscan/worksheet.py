"""The worksheet: which slide belongs to which patient, as CSV.

A line with a typo keeps its place with `problem` filled, so that it fails by name and the rest goes on.
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smearscan.errors import WorksheetError
from smearscan.geometry import PLAUSIBLE_UM_PER_PX

_REQUIRED = ("path", "patient_id")
_OPTIONAL = ("specimen", "collected", "mpp", "wbc_10e9_per_l")
#: Lowest and highest value of a column, its unit, and what helps where it was mistaken. Leukaemias with the most cells
#: stay below 2000 · 10⁹/L.
_LIMITS = {
    "mpp": (*PLAUSIBLE_UM_PER_PX, "µm per pixel", "divide nm by 1000"),
    "wbc_10e9_per_l": (0.0, 2000.0, "10⁹ cells per litre", "divide a count per µL by 1000"),
}


@dataclass(frozen=True, slots=True)
class WorksheetRow:
    """One line; `path` is resolved against the worksheet, `problem` says why it cannot be used.

    A line without a path has the worksheet's own: its folder would stand for every slide in there.
    """

    line: int
    path: Path
    patient_id: str
    specimen: str = ""
    collected: str = ""
    mpp: float | None = None
    wbc_10e9_per_l: float | None = None
    problem: str = ""


def read_worksheet(worksheet: Path) -> list[WorksheetRow]:
    """Read `path,patient_id[,specimen,collected,mpp,wbc_10e9_per_l]`; comma or semicolon, UTF-8.

    Between semicolons a decimal may have a comma, as it has in the spreadsheets that write them.

    Raises
    ------
    WorksheetError
        If it cannot be read as a table, lacks a column, has one nobody knows, or has no line.
    """
    try:
        text = worksheet.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WorksheetError(f"{worksheet} is not UTF-8 text", "save it as CSV UTF-8") from error
    except OSError as error:
        raise WorksheetError(f"{worksheet}: {error.strerror}", "name a worksheet that can be read") from error
    if "\x00" in text:
        raise WorksheetError(f"{worksheet} holds null bytes, which no name can", "save it as CSV UTF-8")
    delimiter = _delimiter(text)
    records = _records(worksheet, text, delimiter)
    _, header = next(records, (1, []))
    columns = [name.strip().lower() for name in header]
    _check_columns(worksheet, columns)
    mark = "," if delimiter == ";" else "."
    rows = [_row(worksheet, line, columns, cells, mark) for line, cells in records if any(cells)]
    if not rows:
        raise WorksheetError(f"{worksheet} lists no slide", "add a line for each slide below the header")
    return rows


def _delimiter(text: str) -> str:
    """Spreadsheets in half of Europe write semicolons and call it CSV: their decimals have a comma."""
    header = text.partition("\n")[0]
    return ";" if header.count(";") > header.count(",") else ","


def _records(worksheet: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Cells of every line, with its number; of several lines that are one, with that of the first."""
    # What ends a line is for csv to say: characters that only str.splitlines takes for ends are part of a cell.
    table = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    while True:
        line = table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:  # all lines from here on may have become one cell
            raise WorksheetError(
                f"{worksheet} line {line} has a quote that is not closed, or stands within a cell ({error})",
                "close it or take it away; within a quoted cell a quote is written twice",
            ) from error
        yield line, cells


def _check_columns(worksheet: Path, columns: list[str]) -> None:
    missing = [name for name in _REQUIRED if name not in columns]
    unknown = [name for name in columns if name not in _REQUIRED + _OPTIONAL]
    doubled = sorted({name for name in columns if columns.count(name) > 1})
    known = ",".join(_REQUIRED + _OPTIONAL)
    if missing:
        raise WorksheetError(f"{worksheet} has no column {', '.join(missing)}", f"the first line must name {known}")
    if unknown or doubled:
        raise WorksheetError(
            f"{worksheet} has a column it should not have: {', '.join(unknown + doubled)!r}",
            f"known columns are {known}",
        )


def _row(worksheet: Path, line: int, columns: list[str], cells: list[str], decimal_mark: str) -> WorksheetRow:
    cell = dict.fromkeys(columns, "") | {name: text.strip() for name, text in zip(columns, cells, strict=False)}
    problems = []
    if any("\n" in text or "\r" in text for text in cells):
        # A quote that was never closed ends at the next one, and the lines between are part of its cell.
        problems.append("a line break within a cell; close the quote, or write the cell on one line")
    if len(cells) > len(columns):
        problems.append("more cells than columns; quote a path that holds a comma")
    if not cell["path"]:
        problems.append("no path")
    if no_id := why_no_patient(cell["patient_id"]):
        problems.append(no_id)
    numbers: dict[str, float | None] = {}
    for name in _LIMITS:
        numbers[name], problem = _number(name, cell.get(name, ""), decimal_mark)
        problems += [problem] if problem else []
    path = worksheet.parent / cell["path"] if cell["path"] else worksheet
    problem = f"{worksheet.name} line {line}: {'; '.join(problems)}. Mend the line" if problems else ""
    return WorksheetRow(line, path, cell["patient_id"], cell.get("specimen", ""), cell.get("collected", ""),
                        numbers["mpp"], numbers["wbc_10e9_per_l"], problem)  # fmt: skip


def why_no_patient(text: str) -> str:
    """What is wrong with a patient's id; empty where nothing is."""
    if not text.strip():
        return "no patient_id"
    # Nobody sees them: ids that differ in nothing else look the same, and one that holds a line break looks like two.
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text.strip()):
        return "a control character in patient_id"
    return ""


def _number(name: str, text: str, decimal_mark: str) -> tuple[float | None, str]:
    if not text:
        return None, ""
    with_point = re.sub(r"\A(\d+),(\d+)\Z", r"\1.\2", text)
    try:
        value = float(with_point if decimal_mark == "," else text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        mended = f" (write {with_point})" if with_point != text else ""
        return None, f"{name} must be a positive number, not {text!r}{mended}"
    low, high, unit, remedy = _LIMITS[name]
    if not low <= value <= high:
        return None, f"{name} must be from {low:g} to {high:g} {unit}, not {text!r} ({remedy})"
    return value, ""
