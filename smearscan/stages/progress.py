"""How far a run has come, from the database: true after any restart."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from smearscan.store.schema import chunks, patients, runs, slides

#: Share of a slide's time that its stages take, roughly; for the bar only.
_SURVEY, _SEARCH, _JUDGE = 0.1, 0.4, 0.5


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run in numbers; `fraction` 0 to 1 counts begun slides by their stages.

    `n_reported` patients have their page, `n_pageless` never will; `is_unwritten` says that the run's files could not
    be written. Of the slides that are done `n_partial` do without some of their images.
    """

    state: str
    n_slides: int
    n_done: int
    n_failed: int
    n_cells: int
    n_patients: int
    n_reported: int
    fraction: float
    n_pageless: int = 0
    n_partial: int = 0
    is_unwritten: bool = False

    @property
    def but_for(self) -> str:
        """What to add where slides are said to be done; empty where nothing is missing of them."""
        return f" ({self.n_partial} without some of their images)" if self.n_partial else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return self.state != "open"

    @property
    def is_whole(self) -> bool:
        """Whether it is over, every slide is done whole, every patient has a page and the files are in their place."""
        return self.state == "done" and not (self.n_failed or self.n_partial or self.n_pageless or self.is_unwritten)


def run_progress(connection: Connection, run_id: int) -> RunProgress:
    """Read a run's progress; some milliseconds also for ten thousand slides."""
    of_files = chunks.c.run_id == run_id, chunks.c.status == "failed", chunks.c.stage == "export"
    is_unwritten = select(chunks.c.id).where(*of_files).exists()
    run = connection.execute(select(runs.c.state, is_unwritten.label("is_unwritten")).where(runs.c.id == run_id)).one()
    with_reason = func.count(func.nullif(slides.c.reason, ""))
    counted = select(slides.c.state, func.count(), func.sum(slides.c.n_cells), with_reason)
    of_run = counted.where(slides.c.run_id == run_id).group_by(slides.c.state)
    by_state = {row[0]: (row[1], int(row[2] or 0), row[3]) for row in connection.execute(of_run)}
    n_slides = sum(n for n, _, _ in by_state.values())
    n_done, _, n_partial = by_state.get("done", (0, 0, 0))
    n_failed = by_state.get("failed", (0, 0, 0))[0]
    patient_states = select(patients.c.state, func.count()).where(patients.c.run_id == run_id)
    reported = {row[0]: int(row[1]) for row in connection.execute(patient_states.group_by(patients.c.state))}
    begun = _begun(connection, run_id)
    return RunProgress(
        state=run.state,
        n_slides=n_slides,
        n_done=n_done,
        n_failed=n_failed,
        n_cells=sum(n for _, n, _ in by_state.values()),
        n_patients=sum(reported.values()),
        n_reported=reported.get("done", 0),
        n_pageless=reported.get("failed", 0),
        n_partial=n_partial,
        is_unwritten=run.is_unwritten,
        fraction=(n_done + n_failed + begun) / max(1, n_slides),
    )


def _begun(connection: Connection, run_id: int) -> float:
    """Slides' worth of work done on slides that are not finished."""
    query = (
        select(chunks.c.slide_row, chunks.c.stage, chunks.c.status, func.count())
        .join(slides, slides.c.id == chunks.c.slide_row)
        .where(slides.c.run_id == run_id, slides.c.state == "open", chunks.c.status != "dropped")
        .group_by(chunks.c.slide_row, chunks.c.stage, chunks.c.status)
    )
    counts: dict[int, dict[tuple[str, bool], int]] = {}
    for slide, stage, status, n in connection.execute(query):
        of_slide = counts.setdefault(slide, {})
        of_slide[stage, status == "done"] = of_slide.get((stage, status == "done"), 0) + n
    total = 0.0
    for of_slide in counts.values():
        total += _SURVEY + _SEARCH * _share(of_slide, "search", "search")
        total += _JUDGE * _share(of_slide, "classify", "crop") if ("gather", True) in of_slide else 0.0
    return total


def _share(of_slide: dict[tuple[str, bool], int], last: str, first: str) -> float:
    n_all = of_slide.get((first, True), 0) + of_slide.get((first, False), 0)
    return of_slide.get((last, True), 0) / n_all if n_all else 1.0
