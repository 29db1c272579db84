"""`smearscan watch`."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.state import state_option
from workers.commands.options import kept_by_databases, laboratory_option, location, log_json_option

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from smearscan.store.state import State
    from smearscan.store.submit import NewRun
    from workers.watch import Known

log = logging.getLogger(__name__)


@click.command("watch")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--worksheet", type=GivenPath(), help="CSV that names patients; read again at every look.")
@click.option("--preset", default="default", show_default=True, help="Name of a preset, or a TOML file.")
@click.option("--priority", type=click.Choice(["stat", "routine"]), default="routine", show_default=True)
@laboratory_option
@click.option(
    "--out",
    type=GivenPath(),
    callback=kept_by_databases,
    help="Folder in which each run gets a folder for its files.",
)
@click.option("--every", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds between looks.")
@click.option("--settle", type=click.FloatRange(min=0), default=20.0, show_default=True,
              help="Seconds that a file must not change before it is taken for finished.")  # fmt: skip
@log_json_option
@state_option
def command(
    folder: Path, worksheet: Path | None, preset: str, priority: str, laboratory: str, out: Path | None, every: float,
    settle: float, log_json: bool, state: str | None,
) -> None:  # fmt: skip
    """Submit the slides that appear in FOLDER, once each is written to its end; runs until told to stop.

    With a worksheet a patient is submitted when all slides listed for them are there; without one each file is a
    patient of its own. A slide that is replaced later is submitted again.
    """
    from smearscan.errors import TransientError
    from smearscan.lending import lend_scales
    from smearscan.settings import load_settings
    from smearscan.stages.submission import new_run
    from smearscan.store.claims import ROUTINE, STAT
    from smearscan.store.state import open_state
    from workers.app import make_app
    from workers.logs import set_up
    from workers.wake import wake
    from workers.watch import Watch

    set_up(log_json)
    where = location(state)
    opened, app, settings = open_state(where), make_app(where), load_settings(preset)
    watch = Watch(folder.absolute(), worksheet and worksheet.absolute(), settle, _submitted(opened, laboratory))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    while not over.wait(every):
        submission = watch.look()
        if submission is None:
            continue
        try:
            new = new_run(
                lend_scales(submission, settings),
                settings,
                preset,
                laboratory=laboratory,
                priority=STAT if priority == "stat" else ROUTINE,
            )
            run_id = opened.database.run(submit_into, new, out and out.absolute())
        except (TransientError, OSError) as error:  # the database, or the share that the slides are on
            log.warning("not submitted yet: %s", error if isinstance(error, TransientError) else error.strerror)
            watch.forget(submission)  # it is found again at the next look
            continue
        click.echo(f"run r{run_id}: {len(submission.sources)} slides", err=True)
        for slide in new.slides:
            if others := slide.source["given_for_too"]:  # ids alone: a file may be named after its patient
                log.warning("the same scan was given for patient %s and for %s", slide.patient_id, others)
        try:
            wake(app, opened)
        except TransientError as error:  # the sweeper wakes them when the database is back
            log.warning("%s", error)


def _submitted(opened: State, laboratory: str) -> dict[str, Known]:
    """The slides that earlier watches submitted, so that a restart submits nothing twice."""
    from sqlalchemy import select

    from smearscan.store.schema import patients, runs, slides

    query = (
        select(slides.c.path, slides.c.stamp, patients.c.patient_id)
        .join(patients, patients.c.id == slides.c.patient_row)
        .join(runs, runs.c.id == slides.c.run_id)
        .where(runs.c.laboratory == laboratory, slides.c.stamp.is_not(None), runs.c.state != "cancelled")
        .order_by(slides.c.id)
    )
    with opened.database.reading() as connection:
        return {row.path: (row.stamp, row.patient_id) for row in connection.execute(query) if row.stamp}


def submit_into(connection: Connection, new: NewRun, out: Path | None) -> int:
    """Submit a run whose files go into a folder of its own in `out`: both or neither."""
    from sqlalchemy import update

    from smearscan.store.schema import runs
    from smearscan.store.submit import submit

    run_id, _ = submit(connection, new)
    if out is not None:
        unsaid = (runs.c.id == run_id) & (runs.c.out == "")
        connection.execute(update(runs).where(unsaid).values(out=str(out / f"r{run_id}")))
    return run_id
