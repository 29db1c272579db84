"""What a state was told and others are to heed: a value under a name, small and plain."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from smearscan.store.inserts import insert_into
from smearscan.store.schema import told


def tell(connection: Connection, name: str, value: Any) -> None:
    """Write a value of JSON's kinds under a name; what was told last holds."""
    said = insert_into(connection, told).values(name=name, value=value)
    connection.execute(said.on_conflict_do_update(index_elements=["name"], set_={"value": said.excluded.value}))


def tell_once(connection: Connection, name: str, value: Any) -> None:
    """Write a value under a name, unless somebody has."""
    if heard(connection, name) is None:
        connection.execute(insert_into(connection, told).values(name=name, value=value).on_conflict_do_nothing())


def heard(connection: Connection, name: str) -> Any:
    """What was told under a name; None where nothing was."""
    return connection.execute(select(told.c.value).where(told.c.name == name)).scalar()
