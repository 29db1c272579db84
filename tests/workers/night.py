"""A night without pictures: runs of slides that do not exist, worked on by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from smearscan.stages import flow
from smearscan.stages.job import NewChunk, Product
from smearscan.stages.table import STAGES
from smearscan.store.claims import ROUTINE, STAT, Claim, Wanted, claim
from smearscan.store.location import Location
from smearscan.store.schema import runs
from smearscan.store.state import State, open_state
from smearscan.store.submit import NewRun, NewSlide, submit

#: A worker that nothing else of this machine is.
WANTED = Wanted("elsewhere/1/1.00", ("cpu", "gpu", "io"))
__all__ = ["ROUTINE", "STAT"]


def open_night(database_url: str, folder: Path) -> State:
    """A state on an empty database."""
    where = Location(database_url, str(folder / "artefacts"), "redis://127.0.0.1:1/0")
    opened = open_state(where, patience_s=5.0)
    opened.artefacts.mark()  # what these nights pretend to make is nowhere
    return opened


def new_run(names: Sequence[str], laboratory: str = "north", priority: int = ROUTINE, **changed: Any) -> NewRun:
    """Slides of these names, two a patient."""
    slides = [NewSlide(name, f"patient {i // 2}", f"/scans/{name}.svs", {"paths": []}) for i, name in enumerate(names)]
    digest = f"{laboratory} {priority} {' '.join(names)}"
    first, last = STAGES["survey"].chunk(), STAGES["aggregate"].chunk()
    new = NewRun(digest, laboratory, priority, "default", {}, "code and weights", "0", slides, first, last)
    return replace(new, **changed)


def hand_in(state: State, *submitted: NewRun) -> list[int]:
    """Submit runs; their ids."""
    return [state.database.run(submit, new)[0] for new in submitted]


def take(state: State, wanted: Wanted = WANTED) -> list[Claim]:
    """What a worker that knows all runs is given."""

    def ask(connection: Connection) -> list[Claim]:
        known = frozenset(connection.execute(select(runs.c.id)).scalars())
        return claim(connection, replace(wanted, run_ids=known))

    return state.database.run(ask)


def finish(state: State, held: Sequence[Claim], follow: Sequence[NewChunk] = (), n_slots: int = 0) -> None:
    """Hand in claims as done, and write the line of work."""
    for one in held:
        state.database.run(flow.complete, one, Product(f"{one.stage}-{one.id:08x}", follow))
    state.database.run(flow.record_work, held, WANTED.worker, 0.5, n_slots, "done")
