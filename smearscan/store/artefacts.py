"""Artefacts: bytes under a key that says what they were made from, and what is asked of whatever keeps them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from smearscan.errors import OutputError

#: Kinds of artefacts that are results: retention never removes them.
RESULTS = frozenset({"finish", "aggregate", "report"})
#: Name of the empty file that says that a store is in use: an empty mount point has none.
MARK = "smearscan-artefacts"


class GoneError(OutputError):
    """An artefact that was removed since it was made."""


def artefact_key(kind: str, *parts: object) -> str:
    """Name of what a stage makes from its inputs: kind and SHA-256 over everything that decides the bytes."""
    text = json.dumps([kind, *parts], sort_keys=True, separators=(",", ":"), default=str)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:48]}"


@dataclass(frozen=True, slots=True)
class Kept:
    """An artefact as retention sees it: bytes, and seconds since 1970 when it was written."""

    key: str
    n_bytes: int
    written_at: float


class Artefacts(Protocol):
    """Where artefacts are; `open_artefacts` and `open_state` make them."""

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes; a reader sees all of them or none."""

    def get(self, key: str) -> bytes:
        """The bytes of a key; OutputError where there are none, TransientError where the store is away."""

    def has(self, key: str) -> bool:
        """Whether there are any."""

    def remove(self, key: str) -> None:
        """Forget a key; nothing happens where there is none."""

    def walk(self) -> Iterator[Kept]:
        """Everything that is kept; TransientError where the store is away."""

    def free_bytes(self) -> int | None:
        """Room that is left; None where the store does not say, TransientError where it is away."""

    def remove_parts(self, before: float) -> int:
        """Remove what writers that were killed before (seconds since 1970) left half written; how many."""

    @property
    def place(self) -> str:
        """Where it is, for people."""

    def is_marked(self) -> bool:
        """Whether somebody has used the store; TransientError where it is away."""

    def mark(self) -> None:
        """Say that somebody uses it."""
