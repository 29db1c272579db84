"""`smearscan sweep`."""

from __future__ import annotations

import click

from smearscan.cli.state import state_option
from workers.commands.options import keep_days_option, keep_gb_option, location, log_json_option, losses_option


@click.command("sweep")
@click.option(
    "--every", type=click.FloatRange(min=0.05), default=1.0, show_default=True, help="Seconds between rounds."
)
@losses_option
@keep_days_option
@keep_gb_option
@log_json_option
@state_option
def command(
    every: float, most_losses: int, keep_days: float, keep_gb: float, log_json: bool, state: str | None
) -> None:
    """Give back what lost workers had, and wake workers where work waits; runs until told to stop."""
    from smearscan.stages.retention import Retention
    from workers.logs import set_up
    from workers.sweeper import Sweeping, run_sweeper

    set_up(log_json)
    run_sweeper(location(state), Sweeping(every, most_losses, Retention(keep_days, keep_gb)))
