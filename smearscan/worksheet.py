"""The worksheet: which slide belongs to which patient, as CSV.

A line with a typo keeps its place with `problem` filled, so that it fails by name and the rest goes on.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from smearscan.errors import WorksheetError

_REQUIRED = ("path", "patient_id")
_OPTIONAL = ("specimen", "collected", "mpp", "wbc_10e9_per_l")


@dataclass(frozen=True, slots=True)
class WorksheetRow:
    """One line; `path` is resolved against the worksheet, `problem` says why it cannot be used."""

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
    lines = text.splitlines()
    header = lines[0] if lines else ""
    # Spreadsheets in half of Europe write semicolons and call it CSV.
    table = csv.DictReader(
        lines, delimiter=";" if header.count(";") > header.count(",") else ",", skipinitialspace=True
    )
    columns = [(name or "").strip().lower() for name in table.fieldnames or []]
    table.fieldnames = columns
    _check_columns(worksheet, columns)
    rows = [_row(worksheet, table.line_num, values) for values in table if any(values.values())]
    if not rows:
        raise WorksheetError(f"{worksheet} lists no slide", "add a line for each slide below the header")
    return rows


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


def _row(worksheet: Path, line: int, values: dict[str, str | None]) -> WorksheetRow:
    # Cells behind the last column land under the key None.
    extra = None in values
    cell = {key: (value or "").strip() for key, value in values.items() if isinstance(key, str)}
    problems = []
    if extra:
        problems.append("more cells than columns; quote a path that holds a comma")
    if not cell["path"]:
        problems.append("no path")
    if not cell["patient_id"]:
        problems.append("no patient_id")
    numbers: dict[str, float | None] = {}
    for name in ("mpp", "wbc_10e9_per_l"):
        numbers[name], problem = _positive(name, cell.get(name, ""))
        problems += [problem] if problem else []
    path = worksheet.parent / cell["path"]
    problem = f"{worksheet.name} line {line}: {'; '.join(problems)}. Mend the line" if problems else ""
    return WorksheetRow(line, path, cell["patient_id"], cell.get("specimen", ""), cell.get("collected", ""),
                        numbers["mpp"], numbers["wbc_10e9_per_l"], problem)  # fmt: skip


def _positive(name: str, text: str) -> tuple[float | None, str]:
    if not text:
        return None, ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        return None, f"{name} must be a positive number, not {text!r}"
    return value, ""
