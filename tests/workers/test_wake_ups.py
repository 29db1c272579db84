"""Messages: as many as there is work, a few where nobody takes it, and nothing but the name of a queue in them."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis as redis_library
from pretended_night import hand_in, new_run, open_night, take, wanting
from servers import Redis

from smearscan.store.schema import chunks
from smearscan.store.state import State
from workers import sweeper
from workers.app import make_app
from workers.sweeper import Sweeping, sweep_once
from workers.wake import FEW, MANY, wake


@pytest.fixture
def night(tmp_path: Path, redis_server: Redis) -> Iterator[State]:
    """A state whose broker is a real one."""
    opened = open_night(f"sqlite:///{tmp_path / 'state.db'}", tmp_path)
    yield replace(opened, location=replace(opened.location, broker=redis_server.url))
    opened.database.close()


@pytest.fixture
def client(redis_server: Redis) -> Iterator[redis_library.Redis]:
    """Who looks into the broker."""
    opened = redis_library.Redis.from_url(redis_server.url)
    yield opened
    opened.close()


def test_a_submission_wakes_as_many_as_it_has_slides_and_the_same_again_wakes_nobody(
    night: State, client: redis_library.Redis
) -> None:
    hand_in(night, new_run([f"s{n}" for n in range(10)]))
    assert wake(make_app(night.location), night) == 10
    assert wake(make_app(night.location), night) == 0
    assert client.llen("cpu") == 10 and client.llen("gpu") == client.llen("io") == 0


def test_work_that_nobody_takes_is_asked_for_by_a_few(night: State, client: redis_library.Redis) -> None:
    """All day before the night's window, with thousands of slides ready, workers must not spin."""
    hand_in(night, new_run([f"s{n}" for n in range(200)]))
    app = make_app(night.location)
    for _ in range(3):
        sweep_once(app, night, most_losses=20)
    assert client.llen("cpu") == FEW


def test_once_somebody_takes_work_the_others_are_woken_too(night: State, client: redis_library.Redis) -> None:
    """Who took the first piece is at it for minutes, and tells nobody meanwhile."""
    (run,) = hand_in(night, new_run([f"s{n}" for n in range(200)]))
    assert take(night.database, wanting(run))
    sweep_once(make_app(night.location), night, most_losses=20)
    assert client.llen("cpu") == MANY


def test_a_message_holds_the_name_of_a_queue_and_nothing_of_a_slide(night: State, client: redis_library.Redis) -> None:
    hand_in(night, new_run(["Mustermann"], laboratory="Mustermann"))
    wake(make_app(night.location), night)
    (message,) = client.lrange("cpu", 0, -1)
    body = base64.b64decode(json.loads(message)["body"])
    assert json.loads(body)[0] == ["cpu"]
    assert b"Mustermann" not in message + body
    assert json.loads(message)["content-type"] == "application/json"


def test_a_broker_that_is_away_is_said_and_ends_nothing(night: State, caplog: pytest.LogCaptureFixture) -> None:
    hand_in(night, new_run(["a"]))
    away = replace(night, location=replace(night.location, broker="redis://127.0.0.1:1/0"))
    assert wake(make_app(away.location), away) == 0
    assert "the broker is away" in caplog.text and "start `smearscan up`, or Redis" in caplog.text


def test_a_long_look_for_old_artefacts_keeps_no_lost_work_waiting(
    night: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Millions of them take minutes to walk over."""
    walking, over = threading.Event(), threading.Event()

    def walk(*_: object) -> None:
        walking.set()
        over.wait(60)

    monkeypatch.setattr(sweeper, "remove_old", walk)
    (run,) = hand_in(night, new_run(["a"]))
    sweeping = Sweeping(every_s=0.05, tidy_every_s=0.0)
    thread = threading.Thread(target=sweeper.run_sweeper, args=(night.location, sweeping, over))
    thread.start()
    try:
        assert walking.wait(30)
        (held,) = take(night.database, wanting(run))
        with night.database.transaction() as connection:
            connection.execute(chunks.update().where(chunks.c.id == held.id).values(lease_until=1.0))
        end = time.monotonic() + 30
        while not take(night.database, wanting(run)):
            assert time.monotonic() < end, "it was not given back"
            time.sleep(0.05)
    finally:
        over.set()
        thread.join(30)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sweeper_that_cannot_tidy_any_more_ends_to_be_started_again(
    night: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sweeper, "remove_old", fail)
    with pytest.raises(RuntimeError, match="nobody removes old artefacts"):
        sweeper.run_sweeper(night.location, Sweeping(every_s=0.05, tidy_every_s=0.0), threading.Event())
