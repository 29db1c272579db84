"""Give back what was on lease to workers that are gone; several may sweep at once.

A lease counts as run out when its end is past, and also when it lies further ahead than any lease can: then a
clock was set back, and waiting for it would be waiting for ever.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from smearscan.store.clock import now
from smearscan.store.schema import WORKER_LOST, chunks, work

#: Longer than any lease, seconds.
LONGEST_LEASE_S = 3600.0
#: Longer than any chunk is made to wait for its next try, seconds.
_LONGEST_WAIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Swept:
    """A chunk whose worker was lost; `is_quarantined` when it has lost too many."""

    chunk_id: int
    worker: str
    n_losses: int
    is_quarantined: bool


def worker_name() -> str:
    """This process as leases know it: host, process id, and when it began, since ids are used again."""
    return f"{_host()}/{os.getpid()}/{_began(os.getpid())}"


def _began(process: int) -> str:
    """When a process began; on Linux since the machine was started, so that setting the clock changes nothing.

    A time of day is worked out from the clock as it stands now: after a jump all that live would seem to be others.
    """
    import psutil

    if sys.platform != "linux":
        return f"{psutil.Process(process).create_time():.2f}"
    try:
        fields = Path(f"/proc/{process}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError) as error:
        raise psutil.NoSuchProcess(process) from error
    # The 22nd of all, as proc(5) counts them: the name, which may hold spaces, is the second.
    return f"{int(fields[19]) / os.sysconf('SC_CLK_TCK'):.2f}"


def _host() -> str:
    # Containers may share the name of their host, and not its process ids.
    space = str(Path("/proc/self/ns/pid").readlink()) if sys.platform == "linux" else ""
    return f"{socket.gethostname()}{space.removeprefix('pid:')}"


def is_gone(worker: str) -> bool:
    """Whether a worker of this host is certainly dead; False for workers of other hosts, which a lease must tell."""
    import psutil

    host, process, began = worker.rsplit("/", 2)
    if host != _host():
        return False
    try:
        return psutil.Process(int(process)).status() == psutil.STATUS_ZOMBIE or _began(int(process)) != began
    except psutil.NoSuchProcess:
        return True


def sweep(connection: Connection, most_losses: int, run_id: int | None = None) -> list[Swept]:
    """Make ready again what lost its worker; what lost `most_losses` of them is marked ``lost``, for the caller."""
    time = now(connection)
    _heed_clock_set_back(connection, time)
    columns = (chunks.c.id, chunks.c.run_id, chunks.c.stage, chunks.c.worker, chunks.c.lease_until, chunks.c.n_losses)
    query = select(*columns, chunks.c.n_deliveries).where(chunks.c.status == "running")
    if run_id is not None:
        query = query.where(chunks.c.run_id == run_id)
    swept = []
    for row in connection.execute(query.order_by(chunks.c.id)).all():
        has_run_out = not time <= row.lease_until <= time + LONGEST_LEASE_S
        if not has_run_out and not is_gone(row.worker):
            continue
        n_losses = row.n_losses + 1
        status = "lost" if n_losses >= most_losses else "ready"
        moved = connection.execute(
            update(chunks)
            .where(chunks.c.id == row.id, chunks.c.status == "running", chunks.c.n_deliveries == row.n_deliveries)
            .values(status=status, n_losses=n_losses, ready_at=time, lease_until=None)
        )
        if moved.rowcount:
            lost = {"run_id": row.run_id, "stage": row.stage, "worker": row.worker, "at": time, "seconds": 0.0}
            connection.execute(insert(work).values(**lost, n_chunks=1, n_items=0, outcome=WORKER_LOST))
            swept.append(Swept(row.id, row.worker, n_losses, status == "lost"))
    return swept


def _heed_clock_set_back(connection: Connection, time: float) -> None:
    """What would be ready only when the clock is where it was before is ready now."""
    ahead = (chunks.c.status == "ready") & (chunks.c.ready_at > time + _LONGEST_WAIT_S)
    connection.execute(update(chunks).where(ahead).values(ready_at=time))


def lost_chunks(connection: Connection, run_id: int | None = None) -> list[int]:
    """Chunks marked ``lost``: their slides are to fail."""
    query = select(chunks.c.id).where(chunks.c.status == "lost")
    return list(connection.execute(query if run_id is None else query.where(chunks.c.run_id == run_id)).scalars())


def waits_for(connection: Connection, run_id: int) -> str:
    """What a run waits for that was to pass, such as room on a disk; empty while any of it is being worked on."""
    of_run = select(chunks.c.trouble).where(chunks.c.run_id == run_id)
    if connection.execute(of_run.where(chunks.c.status == "running").limit(1)).first() is not None:
        return ""
    waiting = of_run.where(chunks.c.status == "ready", chunks.c.n_failures == 0, chunks.c.trouble != "")
    return connection.execute(waiting.order_by(chunks.c.id).limit(1)).scalar() or ""
