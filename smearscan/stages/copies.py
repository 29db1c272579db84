"""The same scan twice under two names: cells of a patient that were counted twice would make a number look surer."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from smearscan.errors import SlideError
from smearscan.records import SlideSource
from smearscan.slide.content import Stamp, content_digest

#: Bytes at either end of a file that are compared before it is read as a whole.
_ENDS = 65_536


def find_copies(slides: Sequence[tuple[SlideSource, Stamp | None]]) -> dict[int, str]:
    """Place of a slide → why it is refused, for those that hold what an earlier slide of their patient holds.

    Files are read only where a patient's slides are of one size to the byte. What cannot be read fails by name at its
    turn.
    """
    alike: dict[object, list[int]] = defaultdict(list)
    for place, (source, stamp) in enumerate(slides):
        if stamp is not None:
            sizes = sorted(int(size) for _, size, _ in stamp)
            alike[source.patient_id, tuple(sizes)].append(place)
    found: dict[int, str] = {}
    for places in alike.values():
        first: dict[object, int] = {}
        for place in _with_the_same_ends(slides, places):
            source = slides[place][0]
            before = first.setdefault(_content(source), place)
            if before != place:
                found[place] = (
                    f"{source.path}: the same scan as {slides[before][0].path}, counted once. "
                    "Remove the copy, or name the scan that was meant"
                )
    return found


def _with_the_same_ends(slides: Sequence[tuple[SlideSource, object]], places: Sequence[int]) -> list[int]:
    if len(places) < 2:
        return []
    of: dict[object, list[int]] = defaultdict(list)
    for place in places:
        try:
            of[tuple(sorted(_ends(path) for path in slides[place][0].paths))].append(place)
        except OSError:
            continue
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
        return source.path
