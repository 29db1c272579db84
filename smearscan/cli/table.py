"""Write records as CSV: one column a field, in their order."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from smearscan.errors import OutputError
from smearscan.report.atomic import make_folder, spare_inputs, write_bytes

#: Decimals of what is no whole number: finer than anything measured here.
_DECIMALS = 6


def expect_place(path: Path, inputs: Iterable[Path] = ()) -> None:
    """Find out before the work whether a table can be written, and would not take the place of what is read for it.

    Raises
    ------
    OutputError, TransientError
        If its folder may not be written, or it is a folder itself, or an input.
    """
    make_folder(path.parent)
    if path.is_dir():
        raise OutputError(f"{path} is a folder", "name a file for --out")
    spare_inputs([path], inputs)


def write_rows(path: Path, kind: type[Any], rows: Sequence[Any]) -> None:
    """Write dataclass records with a header, also when there are none.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([field.name for field in dataclasses.fields(kind)])
    table.writerows([_text(value) for value in dataclasses.astuple(row)] for row in rows)
    expect_place(path)
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))


def _text(value: object) -> object:
    return round(value, _DECIMALS) if isinstance(value, float) else "" if value is None else value
