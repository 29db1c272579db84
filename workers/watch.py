"""Watch a folder: files that are written to their end are submitted, patient by patient.

The folder is looked at again and again: shared folders, on which scanners write, tell nobody of changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from smearscan.errors import SlideError, SmearscanError
from smearscan.slide.content import Stamp, stamp_files
from smearscan.submission import Submission, gather

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watch:
    """A folder and what is known of its slides.

    Attributes
    ----------
    settle_s
        Seconds that a slide's files must not change before it is taken for finished.
    known
        Stamps of the slides that were submitted, by path.
    """

    folder: Path
    worksheet: Path | None
    settle_s: float
    known: dict[str, Stamp] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def look(self) -> Submission | None:
        """Slides that are finished and not submitted yet, all of a patient's together; None where there are none."""
        try:
            found = gather([] if self.worksheet else [self.folder], self.worksheet)
        except SmearscanError as error:  # a worksheet that is being saved, a share that is away
            self._say(str(error))
            return None
        for rejected in found.rejected:
            self._say(rejected.reason)
        settled = {source.slide_id for source in found.sources if self._is_settled(source.path, source.paths)}
        waiting = {source.patient_id for source in found.sources if source.slide_id not in settled}
        # A slide of a worksheet that is not there yet keeps its patient waiting as well.
        waiting |= {rejected.source.patient_id for rejected in found.rejected}
        ready = [source for source in found.sources if source.patient_id not in waiting]
        new_patients = {s.patient_id for s in ready if self._seen[s.path][0] != self.known.get(s.path)}
        ready = [source for source in ready if source.patient_id in new_patients]
        if not ready:
            return None
        for source in ready:
            self.known[source.path] = self._seen[source.path][0]
        return Submission(tuple(ready))

    def forget(self, submission: Submission) -> None:
        """Its slides were not submitted after all: they are found again."""
        for source in submission.sources:
            self.known.pop(source.path, None)

    def _is_settled(self, path: str, paths: Iterable[str]) -> bool:
        try:
            stamp = stamp_files(list(paths))
        except SlideError as error:
            self._say(str(error))
            return False
        before = self._seen.get(path)
        now = self.clock()
        if before is None or before[0] != stamp:
            self._seen[path] = (stamp, now)
            return stamp == self.known.get(path)
        return now - before[1] >= self.settle_s and all(_can_be_read(file) for file, *_ in stamp)

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning("%s", text)


def _can_be_read(path: object) -> bool:
    try:
        with Path(str(path)).open("rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
