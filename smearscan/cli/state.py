"""`--state`: where runs, results and artefacts are kept; the same option at every command."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from smearscan.store.state import State

Command = TypeVar("Command", bound=Callable[..., Any])

#: Adds `--state` to a command.
state_option = click.option(
    "--state",
    metavar="DIR|URL",
    help="Where runs and results are kept: a folder, or postgresql://…?artefacts=…&broker=…. "
    "Unless said, a folder of the user's data.",
)


def given_state(state: str | None) -> str:
    """The address asked for, or the user's data folder."""
    from platformdirs import user_data_path

    return state or str(user_data_path("smearscan", appauthor=False))


def open_given(state: str | None) -> State:
    """Open what `--state` names.

    Raises
    ------
    SettingsError, TransientError
        If an address is wrong, or what it names is away.
    """
    from smearscan.store.location import find_location
    from smearscan.store.state import open_state

    return open_state(find_location(given_state(state)))
