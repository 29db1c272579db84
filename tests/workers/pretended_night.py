"""A night without pictures: runs of slides that do not exist, their work pretended: what the state decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from smearscan.stages import flow
from smearscan.stages.job import NewChunk, Product
from smearscan.stages.table import QUEUES, STAGES
from smearscan.store.claims import ROUTINE, Claim, Wanted, claim
from smearscan.store.database import Database
from smearscan.store.location import Location
from smearscan.store.schema import runs
from smearscan.store.state import State, open_state
from smearscan.store.submit import NewRun, NewSlide, submit

#: A worker that nothing else of this machine is.
WANTED = Wanted("elsewhere/1/1.00", QUEUES)
N_TILES, N_SETS = 3, 2


def open_night(database_url: str, folder: Path) -> State:
    """A state on an empty database."""
    where = Location(database_url, str(folder / "artefacts"), "redis://127.0.0.1:1/0")
    opened = open_state(where, patience_s=5.0)
    opened.artefacts.mark()  # what these nights pretend to make is nowhere
    return opened


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


def new_run(names: Sequence[str], laboratory: str = "north", priority: int = ROUTINE, **changes: Any) -> NewRun:
    """A submission of slides of these names, two a patient; another for every laboratory, priority and list."""
    pairs = [(name, f"patient {i // 2}") for i, name in enumerate(names)]
    digest = f"{laboratory} {priority} {' '.join(names)}"
    return new_night(pairs, **{"digest": digest, "laboratory": laboratory, "priority": priority, **changes})


def submit_night(database: Database, slides: Sequence[tuple[str, str]], **changes: Any) -> int:
    """Submit `new_night` and give the run's id."""
    return database.run(submit, new_night(slides, **changes))[0]


def hand_in(state: State, *submitted: NewRun) -> list[int]:
    """Submit runs; their ids."""
    return [state.database.run(submit, new)[0] for new in submitted]


def wanting(*runs: int, worker: str = "elsewhere/1/0", **changes: Any) -> Wanted:
    """A worker that serves every queue of some runs and waits for no pool."""
    return replace(Wanted(worker, QUEUES, run_ids=frozenset(runs), patience_s=0.0), **changes)


def take(database: Database, wanted: Wanted) -> list[Claim]:
    """One claim."""
    return database.run(claim, wanted)


def take_any(state: State, wanted: Wanted = WANTED) -> list[Claim]:
    """One claim, of a worker that knows all runs."""

    def ask(connection: Connection) -> list[Claim]:
        known = frozenset(connection.execute(select(runs.c.id)).scalars())
        return claim(connection, replace(wanted, run_ids=known))

    return state.database.run(ask)


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


def finish(state: State, held: Sequence[Claim], follow: Sequence[NewChunk] = (), n_slots: int = 0) -> None:
    """Hand in claims as done, and write the line of work."""
    for one in held:
        state.database.run(flow.complete, one, Product(f"{one.stage}-{one.id:08x}", follow))
    state.database.run(flow.record_work, held, WANTED.worker, 0.5, n_slots, "done")


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
