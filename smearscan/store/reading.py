"""A state's database opened to look at it: never in the way of those who write, never changed."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy import Connection, Engine, event

from smearscan.store.database import Database, parse_address, postgresql_engine

#: Seconds that one statement may take before PostgreSQL ends it.
_PATIENCE_S = 5


def open_reader(url: str) -> Database:
    """Open for reading; nothing is connected before the first transaction, and no table is made.

    All that one transaction reads is of one moment.

    Raises
    ------
    SettingsError
        If the address is of no database that is supported.
    """
    parsed = parse_address(url)
    return Database(_sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed))


def _sqlite(url: sqlalchemy.URL) -> Engine:
    # mode=rw: a file that is not there is not made. (Read-only mode could not open one that was left by a crash.)
    file = url.set(database=f"file:{quote(url.database or '')}", query={"mode": "rw", "uri": "true"})
    engine = sqlalchemy.create_engine(file, connect_args={"timeout": _PATIENCE_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA query_only=ON").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction waits for no writer, and sees one snapshot of the write-ahead log.
        connection.exec_driver_sql("BEGIN")

    return engine


def _postgresql(url: sqlalchemy.URL) -> Engine:
    engine = postgresql_engine(url)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{_PATIENCE_S}s'")

    return engine
