"""A night without images: submissions and chunks whose work is pretended, to test what the database decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smearscan.stages import flow
from smearscan.stages.job import NewChunk, Product
from smearscan.stages.table import QUEUES, STAGES
from smearscan.store.claims import ROUTINE, Claim, Wanted, claim
from smearscan.store.database import Database
from smearscan.store.submit import NewRun, NewSlide, submit

N_TILES, N_SETS = 3, 2


def new_night(slides: Sequence[tuple[str, str]], **changes: Any) -> NewRun:
    """A submission of (slide, patient) pairs."""
    values: Mapping[str, Any] = {"slide_id": "", "paths": []}
    run = NewRun(
        digest="d" * 64,
        laboratory="one",
        priority=ROUTINE,
        preset="default",
        settings={},
        identity="i",
        version="1",
        slides=[NewSlide(slide, patient, f"/{slide}", values) for slide, patient in slides],
        first_chunk=STAGES["survey"].chunk(),
        patient_chunk=STAGES["aggregate"].chunk(),
    )
    return replace(run, **changes)


def submit_night(database: Database, slides: Sequence[tuple[str, str]], **changes: Any) -> int:
    """Submit and give the run's id."""
    return database.run(submit, new_night(slides, **changes))[0]


def wanting(*runs: int, worker: str = "elsewhere/1/0", **changes: Any) -> Wanted:
    """A worker that serves every queue of some runs and waits for no pool."""
    return replace(Wanted(worker, QUEUES, run_ids=frozenset(runs), patience_s=0.0), **changes)


def take(database: Database, wanted: Wanted) -> list[Claim]:
    """One claim."""
    return database.run(claim, wanted)


def pretend(held: Claim) -> Product:
    """What a stage would give back, by its place in the pipeline."""
    task = {"survey": "s"}
    if held.stage == "survey":
        return Product("s", [NewChunk("search", task, place) for place in range(N_TILES)], N_TILES)
    if held.stage == "gather":
        return Product("g", [NewChunk("crop", task, place, 10) for place in range(N_SETS)], N_SETS, n_cells=10 * N_SETS)
    if held.stage == "crop":
        return Product("c", [NewChunk("classify", {"crop": "c"}, held.place, held.n_items, "pool")])
    if held.stage == "aggregate":
        return Product("a", [NewChunk("report", {})])
    return Product(f"{held.stage}-{held.id}", is_counted=held.stage in ("search", "classify"))


def work_through(database: Database, wanted: Wanted, at_most: int = 10_000) -> list[Claim]:
    """Do all that can be done, one claim after another; the claims in order."""
    done: list[Claim] = []
    while claims := take(database, wanted):
        for held in claims:
            database.run(flow.complete, held, pretend(held))
            done.append(held)
        if len(done) >= at_most:
            break
    return done
