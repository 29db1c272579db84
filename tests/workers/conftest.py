"""The queue's tests: a private PostgreSQL and Redis where they are installed, a fresh database for every test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from pretended_night import open_night
from screened import screen_here
from servers import PostgreSQL, Redis, short_folder

from smearscan.settings import Settings
from smearscan.store.database import Database
from smearscan.store.location import find_location
from smearscan.store.reading import open_reader
from smearscan.store.state import State, open_state
from smearscan.submission import gather
from smearscan.synth import write_smear


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A PostgreSQL of these tests alone; a test that stops it starts it again."""
    if not PostgreSQL.is_here():
        # tests/run installs it where it may; a machine without root and PostgreSQL still has every test on SQLite.
        pytest.skip(
            "no PostgreSQL, a system package: the same tests run on SQLite (Debian: apt-get install postgresql)"
        )
    folder = short_folder("smearscan-postgresql")
    server = PostgreSQL(folder)
    try:
        server.make()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgresql_url(postgresql_server: PostgreSQL) -> str:
    """Address of a server's maintenance database; a test takes `fresh_postgresql`."""
    return postgresql_server.url


@pytest.fixture
def fresh_postgresql(postgresql_server: PostgreSQL) -> Iterator[Callable[[], str]]:
    """Makes empty databases, dropped after the test; gives their addresses."""
    made: list[str] = []

    def make() -> str:
        made.append(f"smearscan_{next(_NUMBERS)}")
        return postgresql_server.create(made[-1])

    yield make
    for name in made:
        postgresql_server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind: its test runs once on each."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    make: Callable[[], str] = request.getfixturevalue("fresh_postgresql")
    return make()


@pytest.fixture
def night(database_url: str, tmp_path: Path) -> Iterator[State]:
    """The state of a night without pictures, nothing submitted yet."""
    state = open_night(database_url, tmp_path)
    yield state
    state.database.close()


@pytest.fixture
def reader(night: State) -> Iterator[Database]:
    """The database of `night` as one sees it who only looks."""
    opened = open_reader(night.location.database)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def redis_process() -> Iterator[Redis]:
    """A Redis of these tests alone; a test that stops it starts it again."""
    folder = short_folder("smearscan-redis")
    server = Redis(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def redis_server(redis_process: Redis) -> Redis:
    """The same Redis, empty."""
    import redis

    client = redis.Redis.from_url(redis_process.url)
    client.flushall()
    client.close()
    return redis_process


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan."""
    path = tmp_path_factory.mktemp("smear") / "a.tif"
    write_smear(path, 700, 600, 3, mpp=0.2, cells_per_mm2=900.0, layout="field")
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, smear: Path) -> Iterator[State]:
    """A state in which that scan was screened with the default settings."""
    opened = open_state(find_location(str(tmp_path_factory.mktemp("state"))))
    screen_here(opened, gather([smear]), Settings())
    yield opened
    opened.database.close()


_NUMBERS = count(1)
