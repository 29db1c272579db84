"""`smearscan status`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from smearscan.cli.state import open_given, state_option

if TYPE_CHECKING:
    from smearscan.stages.status import RunStatus, WorkerStatus
    from smearscan.store.database import Database

#: Open runs that are told one by one: a folder that is watched makes many.
_MOST_RUNS = 20
#: Seconds between looks of who follows.
_LOOK_S = 5.0


@click.command("status")
@click.argument("run", required=False)
@click.option("--follow", "is_followed", is_flag=True, help="Say it again every few seconds until the run is over.")
@state_option
def command(run: str | None, is_followed: bool, state: str | None) -> None:
    """Say how far runs are, what failed and why: RUN is a name, or `last`; all that are open unless said."""
    from smearscan.errors import TransientError
    from smearscan.store.reading import open_reader

    opened = open_given(state)  # which also says what is wrong with it, and makes a new one
    reader = open_reader(opened.location.database)
    opened.database.close()
    followed: list[str] = []
    while True:
        try:
            found, n_more, heard = _read(reader, run, followed)
            closed = _closed_window(reader)
        except TransientError as error:  # a database that is away for a while ends nobody's following
            if not is_followed:
                raise
            click.echo(f"{error}\n", err=True)
            time.sleep(_LOOK_S)
            continue
        click.echo("\n\n".join(_lines(one, closed) for one in found) or "no run is open; name one, or `last`")
        if n_more:
            click.echo(f"\nand {n_more} older open runs: name one to see it")
        click.echo(_worker_lines(heard))
        followed = [one.run.name for one in found if not one.progress.is_over]
        if not is_followed or not followed:
            return
        time.sleep(_LOOK_S)
        click.echo("")


def _read(
    reader: Database, name: str | None, followed: Sequence[str] = ()
) -> tuple[list[RunStatus], int, list[WorkerStatus]]:
    """The run of a name, or those that are open; one that was followed and has ended since is told once more."""
    from smearscan.stages.status import run_status, workers_heard_of
    from smearscan.store.runs import find_run, open_runs

    with reader.transaction() as connection:
        named = [find_run(connection, one) for one in ([name] if name else followed)]
        runs = {run.id: run for run in [*named, *([] if name else open_runs(connection))]}
        shown = [runs[run_id] for run_id in sorted(runs)][-_MOST_RUNS:]
        return [run_status(connection, run) for run in shown], len(runs) - len(shown), workers_heard_of(connection)


def _closed_window(reader: Database) -> str:
    """The hours of routine work, while they have not come; else ""."""
    from workers.window import Window, told_window

    with reader.transaction() as connection:
        told = told_window(connection)
    return "" if Window.parse(told).is_open() else told


def _lines(status: RunStatus, closed: str = "") -> str:
    run, progress = status.run, status.progress
    what = "stat" if run.priority == 0 else "routine"
    lines = [
        f"run {run.name} ({what}, {run.laboratory}): {progress.state}, {progress.fraction:.0%}; "
        f"{progress.n_done} of {progress.n_slides} slides done{progress.but_for}, {progress.n_failed} failed; "
        f"{progress.n_reported} of {progress.n_patients} patients reported; {progress.n_cells:,} cells"
    ]
    if not progress.is_over:
        rate = f"{status.cells_per_s:.1f} cells/s" if status.cells_per_s else "no cell judged lately"
        left = "no estimate yet" if status.seconds_left is None else f"about {_span(status.seconds_left)} left"
        lines.append(f"  {rate}; {left}")
        if closed and run.priority != 0:
            lines.append(f"  routine work waits for the window {closed}")
    lines += [
        f"  {stage.name:<10} ready {stage.n_ready:>6}  running {stage.n_running:>4}  done {stage.n_done:>6}"
        f"  (found made {stage.n_reused})  failed {stage.n_failed}"
        for stage in status.stages
    ]
    lines += [f"  to be tried again: {stage} ({n}): {why}" for stage, n, why in status.waiting]
    lines += [f"  failed: {failure.slide_id}: {failure.reason}" for failure in status.failures]
    lines += [f"  done but for: {slide}: {loss}" for slide, loss in status.losses]
    lines += [f"  not made: {f'page of {patient}' if patient else 'files'}: {why}" for patient, why in status.unmade]
    if status.n_failures_hidden > 0:
        lines.append(f"  and {status.n_failures_hidden} more failed slides, see slides.csv of `smearscan export`")
    return "\n".join(lines)


def _worker_lines(heard: list[WorkerStatus]) -> str:
    devices = Counter(worker.device for worker in heard)
    on = ", ".join(f"{n} on {device}" for device, n in sorted(devices.items()))
    lines = [f"{len(heard)} worker processes heard of lately" + (f": {on}" if on else "")]
    lines += [f"  {worker.name} ({worker.device}) refuses: {worker.refuses}" for worker in heard if worker.refuses]
    return "\n".join(lines)


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min" if minutes else "a minute"
