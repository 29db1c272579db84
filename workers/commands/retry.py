"""`smearscan retry`."""

from __future__ import annotations

import sys

import click

from smearscan.cli.state import state_option
from workers.commands.options import location


@click.command("retry")
@click.argument("run", default="last")
@click.option("--wait", is_flag=True, help="Wait until it is done; exit 0 only if every slide succeeded.")
@state_option
def command(run: str, wait: bool, state: str | None) -> None:
    """Try the failed and quarantined slides of a run again, and those alone; RUN is its name, or `last`."""
    from smearscan.errors import SettingsError
    from smearscan.stages.makers import is_made_here
    from smearscan.stages.results import forget_lost
    from smearscan.stages.table import STAGES
    from smearscan.store.runs import find_run, retry
    from smearscan.store.state import open_state
    from workers.app import make_app
    from workers.commands.follow import follow
    from workers.wake import wake

    where = location(state)
    opened = open_state(where, patience_s=10.0)
    found = opened.database.read(find_run, run)
    if not is_made_here(found):
        raise SettingsError(
            f"run {found.name} has the code, cards and weights of smearscan {found.version}, and these differ",
            "submit its slides again; of the run, what was done can still be exported",
        )
    forget_lost(opened, found.id)
    n = opened.database.run(retry, found.id, STAGES["survey"].chunk(), STAGES["aggregate"].chunk())
    click.echo(f"run {found.name}: {n} slides are tried again")
    wake(make_app(where), opened)
    if wait:
        sys.exit(follow(opened, found.id))
