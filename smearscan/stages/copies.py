"""The same image twice: under two names, in two folders, in a folder and by itself.

Cells of a patient that were counted twice would make a number look surer; an image of two patients is somebody else's
for one of them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from smearscan.errors import SlideError
from smearscan.records import SlideSource
from smearscan.slide.content import content_digest, stamp_files

#: Bytes at either end of a file that are compared before it is read as a whole.
_ENDS = 65_536
#: Patients that are named where many were given the same image.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Copies:
    """What was found twice, by the place of a slide.

    Attributes
    ----------
    refused
        Why a slide is refused: earlier ones of its patient hold all that it does.
    repeated
        Images of other slides that earlier ones of their patient, or they themselves, hold: path → why it is left out.
    given_for
        Whose the same image was given as too, in words: one of them has somebody else's.
    """

    refused: dict[int, str] = field(default_factory=dict)
    repeated: dict[int, dict[str, str]] = field(default_factory=dict)
    given_for: dict[int, str] = field(default_factory=dict)


class _Image(NamedTuple):
    place: int
    path: str


def find_copies(slides: Sequence[SlideSource]) -> Copies:
    """Images that are handed in twice, of the same patient or of another.

    Files are read only where they are of one size to the byte. What cannot be read fails by name at its turn.
    """
    again: dict[int, dict[str, _Image]] = defaultdict(dict)
    patients: dict[int, set[str]] = defaultdict(set)
    for same in _alike(slides):
        first: dict[str, _Image] = {}
        for image in same:
            before = first.setdefault(slides[image.place].patient_id, image)
            if before is not image:
                again[image.place][image.path] = before
        for image in first.values() if len(first) > 1 else ():
            patients[image.place] |= set(first)
    found = Copies(given_for={place: _others(sorted(patients[place]), slides[place]) for place in sorted(patients)})
    for place in sorted(again):
        _tell(slides, place, again[place], found)
    return found


def _tell(slides: Sequence[SlideSource], place: int, again: dict[str, _Image], found: Copies) -> None:
    """Write down why a slide, or some of its images, are not counted again."""
    source = slides[place]
    if all(path in again for path in source.paths):
        before = slides[again[source.paths[0]].place].path
        found.refused[place] = (
            f"{source.path}: the same scan as {before}, counted once. Remove the copy, or name the scan that was meant"
        )
        return
    found.repeated[place] = {
        path: f"{path}: the same image as {before.path}, counted once" for path, before in again.items()
    }


def _alike(slides: Sequence[SlideSource]) -> Iterable[list[_Image]]:
    """Images of the same content, in the order given."""
    images = [_Image(place, path) for place, source in enumerate(slides) for path in source.paths]
    groups = [images]
    for key in (_sizes, _ends, _content):
        groups = [part for group in groups for part in _parted(group, key) if len(part) > 1]
    return groups


def _parted(images: Sequence[_Image], key: Callable[[str], object]) -> Iterable[list[_Image]]:
    parts: dict[object, list[_Image]] = defaultdict(list)
    for image in images:
        try:
            parts[key(image.path)].append(image)
        except (OSError, SlideError):
            continue  # what cannot be read fails by name when its turn comes
    return parts.values()


def _sizes(path: str) -> object:
    return tuple(sorted(int(size) for _, size, _ in stamp_files([path])))


def _ends(path: str) -> object:
    with Path(path).open("rb") as file:
        digest = hashlib.sha256(file.read(_ENDS))
        file.seek(max(0, Path(path).stat().st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.digest()


def _content(path: str) -> object:
    return content_digest(path)


def _others(everybody: Sequence[str], source: SlideSource) -> str:
    named = [other for other in everybody[: _MOST_NAMED + 1] if other != source.patient_id][:_MOST_NAMED]
    n_more = len(everybody) - 1 - len(named)
    kind = "patient" if len(everybody) == 2 else "patients"
    return f"{kind} {', '.join(named)}" + (f" and {n_more} more" if n_more else "")
