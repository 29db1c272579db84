"""Options that several of the queue's commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from smearscan.cli.state import given_state

if TYPE_CHECKING:
    from smearscan.store.location import Location

#: Half of what the sweeper takes for the lease of a clock that was set back.
_LONGEST_LEASE_S = 1800.0

lease_option = click.option(
    "--lease", type=click.FloatRange(1, _LONGEST_LEASE_S), default=60.0, show_default=True,
    help="Seconds after which the work of a worker that gives no sign of life is given to another.",
)  # fmt: skip
losses_option = click.option(
    "--most-losses", type=click.IntRange(min=1), default=20, show_default=True,
    help="Workers that one piece of work may lose before it is put aside.",
)  # fmt: skip
window_option = click.option(
    "--window", metavar="HH:MM-HH:MM", help="Hours in which routine work is done, local time; stat work always is."
)
keep_days_option = click.option(
    "--keep-days", type=click.FloatRange(min=0), default=14.0, show_default=True,
    help="Days that crops and other artefacts are kept; results are kept for ever.",
)  # fmt: skip
keep_gb_option = click.option(
    "--keep-gb", type=click.FloatRange(min=0), default=50.0, show_default=True, help="And gigabytes of them."
)
log_json_option = click.option("--log-json", is_flag=True, help="One JSON object a line in the log.")


def location(state: str | None) -> Location:
    """What `--state` names."""
    from smearscan.store.location import find_location

    return find_location(given_state(state))
