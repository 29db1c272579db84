"""Write a submission into the state: a run, its patients, its slides, and a first chunk for each slide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, text, update

from smearscan.store.clock import now
from smearscan.store.schema import chunks, laboratories, patients, runs, slides


@dataclass(frozen=True, slots=True)
class NewSlide:
    """A slide of a submission, with the stamp of its files; one with a `reason` was refused before a pixel was read."""

    slide_id: str
    patient_id: str
    path: str
    source: Mapping[str, Any]
    reason: str = ""
    stamp: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """A submission.

    Attributes
    ----------
    digest
        The same for the same slides, settings, code, cards and weights: submitted twice it is one run.
    identity
        Code, cards and weights that a worker must have.
    first_chunk
        Columns of the chunk that begins a slide (stage, queue, rank).
    patient_chunk
        Columns of the chunk that begins a patient none of whose slides can be screened.
    """

    digest: str
    laboratory: str
    priority: int
    preset: str
    settings: Mapping[str, Any]
    identity: str
    version: str
    slides: Sequence[NewSlide]
    first_chunk: Mapping[str, Any]
    patient_chunk: Mapping[str, Any]
    is_embedded: bool = False
    out: str = ""


def submit(connection: Connection, new: NewRun) -> tuple[int, bool]:
    """Add a run, unless the same one is there already and was not cancelled; submitted again as stat, it becomes stat.

    Returns
    -------
    tuple
        The run's id, and whether it is new.
    """
    if connection.dialect.name != "sqlite":  # two at the same moment: one run, one laboratory, two names
        connection.execute(text("SELECT pg_advisory_xact_lock(5318)"))
    found = _same(connection, new)
    if found is not None:
        of_run = update(runs).where(runs.c.id == found.id)
        connection.execute(of_run.where(runs.c.priority > new.priority).values(priority=new.priority))
        if new.out:
            connection.execute(of_run.values(out=new.out))
        return int(found.id), False
    time = now(connection)
    _welcome(connection, new.laboratory)
    run_id = _add_run(connection, new, time)
    rows = _add_patients(connection, run_id, new.slides)
    slide_rows = _add_slides(connection, run_id, new.slides, rows, time)
    begun = [
        {**new.first_chunk, **_chunk(run_id, time), "slide_row": row, "place": place}
        for place, (slide, row) in enumerate(zip(new.slides, slide_rows, strict=True))
        if not slide.reason
    ]
    hopeful = {slide.patient_id for slide in new.slides if not slide.reason}
    ended = [
        {**new.patient_chunk, **_chunk(run_id, time), "patient_row": row, "place": place}
        for place, (patient, row) in enumerate(rows.items())
        if patient not in hopeful
    ]
    for added in (begun, ended):
        if added:
            connection.execute(insert(chunks), added)
    return run_id, True


def moved_out(connection: Connection, new: NewRun) -> str:
    """The folder in which the files of the same run were to be, if it is open and they will now be in another one.

    What is done already has its files there, and gets them in the other one too.
    """
    found = _same(connection, new)
    if found is None or found.state != "open" or new.out in ("", found.out):
        return ""
    return str(found.out)


def _same(connection: Connection, new: NewRun) -> Row | None:  # type: ignore[type-arg]
    same = select(runs.c.id, runs.c.state, runs.c.out).where(
        runs.c.digest == new.digest, runs.c.is_embedded.is_(new.is_embedded), runs.c.state.in_(["open", "done"])
    )
    return connection.execute(same.order_by(runs.c.id.desc()).limit(1)).one_or_none()


def _chunk(run_id: int, time: float) -> dict[str, Any]:
    return {"run_id": run_id, "status": "ready", "ready_at": time, "task": {}}


def _welcome(connection: Connection, laboratory: str) -> None:
    """A laboratory that comes new, or back, starts level with those at work: it cannot save up its share."""
    busy = (
        select(func.min(laboratories.c.served))
        .join(runs, runs.c.laboratory == laboratories.c.name)
        .where(runs.c.state == "open", laboratories.c.name != laboratory)
    )
    least = float(connection.execute(busy).scalar() or 0.0)
    known = connection.execute(select(laboratories.c.served).where(laboratories.c.name == laboratory)).scalar()
    if known is None:
        connection.execute(insert(laboratories).values(name=laboratory, served=least))
    elif known < least:
        connection.execute(update(laboratories).where(laboratories.c.name == laboratory).values(served=least))


def _add_run(connection: Connection, new: NewRun, time: float) -> int:
    row = {
        "digest": new.digest,
        "laboratory": new.laboratory,
        "is_embedded": new.is_embedded,
        "priority": new.priority,
        "state": "open",
        "preset": new.preset,
        "settings": dict(new.settings),
        "identity": new.identity,
        "version": new.version,
        "out": new.out,
        "n_open": len({slide.patient_id for slide in new.slides}),
        "n_slides": len(new.slides),
        "submitted_at": time,
    }
    highest = int(connection.execute(select(func.coalesce(func.max(runs.c.id), 0))).scalar_one())
    added = connection.execute(insert(runs).values(**row, name=f"r{highest + 1}").returning(runs.c.id))
    run_id = int(added.scalar_one())
    if run_id != highest + 1:
        connection.execute(update(runs).where(runs.c.id == run_id).values(name=f"r{run_id}"))
    return run_id


def _add_patients(connection: Connection, run_id: int, added: Sequence[NewSlide]) -> dict[str, int]:
    open_slides: dict[str, int] = {}
    for slide in added:
        open_slides[slide.patient_id] = open_slides.get(slide.patient_id, 0) + (not slide.reason)
    values = [
        {"run_id": run_id, "place": place, "patient_id": patient, "n_open": n, "state": "open"}
        for place, (patient, n) in enumerate(open_slides.items())
    ]
    ids = connection.execute(insert(patients).returning(patients.c.id, sort_by_parameter_order=True), values).scalars()
    return dict(zip(open_slides, ids, strict=True))


def _add_slides(
    connection: Connection, run_id: int, added: Sequence[NewSlide], patient_rows: Mapping[str, int], time: float
) -> list[int]:
    values = [
        {
            "run_id": run_id,
            "patient_row": patient_rows[slide.patient_id],
            "place": place,
            "slide_id": slide.slide_id,
            "path": slide.path,
            "source": dict(slide.source),
            "stamp": slide.stamp,
            "state": "failed" if slide.reason else "waiting",
            "reason": slide.reason,
            "error": "rejected" if slide.reason else "",
            "n_open": int(not slide.reason),
            "finished_at": time if slide.reason else None,
        }
        for place, slide in enumerate(added)
    ]
    return list(
        connection.execute(insert(slides).returning(slides.c.id, sort_by_parameter_order=True), values).scalars()
    )


def renamed_patients(connection: Connection, new: NewRun) -> list[tuple[str, str, str]]:
    """(path, patient now, patient before) of slides that earlier runs of the laboratory gave to somebody else."""
    now_of = {slide.path: slide.patient_id for slide in new.slides}
    known = (
        select(slides.c.path, patients.c.patient_id)
        .join(patients, patients.c.id == slides.c.patient_row)
        .join(runs, runs.c.id == slides.c.run_id)
        .where(runs.c.laboratory == new.laboratory, runs.c.state != "cancelled")
        .distinct()
    )
    paths = list(now_of)
    found = []
    for first in range(0, len(paths), 500):
        for path, before in connection.execute(known.where(slides.c.path.in_(paths[first : first + 500]))):
            if before != now_of[path]:
                found.append((path, now_of[path], before))
    return sorted(found)
