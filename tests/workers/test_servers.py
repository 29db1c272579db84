"""The servers that other tests lean on do what these say of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from servers import PostgreSQL, Redis
from sqlalchemy import text

from smearscan.errors import TransientError
from smearscan.store.database import open_database


def test_a_fresh_database_opens_empty_on_either_kind(database_url: str) -> None:
    database = open_database(database_url)
    with database.transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM runs")).scalar_one() == 0
    database.close()


def test_two_databases_share_nothing(fresh_postgresql: Callable[[], str]) -> None:
    assert fresh_postgresql() != fresh_postgresql()


def test_a_postgresql_that_was_killed_comes_back_with_what_it_held(
    postgresql_server: PostgreSQL, fresh_postgresql: Callable[[], str]
) -> None:
    database = open_database(fresh_postgresql(), patience_s=10)
    insert = text("INSERT INTO laboratories (name, served) VALUES ('north', 0)")
    with database.transaction() as connection:
        connection.execute(insert)
    postgresql_server.kill()
    try:
        with pytest.raises(TransientError), database.transaction() as connection:
            connection.execute(text("SELECT 1"))
    finally:
        postgresql_server.start()
    with database.transaction() as connection:
        assert connection.execute(text("SELECT name FROM laboratories")).scalar_one() == "north"
    database.close()


def test_a_redis_restarted_empty_has_forgotten(redis_server: Redis) -> None:
    client = redis.Redis.from_url(redis_server.url)
    client.set("kept", "1")
    redis_server.restart_empty()
    assert client.get("kept") is None
    client.close()
