"""Text of the tables: the same value is the same text on every machine, and a spreadsheet runs none of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

#: Decimals kept: a probability's sixth is far below what another machine's rounding changes.
PROBABILITY, FRACTION, MICRONS, SECONDS = 6, 8, 4, 3
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Value = str | int | float | bool | None


def columns(header: str) -> tuple[str, ...]:
    """Names of a header line."""
    return tuple(header.split(","))


def csv_line(names: Sequence[str], row: Mapping[str, Value]) -> bytes:
    """A row as a line of UTF-8."""
    return utf8(",".join(csv_field(row[name]) for name in names) + "\n")


def csv_header(names: Sequence[str]) -> bytes:
    """The first line."""
    return utf8(",".join(names) + "\n")


def rounded(value: float | None, decimals: int) -> float | None:
    """A finite float of so many decimals, minus zero made zero; None for what is not a number."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0


def free_text(text: str) -> str:
    """A sentence as one line."""
    # Sentences for people, which may begin with a file's name: the apostrophe keeps a spreadsheet
    # from running it. Ids and paths are never changed: programs join on them (docs/outputs.md).
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def csv_field(value: Value) -> str:
    """A value as a field, quoted where it must be."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, int):
        return str(value)
    needs_quotes = value.startswith(_FORMULA) or any(c in value for c in ',"\n\r') or value != value.strip()
    return '"' + value.replace('"', '""') + '"' if needs_quotes else value


def _decimal(value: float) -> str:
    """Plain decimal digits, never an exponent: the same text on every machine."""
    text = f"{value:.8f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def utf8(text: str) -> bytes:
    """Bytes of any text."""
    # A file name that is no valid UTF-8 reaches us with lone surrogates: written as \udcXX.
    return text.encode("utf-8", "backslashreplace")
