"""What a stage is handed and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import select

from smearscan.records import SharedScale, SlideSource
from smearscan.settings import Settings
from smearscan.stages.encode import StoredPlan, load_plan
from smearscan.store.artefacts import GoneError
from smearscan.store.claims import Claim
from smearscan.store.schema import patients, runs, slides
from smearscan.store.state import State


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A chunk with all that it refers to.

    `source` and `stamp` are those of its slide, None for a patient's chunk; `patient_id` is that of either.
    """

    state: State
    claim: Claim
    settings: Settings
    preset: str
    source: SlideSource | None = None
    stamp: list[Any] | None = None
    patient_id: str = ""
    out: str = ""

    def plan(self) -> StoredPlan:
        """The plan of the chunk's slide."""
        return _plan(self.state, self.claim.task["survey"])

    def get(self, key: str) -> bytes:
        """An artefact's bytes."""
        return self.state.artefacts.get(key)

    def make(self, key: str, work: Callable[[], bytes]) -> tuple[bytes, bool]:
        """The bytes of a key, made only where nobody made them before; whether they were there."""
        if self.state.artefacts.has(key):
            try:
                return self.state.artefacts.get(key), True
            except GoneError:  # retention removed it between the two
                pass
        data = work()
        self.state.artefacts.put(key, data)
        return data, False


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A chunk that follows: of a stage, with its task, its place among its like, its items, the pool it may join."""

    stage: str
    task: Mapping[str, Any]
    place: int = 0
    n_items: int = 1
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """What a chunk made.

    Attributes
    ----------
    output
        Key of the artefact.
    follow
        Chunks to add now.
    n_open
        What must be done before the slide's next join; None leaves the count as it is.
    is_counted
        Whether this chunk is one of those that the slide's count waits for.
    loss
        What the slide does without, to be told while the run goes on.
    n_slots
        Places in the networks' batches, for the fill of batches.
    """

    output: str
    follow: Sequence[NewChunk] = ()
    n_open: int | None = None
    is_counted: bool = False
    is_reused: bool = False
    n_cells: int | None = None
    stamp: list[Any] | None = None
    loss: str = ""
    n_slots: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)


@lru_cache(maxsize=8)
def _plan(state: State, key: str) -> StoredPlan:
    # The chunks of one slide follow one another in a process: its plan is read once.
    return load_plan(state.artefacts.get(key))


@lru_cache(maxsize=64)
def _settings(text: str) -> Settings:
    return Settings.model_validate_json(text)


def read_jobs(state: State, claims: Sequence[Claim]) -> list[Job]:
    """Fill in what claims refer to."""
    import json

    jobs = []
    wanted = (runs.c.settings, runs.c.preset, runs.c.out, slides.c.source, slides.c.stamp, patients.c.patient_id)
    with state.database.reading() as connection:
        for claim in claims:
            row = connection.execute(
                select(*wanted)
                .select_from(runs)
                .outerjoin(slides, slides.c.id == claim.slide_row)
                .outerjoin(patients, patients.c.id == claim.patient_row)
                .where(runs.c.id == claim.run_id)
            ).one()
            settings = _settings(json.dumps(row.settings, sort_keys=True))
            source = read_source(row.source) if row.source is not None else None
            patient_id = source.patient_id if source is not None else row.patient_id or ""
            jobs.append(Job(state, claim, settings, row.preset, source, row.stamp, patient_id, row.out))
    return jobs


def read_source(table: Mapping[str, Any]) -> SlideSource:
    """A slide's source from its row."""
    shared = table.get("shared_scale")
    scale = SharedScale(**shared) if shared else None
    images = {name: tuple(table.get(name, ())) for name in ("paths", "repeated")}
    return SlideSource(**{**table, **images, "shared_scale": scale})
