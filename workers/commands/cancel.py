"""`smearscan cancel`."""

from __future__ import annotations

import click

from smearscan.cli.state import open_given, state_option


@click.command("cancel")
@click.argument("run")
@state_option
def command(run: str, state: str | None) -> None:
    """Stop a run: RUN is its name, or `last`. What is being worked on ends, the rest is dropped."""
    from smearscan.store.runs import cancel, find_run

    opened = open_given(state)
    found = opened.database.read(find_run, run)
    n_dropped = opened.database.run(cancel, found.id)
    click.echo(f"run {found.name} was {found.state} before; {n_dropped} pieces of work dropped")
