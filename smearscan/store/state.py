"""A state that is open: its database and its artefacts."""

from __future__ import annotations

from dataclasses import dataclass

from smearscan.store.artefact_stores import open_artefacts
from smearscan.store.artefacts import Artefacts
from smearscan.store.database import PATIENCE_S, Database, open_database
from smearscan.store.guarded import GuardedArtefacts
from smearscan.store.location import Location


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What is to be done, what was done, and what it made."""

    location: Location
    database: Database
    artefacts: Artefacts


def open_state(location: Location, patience_s: float = PATIENCE_S) -> State:
    """Open database and artefacts; the tables are made or brought up to date.

    Raises
    ------
    SettingsError, TransientError
        If an address is wrong, or what it names is away.
    """
    database = open_database(location.database, patience_s=patience_s)
    return State(location, database, GuardedArtefacts(open_artefacts(location.artefacts), database))
