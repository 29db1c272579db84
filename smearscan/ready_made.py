"""Judge images of single cells that somebody else cut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smearscan.crops import load_segmenter
from smearscan.crops.readymade import ReadyMade, read_ready_made
from smearscan.errors import SlideError
from smearscan.geometry import Box
from smearscan.judge import load_judge
from smearscan.settings import Settings
from smearscan.slide import open_slide

#: Pictures held in memory at a time.
_AT_A_TIME = 128


@dataclass(frozen=True, slots=True)
class CropVerdict:
    """One line of predictions.csv; a picture that cannot be read has a reason and no class."""

    path: str
    cell_class: str = ""
    blast_probability: float | None = None
    class_probability: float | None = None
    spread: float | None = None
    um_per_px: float | None = None
    notes: str = ""
    reason: str = ""


def classify_pictures(
    paths: Sequence[Path], settings: Settings, um_per_px: float | None = None, cell_um: float | None = None
) -> Iterator[CropVerdict]:
    """One verdict for each picture, in their order.

    Parameters
    ----------
    um_per_px, cell_um
        Scale of the pictures, or diameter of their cells in µm; without either the cell itself is measured.
    """
    for first in range(0, len(paths), _AT_A_TIME):
        part = paths[first : first + _AT_A_TIME]
        pictures = {path: _read(path, um_per_px, cell_um) for path in part}
        verdicts = iter(_judge([p for p in pictures.values() if isinstance(p, ReadyMade)], settings))
        for path in part:
            picture = pictures[path]
            yield CropVerdict(str(path), reason=picture) if isinstance(picture, str) else _line(path, picture, next(verdicts))
