"""The state's database: SQLite beside the artefacts, or PostgreSQL when workers are on several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
import sqlalchemy.exc
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from smearscan.errors import SettingsError, TransientError

T = TypeVar("T")

#: Seconds a statement waits for another writer of the same SQLite file.
_BUSY_S = 30
#: Seconds after which PostgreSQL ends a transaction whose client says nothing more.
_IDLE_S = 60
#: How a connection finds out within half a minute that the server's host is gone; the kernel would take hours.
_CONNECTION = {
    "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}  # fmt: skip
#: Option of a connection that only looks.
_ONLY_READS = "smearscan_only_reads"
#: Seconds that work already done waits for a database that is away, before it is given up.
PATIENCE_S = 120.0
#: How the tables came to be as they are.
MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """Transactions on one engine; made by `open_database`.

    Parameters
    ----------
    engine
        SQLite or PostgreSQL.
    patience_s
        Seconds that `run` waits for a database that is away.
    """

    def __init__(self, engine: Engine, patience_s: float = PATIENCE_S) -> None:
        self.engine = engine
        self._patience_s = patience_s

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file, with one writer at a time."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Everything or nothing.

        Raises
        ------
        TransientError
            If the database is away, full, or busy for longer than it may be.
        """
        with _as_ours(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A look, in the way of nobody: a file's writers are not waited for, and do not wait.

        Raises
        ------
        TransientError
            As `transaction`.
        """
        looks = {_ONLY_READS: True}
        with _as_ours(), self.engine.connect() as connection, connection.execution_options(**looks).begin():
            yield connection

    def run(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call `work(connection, ...)` in a transaction, again while the database is away.

        A transaction whose commit was cut off may have taken effect: `work` must be one that can be repeated.
        """
        return self._again(self.transaction, work, *arguments, **named)

    def read(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call `work(connection, ...)`, which writes nothing, again while the database is away."""
        return self._again(self.reading, work, *arguments, **named)

    def _again(
        self,
        begin: Callable[[], AbstractContextManager[Connection]],
        work: Callable[..., T],
        *arguments: Any,
        **named: Any,
    ) -> T:
        again = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, TransientError)),
            wait=wait_random_exponential(0.05, max=2.0),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        )

        def once() -> T:
            with begin() as connection:
                return work(connection, *arguments, **named)

        return again(once)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


@contextmanager
def _as_ours() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if is_passing(error):
            raise _passing(error) from error
        raise


def _passing(error: DBAPIError) -> TransientError:
    line = _first_line(error)
    if "disk is full" in line:
        return TransientError("the disk that the state's database is on is full", "free some space and run again")
    return TransientError(f"the database is away: {line}", "it is tried again")


def is_passing(error: DBAPIError) -> bool:
    """Whether a database's error is one that passes: away, full, locked, restarted, two that waited for each other."""
    return isinstance(error, OperationalError) or bool(error.connection_invalidated)


def open_database(url: str, *, patience_s: float = PATIENCE_S) -> Database:
    """Open a database and bring its tables up to date.

    Raises
    ------
    SettingsError
        If the address is of no database that is supported, or the tables are newer than this version.
    TransientError
        If it cannot be reached.
    """
    engine = _engine(url)
    database = Database(engine, patience_s)
    try:
        _migrate(database)
    except SettingsError:
        database.close()
        raise
    except OperationalError as error:
        database.close()
        shown = engine.url.render_as_string(hide_password=True)
        raise TransientError(
            f"{shown} cannot be opened: {_first_line(error)}", "start the database, or name another --state"
        ) from error
    return database


def parse_address(url: str) -> sqlalchemy.URL:
    """An address of a database that is supported.

    Raises
    ------
    SettingsError
        If it is none.
    """
    try:
        parsed = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise SettingsError(f"{url!r} is no database address", "name a folder, or postgresql://…") from error
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise SettingsError(f"{parsed.get_backend_name()} is not supported", "use a folder (SQLite) or postgresql://…")
    return parsed


def _engine(url: str) -> Engine:
    parsed = parse_address(url)
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else postgresql_engine(parsed)


def postgresql_engine(url: sqlalchemy.URL) -> Engine:
    """An engine that finds out by itself when the server was restarted.

    Raises
    ------
    SettingsError
        If the driver is not installed.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "PostgreSQL needs its driver, which is absent", "pip install 'smearscan[postgresql]'"
        ) from error
    given = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    engine = sqlalchemy.create_engine(
        # Parameters name patients; an error's text may reach a log.
        url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, pool_size=2, connect_args=given,
        hide_parameters=True,
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _: Any) -> None:
        # A host that is cut off in the middle of a transaction must not keep its locks until TCP gives it up.
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_S}s'")
        connection.commit()

    return engine


def _sqlite(url: sqlalchemy.URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sqlalchemy.create_engine(url, connect_args={"timeout": _BUSY_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _settle(connection: Any, _: Any) -> None:
        # The driver's own BEGIN comes too late for "immediate"; `_begin` below writes it.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not be upgraded beside another writer.
        reads = connection.get_execution_options().get(_ONLY_READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _migrate(database: Database) -> None:
    if _revision(database) == newest_revision():
        return  # as nearly always: nobody is waited for, and a tenth of a second's import is spared
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    with database.engine.begin() as connection:
        if not database.is_sqlite:  # two that start at once must not both create the tables
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(5317)"))
        found = MigrationContext.configure(connection).get_current_revision()
        if found == script.get_current_head():
            return
        if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
            raise SettingsError(
                f"the state's tables are of revision {found}, newer than this smearscan knows", "upgrade smearscan"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(database: Database) -> str | None:
    """The revision that a database's tables are of; None where it has none."""
    with database.engine.connect() as connection, connection.execution_options(**{_ONLY_READS: True}).begin():
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()


def newest_revision() -> str:
    """The revision that the tables are brought to: its number is the name of the last migration's file."""
    return max(path.name for path in (MIGRATIONS / "versions").glob("r*.py"))[1:5]


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", error)).strip().splitlines()[0] if str(error).strip() else type(error).__name__
