"""Options that several of the queue's commands have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.state import given_state
from smearscan.store.text import storable

if TYPE_CHECKING:
    from smearscan.store.location import Location

#: Characters of a laboratory's name that every database keeps.
_LONGEST_NAME = 200
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


def _named(_: click.Context, __: click.Parameter, value: str) -> str:
    if not (0 < len(value) <= _LONGEST_NAME and value.isprintable()):
        raise click.BadParameter(f"a name of 1 to {_LONGEST_NAME} printable characters")
    return value


def kept_by_databases(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """A folder whose name can be written down; a callback of its option."""
    if value is not None and storable(str(value)) != str(value):
        raise click.BadParameter("no database keeps this name: it is not UTF-8. Choose another folder")
    return value


laboratory_option = click.option(
    "--laboratory",
    default="laboratory",
    show_default=True,
    callback=_named,
    help="Whose batch it is; they share fairly.",
)
log_json_option = click.option("--log-json", is_flag=True, help="One JSON object a line in the log.")


def location(state: str | None) -> Location:
    """What `--state` names."""
    from smearscan.store.location import find_location

    return find_location(given_state(state))
