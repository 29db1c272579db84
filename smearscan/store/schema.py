"""Tables of the state: runs, slides, patients, chunks of work, and a line for every piece of work done.

A *chunk* is a unit of work of one stage. Its status moves ready → running → done; a lease that runs out makes it ready
again, a failure makes it wait, too many of them quarantine it. Slides, patients and runs count what is open below
them; whoever takes a count to zero adds the next stage's chunk in the same transaction, so that there is nothing to
join anywhere else.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Who shares the night: work goes to the laboratory that has had the least (`served`, seconds of work).
laboratories = Table(
    "laboratories",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("served", Float, nullable=False, default=0.0),
)

#: One submission. `identity` is code, cards and weights: a worker of another identity leaves its chunks alone.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("digest", String(64), nullable=False, index=True),
    Column("laboratory", String(200), ForeignKey("laboratories.name"), nullable=False),
    Column("is_embedded", Boolean, nullable=False, default=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("preset", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("identity", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("out", Text, nullable=False, default=""),
    Column("n_open", Integer, nullable=False),
    Column("n_slides", Integer, nullable=False),
    Column("submitted_at", Float, nullable=False),
    Column("finished_at", Float),
)

#: What the networks of a run's queue run on; said by who works on it first. A worker with another leaves it alone.
runtimes = Table(
    "runtimes",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("queue", String(8), primary_key=True),
    Column("runtime", Text, nullable=False),
)

#: A patient of a run, in the order of submission.
patients = Table(
    "patients",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("place", Integer, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("n_open", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", String(80)),
    Column("report", String(80)),
    UniqueConstraint("run_id", "place"),
)

#: A slide of a run. `stamp` is what its files were when they were first read; `result` the artefact of its record;
#: `reason` why it failed, or, of one that did not, which of its images it does without.
slides = Table(
    "slides",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("patient_row", Integer, ForeignKey("patients.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("place", Integer, nullable=False),
    Column("slide_id", Text, nullable=False),
    Column("path", Text, nullable=False, index=True),
    Column("source", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("error", String(64), nullable=False, default=""),
    Column("stamp", JSON),
    Column("n_open", Integer, nullable=False),
    Column("n_cells", Integer, nullable=False, default=0),
    Column("result", String(80)),
    Column("finished_at", Float),
    UniqueConstraint("run_id", "place"),
)

#: A unit of work. `rank` is low for late stages: what is begun is finished first. `task` is what it is to do (small
#: JSON), `output` the key of what it made.
chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("slide_row", Integer, ForeignKey("slides.id", ondelete="CASCADE")),
    Column("patient_row", Integer, ForeignKey("patients.id", ondelete="CASCADE")),
    Column("stage", String(16), nullable=False),
    Column("queue", String(8), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("place", Integer, nullable=False),
    Column("pool", String(64), nullable=False, default=""),
    Column("n_items", Integer, nullable=False, default=1),
    Column("task", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("ready_at", Float, nullable=False),
    Column("lease_until", Float),
    Column("worker", String(200), nullable=False, default=""),
    Column("n_deliveries", Integer, nullable=False, default=0),
    Column("n_failures", Integer, nullable=False, default=0),
    Column("n_losses", Integer, nullable=False, default=0),
    Column("output", String(80)),
    Column("is_reused", Boolean, nullable=False, default=False),
    Column("trouble", Text, nullable=False, default=""),
    Index("ix_chunks_todo", "run_id", "status", "queue", "rank", "id"),
    Index("ix_chunks_pool", "status", "pool"),
    Index("ix_chunks_slide", "slide_row", "stage", "place"),
)

#: What a state was told and others are to heed: a name, plain values.
told = Table("told", metadata, Column("name", String(64), primary_key=True), Column("value", JSON, nullable=False))

#: One line for each piece of work done, never changed: rates, estimates and metrics are read from it.
work = Table(
    "work",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", Integer, nullable=False, index=True),
    Column("stage", String(16), nullable=False),
    Column("worker", String(200), nullable=False),
    Column("at", Float, nullable=False, index=True),
    Column("seconds", Float, nullable=False),
    Column("n_chunks", Integer, nullable=False),
    Column("n_items", Integer, nullable=False),
    Column("n_slots", Integer, nullable=False, default=0),
    Column("outcome", String(32), nullable=False),
)

#: Values of `work.outcome`; any other is the kind of an error.
DONE, QUARANTINED, WORKER_LOST = "done", "quarantined", "worker_lost"

#: Workers that were heard of, and what they refuse: in words, and as (run, queue) pairs; no queue is every queue.
workers = Table(
    "workers",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("queues", String(64), nullable=False),
    Column("version", String(64), nullable=False),
    Column("device", String(64), nullable=False, default="cpu"),
    Column("seen_at", Float, nullable=False),
    Column("refuses", Text, nullable=False, default=""),
    Column("leaves", JSON, nullable=False, default=list, server_default="[]"),
)
