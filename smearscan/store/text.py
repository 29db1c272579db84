"""Text as every database takes it."""

from __future__ import annotations


def storable(text: str) -> str:
    """The same text, with what no database keeps written out: lone surrogates of file names, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\x00")
