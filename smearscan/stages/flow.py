"""What follows when a chunk is done, fails, or has lost too many workers: joins are made here, in one transaction.

A slide counts what it waits for; whoever brings the count to zero adds the next stage. Rows are locked in one order
(slide, chunk, patient, run), so that no two workers wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from smearscan.stages.job import NewChunk, Product
from smearscan.stages.table import STAGES
from smearscan.store.claims import Claim
from smearscan.store.clock import now
from smearscan.store.schema import chunks, laboratories, patients, runs, slides, work
from smearscan.store.text import storable

#: A chunk that may still end.
_UNENDED = ("ready", "running", "lost")
#: Times that a slide is begun, at most, because something that it had made is gone.
_MOST_BEGINNINGS = 4


def complete(connection: Connection, claim: Claim, product: Product) -> bool:
    """A chunk is done: count down, join, add what follows.

    Returns
    -------
    bool
        False if it was done, or dropped, before; then nothing is changed.
    """
    slide = _lock_slide(connection, claim)
    done = {"status": "done", "output": product.output, "is_reused": product.is_reused, "lease_until": None}
    moved = connection.execute(
        update(chunks).where(chunks.c.id == claim.id, chunks.c.status.in_(_UNENDED)).values(done)
    )
    if not moved.rowcount:
        return False
    if slide is not None and slide.state == "failed":
        return True
    if slide is not None:
        _note(connection, claim, product)
    _add(connection, claim, product.follow)
    if product.is_counted:
        _count_down(connection, claim)
    _end_of_stage(connection, claim, product)
    return True


def fail(connection: Connection, claim: Claim, reason: str, error: str, trouble: str = "") -> bool:
    """A chunk can never be done: its slide fails by name (or its patient has no page), and all others go on.

    Returns
    -------
    bool
        False if it had ended before.
    """
    slide = _lock_slide(connection, claim)
    moved = connection.execute(
        update(chunks)
        .where(chunks.c.id == claim.id, chunks.c.status.in_(_UNENDED))
        .values(status="failed", trouble=storable(trouble or reason), lease_until=None)
    )
    if not moved.rowcount:
        return False
    if slide is not None:
        if slide.state != "failed":
            _fail_slide(connection, claim, slide, reason, error)
    elif claim.patient_row is not None:
        connection.execute(update(patients).where(patients.c.id == claim.patient_row).values(state="failed"))
        _close_patient(connection, claim.run_id)
    else:
        _end_run(connection, claim.run_id)
    return True


def begin_again(connection: Connection, claim: Claim) -> bool:
    """What a slide's chunk reads was removed, by retention or by hand: the slide is begun again, so that it is remade.

    Returns
    -------
    bool
        False if it is no chunk of a slide, or its slide was begun too often already.
    """
    slide = _lock_slide(connection, claim)
    if slide is None:
        return False
    of_slide = chunks.c.slide_row == slide.id
    begun = select(func.count()).where(of_slide, chunks.c.stage == "survey")
    mine = select(chunks.c.status).where(chunks.c.id == claim.id)
    if connection.execute(mine).scalar_one() not in _UNENDED:
        return True
    if connection.execute(begun).scalar_one() >= _MOST_BEGINNINGS:
        return False
    connection.execute(update(chunks).where(of_slide).values(status="dropped", output=None, lease_until=None))
    again = {"state": "waiting", "n_open": 1}
    connection.execute(update(slides).where(slides.c.id == slide.id).values(again))
    _add(connection, claim, [NewChunk("survey", {}, slide.place)])
    return True


def release(connection: Connection, claim: Claim, after_s: float, trouble: str, is_failure: bool) -> None:
    """Put a chunk back for a later try."""
    connection.execute(
        update(chunks)
        .where(chunks.c.id == claim.id, chunks.c.status == "running", chunks.c.n_deliveries == claim.n_deliveries)
        .values(
            status="ready",
            ready_at=now(connection) + after_s,
            lease_until=None,
            n_failures=chunks.c.n_failures + int(is_failure),
            trouble=storable(trouble),
            # A pool that failed is taken apart, so that the chunk at fault is found.
            pool=(chunks.c.pool + f"!{claim.id}") if is_failure and claim.stage == "classify" else chunks.c.pool,
        )
    )


def record_work(
    connection: Connection, claims: Sequence[Claim], worker: str, seconds: float, n_slots: int, outcome: str
) -> None:
    """A line in the log of work, and the laboratories' account."""
    by_run: dict[int, list[Claim]] = {}
    for claim in claims:
        by_run.setdefault(claim.run_id, []).append(claim)
    time, n_all = now(connection), sum(max(1, claim.n_items) for claim in claims)
    for run_id, of_run in sorted(by_run.items()):
        n_items = sum(claim.n_items for claim in of_run)
        share = sum(max(1, claim.n_items) for claim in of_run) / n_all
        row = {"run_id": run_id, "stage": of_run[0].stage, "worker": worker, "at": time, "seconds": seconds * share}
        counts = {"n_chunks": len(of_run), "n_items": n_items, "n_slots": round(n_slots * share), "outcome": outcome}
        connection.execute(insert(work).values(**row, **counts))
        served = select(runs.c.laboratory).where(runs.c.id == run_id).scalar_subquery()
        connection.execute(
            update(laboratories)
            .where(laboratories.c.name == served)
            .values(served=laboratories.c.served + seconds * share)
        )


