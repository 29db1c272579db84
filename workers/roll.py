"""The roll of workers: who was heard of, and what they refuse, for `smearscan status` and the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, update

from smearscan import __version__
from smearscan.stages.execute import Worker
from smearscan.store.clock import now
from smearscan.store.schema import workers

#: Seconds between signs of life.
_EVERY_S = 5.0
#: Seconds after which a worker that was not heard of is struck off.
_FORGET_S = 24 * 3600.0
_signed: dict[str, float] = {}


def sign_in(worker: Worker, queues: tuple[str, ...]) -> None:
    """Say that a worker lives, at most every few seconds."""
    name = worker.wanted.worker
    if time.monotonic() - _signed.get(name, -_EVERY_S) >= _EVERY_S:
        _signed[name] = time.monotonic()
        refuses = {"refuses": "; ".join(worker.refusals.values()), "leaves": sorted(worker.left)}
        worker.state.database.run(_sign, name, ",".join(queues), device(), refuses)


def device() -> str:
    """What this process computes on."""
    import torch

    return torch.cuda.get_device_name()[:64] if torch.cuda.is_available() else "cpu"


def _sign(connection: Connection, name: str, queues: str, on: str, refuses: Mapping[str, Any]) -> None:
    time_now = now(connection)
    values = {"queues": queues, "version": __version__, "device": on, "seen_at": time_now, **refuses}
    moved = connection.execute(update(workers).where(workers.c.name == name).values(values))
    if not moved.rowcount:
        connection.execute(insert(workers).values(name=name, **values))
        connection.execute(delete(workers).where(workers.c.seen_at < time_now - _FORGET_S))
