"""What a run of the command line left behind; a module, so that any selection of tests can import it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left behind."""

    code: int
    said: str
    out: Path

    def rows(self, name: str) -> list[dict[str, str]]:
        """A table as dictionaries."""
        with (self.out / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