def _lock_slide(connection: Connection, claim: Claim) -> Row[Any] | None:
    if claim.slide_row is None:
        return None
    # Not its key: chunks that refer to it may be added meanwhile.
    query = select(slides).where(slides.c.id == claim.slide_row).with_for_update(key_share=True)
    return connection.execute(query).one()


def _note(connection: Connection, claim: Claim, product: Product) -> None:
    values: dict[str, Any] = {}
    if product.n_open is not None:
        values["n_open"] = product.n_open
    if product.n_cells is not None:
        values["n_cells"] = product.n_cells
    if product.stamp is not None:
        values |= {"stamp": product.stamp, "state": "open", "reason": storable(product.loss)}
    if values:
        connection.execute(update(slides).where(slides.c.id == claim.slide_row).values(values))


def _add(connection: Connection, claim: Claim, added: Sequence[NewChunk]) -> None:
    time = now(connection)
    rows = [
        {
            **STAGES[chunk.stage].chunk(),
            "run_id": claim.run_id,
            "slide_row": claim.slide_row,
            "patient_row": claim.patient_row,
            "place": chunk.place,
            "n_items": chunk.n_items,
            "pool": chunk.pool,
            "task": dict(chunk.task),
            "status": "ready",
            "ready_at": time,
        }
        for chunk in added
    ]
    if rows:
        connection.execute(insert(chunks), rows)


def _count_down(connection: Connection, claim: Claim) -> None:
    left = connection.execute(
        update(slides)
        .where(slides.c.id == claim.slide_row)
        .values(n_open=slides.c.n_open - 1)
        .returning(slides.c.n_open)
    ).scalar_one()
    if left == 0:
        survey = _outputs(connection, claim, "survey")[0]
        searched = _outputs(connection, claim, "search")
        task: dict[str, Any] = {"survey": survey, "search": searched}
        if claim.stage == "search":
            _add(connection, claim, [NewChunk("gather", task)])
        else:
            task["classify"] = _outputs(connection, claim, "classify")
            _add(connection, claim, [NewChunk("finish", task)])


def _outputs(connection: Connection, claim: Claim, stage: str) -> list[str]:
    query = select(chunks.c.output).where(
        chunks.c.slide_row == claim.slide_row, chunks.c.stage == stage, chunks.c.status == "done"
    )
    return list(connection.execute(query.order_by(chunks.c.place)).scalars())


def _end_of_stage(connection: Connection, claim: Claim, product: Product) -> None:
    if claim.stage == "finish":
        ended = {"state": "done", "result": product.output, "n_open": 0, "finished_at": now(connection)}
        connection.execute(update(slides).where(slides.c.id == claim.slide_row).values(ended))
        _close_slide(connection, claim)
    elif claim.stage == "aggregate":
        connection.execute(update(patients).where(patients.c.id == claim.patient_row).values(result=product.output))
    elif claim.stage == "report":
        ended = {"report": product.output, "state": "done"}
        connection.execute(update(patients).where(patients.c.id == claim.patient_row).values(ended))
        _close_patient(connection, claim.run_id)
    elif claim.stage == "export":
        _end_run(connection, claim.run_id)


def _fail_slide(connection: Connection, claim: Claim, slide: Row[Any], reason: str, error: str) -> None:
    reason = storable(reason)
    named = reason if slide.path in reason else f"{slide.path}: {reason}"
    ended = {"state": "failed", "reason": named, "error": error, "n_open": 0, "finished_at": now(connection)}
    connection.execute(update(slides).where(slides.c.id == slide.id).values(ended))
    others = (chunks.c.slide_row == slide.id) & chunks.c.status.in_(_UNENDED)
    connection.execute(update(chunks).where(others).values(status="dropped", lease_until=None))
    _close_slide(connection, claim)


def _close_slide(connection: Connection, claim: Claim) -> None:
    row = select(slides.c.patient_row).where(slides.c.id == claim.slide_row).scalar_subquery()
    patient = connection.execute(
        update(patients)
        .where(patients.c.id == row)
        .values(n_open=patients.c.n_open - 1)
        .returning(patients.c.id, patients.c.n_open, patients.c.place)
    ).one()
    if patient.n_open == 0:
        of_patient = Claim(0, claim.run_id, None, patient.id, "", 0, 1, 0, {})
        _add(connection, of_patient, [NewChunk("aggregate", {}, patient.place)])


def _close_patient(connection: Connection, run_id: int) -> None:
    run = connection.execute(
        update(runs).where(runs.c.id == run_id).values(n_open=runs.c.n_open - 1).returning(runs.c.n_open, runs.c.out)
    ).one()
    if run.n_open > 0:
        return
    if run.out:
        _add(connection, Claim(0, run_id, None, None, "", 0, 1, 0, {}), [NewChunk("export", {})])
    else:
        _end_run(connection, run_id)


def _end_run(connection: Connection, run_id: int) -> None:
    ended = {"state": "done", "finished_at": now(connection)}
    connection.execute(update(runs).where(runs.c.id == run_id, runs.c.state == "open").values(ended))
