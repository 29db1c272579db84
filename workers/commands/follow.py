"""Wait for a run on a terminal or in a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from smearscan.cli.progress import Progress

if TYPE_CHECKING:
    from smearscan.store.state import State

_LOOK_S = 0.5


def follow(state: State, run_id: int) -> int:
    """Show progress until a run is over; a database that is away meanwhile is waited for.

    Returns
    -------
    int
        0 if every image of every slide was screened and everything was written, else 1.
    """
    from smearscan.errors import TransientError
    from smearscan.stages.progress import run_progress

    with Progress("screening") as bar:
        while True:
            try:
                progress = state.database.read(run_progress, run_id)
            except TransientError as error:
                click.echo(f"{error}", err=True)
                time.sleep(_LOOK_S)
                continue
            ended = progress.n_done + progress.n_failed
            note = f"{ended} of {progress.n_slides} slides, {progress.n_cells:,} cells"
            bar.update(progress.fraction * progress.n_slides, progress.n_slides, note)
            if progress.is_over:
                break
            time.sleep(_LOOK_S)
    click.echo(f"{progress.state}: {progress.n_done} slides done{progress.but_for}, {progress.n_failed} failed")
    if progress.n_failed or progress.n_partial:
        click.echo("not everything was screened: `smearscan status last` and slides.csv say what and why", err=True)
    if progress.n_pageless or progress.is_unwritten:
        click.echo("not every page or file was made: `smearscan status last` says which and why", err=True)
    return 0 if progress.is_whole else 1
