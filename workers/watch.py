"""Watch a folder: files that are written to their end are submitted, patient by patient.

The folder is looked at again and again: shared folders, on which scanners write, tell nobody of changes.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from smearscan.errors import SlideError, SmearscanError
from smearscan.records import SlideSource
from smearscan.slide.content import Stamp, stamp_files
from smearscan.submission import Rejected, Submission, gather

log = logging.getLogger(__name__)

#: What a worksheet said, as an error repeats it.
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
#: What was submitted of a slide: what its files were, and its patient.
Known = tuple[Stamp, str]


@dataclass(slots=True)
class Watch:
    """A folder and what is known of its slides.

    Attributes
    ----------
    settle_s
        Seconds that a slide's files must not change before it is taken for finished.
    known
        What was submitted, by path.

    What is said of a slide names its patient's id, and neither its file nor what a worksheet has beside the id: a file
    may be named after its patient.
    """

    folder: Path
    worksheet: Path | None
    settle_s: float
    known: dict[str, Known] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    _seen: dict[str, tuple[Stamp, float]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)
    _left_behind: set[str] = field(default_factory=set)

    def look(self) -> Submission | None:
        """Slides that are finished and not submitted yet, all of a patient's together; None where there are none.

        A slide that the worksheet gives to somebody else now is submitted anew, and so is what is left of its patient.
        """
        sheet = str(self.worksheet)
        is_whole = self.worksheet is None or self._is_settled("the worksheet", sheet, [sheet])
        try:
            found = gather([] if self.worksheet else [self.folder], self.worksheet)
        except SmearscanError as error:  # a worksheet that is being saved, a share that is away
            if is_whole:
                self._say(_QUOTED.sub("…", str(error).replace(sheet, "the worksheet")))
            return None
        except OSError as error:  # a share that answers with errors, which ends nobody's watch
            self._say(f"the folder cannot be read ({error.strerror or type(error).__name__})")
            return None
        settled = {s.slide_id for s in found.sources if self._is_settled(_of(s), s.path, s.paths)}
        if not is_whole:  # one that is half saved names half of the slides, or half of a patient
            return None
        for rejected in found.rejected:
            self._say(_why(rejected))
        waiting = {source.patient_id for source in found.sources if source.slide_id not in settled}
        # A slide of a worksheet that is not there yet keeps its patient waiting as well.
        waiting |= {rejected.source.patient_id for rejected in found.rejected if not rejected.is_repeated}
        ready = [source for source in found.sources if source.patient_id not in waiting]
        for source in ready:
            self._heed_another_patient(source)
        new_patients = {s.patient_id for s in ready if self._now(s) != self.known.get(s.path)} | self._left_behind
        ready = [source for source in ready if source.patient_id in new_patients]
        if not ready:
            return None
        for source in ready:
            self.known[source.path] = self._now(source)
            self._left_behind.discard(source.patient_id)
        return Submission(tuple(ready))

    def _now(self, source: SlideSource) -> Known:
        return self._seen[source.path][0], source.patient_id

    def _heed_another_patient(self, source: SlideSource) -> None:
        before = self.known.get(source.path)
        if before is None or before[1] == source.patient_id:
            return
        if self.worksheet is None:  # named by its file, by as much of it as tells it from those that came since
            self.known[source.path] = (before[0], source.patient_id)
            return
        self._left_behind.add(before[1])
        log.warning(
            "a slide submitted as patient %s is now listed as patient %s: submitted anew, and what is left of %s too",
            before[1], source.patient_id, before[1],
        )  # fmt: skip

    def forget(self, submission: Submission) -> None:
        """Its slides were not submitted after all: they are found again."""
        for source in submission.sources:
            self.known.pop(source.path, None)

    def _is_settled(self, name: str, path: str, paths: Iterable[str]) -> bool:
        try:
            stamp = stamp_files(list(paths))
        except SlideError as error:
            self._say(f"{name} cannot be read ({type(error).__name__})")
            return False
        before = self._seen.get(path)
        now = self.clock()
        if before is None or before[0] != stamp:
            self._seen[path] = (stamp, now)
            return path in self.known and stamp == self.known[path][0]
        if now - before[1] < self.settle_s:
            return False
        if all(_can_be_read(file) for file, *_ in stamp):
            return True
        self._say(f"{name} is empty or may not be read: it is left alone until it can be")
        return False

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            log.warning("%s", text)


def _of(source: SlideSource) -> str:
    return f"a slide of patient {source.patient_id}"


def _why(rejected: Rejected) -> str:
    """Why a slide cannot be submitted, without its file's name and without what the worksheet's line holds."""
    reason = rejected.reason.replace(rejected.source.path, "").removeprefix(": ")
    return f"{_of(rejected.source)}: {_QUOTED.sub('…', reason)}"


def _can_be_read(path: object) -> bool:
    try:
        with Path(str(path)).open("rb") as file:
            return bool(file.read(1))
    except OSError:
        return False
