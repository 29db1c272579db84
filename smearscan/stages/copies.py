"""The same scan twice under two names.

Cells of a patient that were counted twice would make a number look surer; a scan of two patients is somebody else's
for one of them.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smearscan.errors import SlideError
from smearscan.records import SlideSource
from smearscan.slide.content import Stamp, content_digest

#: Bytes at either end of a file that are compared before it is read as a whole.
_ENDS = 65_536
#: Patients that are named where many were given the same scan.
_MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Copies:
    """What was found twice, by the place of a slide.

    Attributes
    ----------
    refused
        Why it is refused: an earlier slide of its patient holds the same.
    given_for
        Whose the same scan was given as too, in words: one of them has somebody else's.
    """

    refused: dict[int, str]
    given_for: dict[int, str]


def find_copies(slides: Sequence[tuple[SlideSource, Stamp | None]]) -> Copies:
    """Slides that hold what another one holds, of the same patient or of another.

    Files are read only where slides are of one size to the byte. What cannot be read fails by name at its turn.
    """
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, (_, stamp) in enumerate(slides):
        if stamp is not None:
            alike[tuple(sorted(int(size) for _, size, _ in stamp))].append(place)
    refused: dict[int, str] = {}
    given_for: dict[int, str] = {}
    for places in alike.values():
        same: dict[object, list[int]] = defaultdict(list)
        for place in _with_the_same_ends(slides, places):
            same[_content(slides[place][0])].append(place)
        for copies in same.values():
            first = _first_of_each_patient(slides, copies, refused)
            everybody = sorted(first) if len(first) > 1 else []
            given_for |= {first[patient]: _others(everybody, patient) for patient in everybody}
    return Copies(dict(sorted(refused.items())), given_for)


def _first_of_each_patient(
    slides: Sequence[tuple[SlideSource, object]], copies: Sequence[int], refused: dict[int, str]
) -> dict[str, int]:
    first: dict[str, int] = {}
    for place in copies:
        source = slides[place][0]
        before = first.setdefault(source.patient_id, place)
        if before != place:
            refused[place] = (
                f"{source.path}: the same scan as {slides[before][0].path}, counted once. "
                "Remove the copy, or name the scan that was meant"
            )
    return first


def _others(everybody: Sequence[str], patient: str) -> str:
    named = [other for other in everybody[: _MOST_NAMED + 1] if other != patient][:_MOST_NAMED]
    n_more = len(everybody) - 1 - len(named)
    kind = "patient" if len(everybody) == 2 else "patients"
    return f"{kind} {', '.join(named)}" + (f" and {n_more} more" if n_more else "")


def _with_the_same_ends(slides: Sequence[tuple[SlideSource, object]], places: Sequence[int]) -> list[int]:
    if len(places) < 2:
        return []
    of: dict[object, list[int]] = defaultdict(list)
    for place in places:
        try:
            of[tuple(sorted(_ends(path) for path in slides[place][0].paths))].append(place)
        except OSError:
            continue  # what cannot be read fails by name when its turn comes
    return sorted(place for group in of.values() if len(group) > 1 for place in group)


def _ends(path: str) -> bytes:
    with Path(path).open("rb") as file:
        digest = hashlib.sha256(file.read(_ENDS))
        file.seek(max(0, Path(path).stat().st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return digest.digest()


def _content(source: SlideSource) -> object:
    try:
        return tuple(sorted(content_digest(path) for path in source.paths))
    except SlideError:
        return source.path  # fails by name when its turn comes; until then it is like no other
