"""The log: what it says, and what never gets into it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from smearscan.bound import bound, bound_fields
from smearscan.errors import OutputError
from workers.logs import set_up

log = logging.getLogger("smearscan.test")


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    before = (
        list(root.handlers),
        root.level,
        {name: logging.getLogger(name).level for name in ("smearscan", "workers")},
    )
    yield
    logging.captureWarnings(False)
    root.handlers[:], level, levels = before
    root.setLevel(level)
    for name, of_logger in levels.items():
        logging.getLogger(name).setLevel(of_logger)


def _lines(is_json: bool) -> io.StringIO:
    stream = io.StringIO()
    set_up(is_json, stream)
    return stream


def test_every_line_is_an_object_that_says_which_work_it_belongs_to() -> None:
    stream = _lines(is_json=True)
    with bound(run="r3", slide=7, patient=None, stage="crop", chunk=91):
        log.warning("tried again in %.1f s", 2.0)
    log.info("idle\nfor now")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["message"] == "tried again in 2.0 s"
    assert (first["level"], first["logger"]) == ("warning", "smearscan.test")
    assert (first["run"], first["slide"], first["stage"], first["chunk"]) == ("r3", 7, "crop", 91)
    assert first["time"].endswith("+00:00") and "patient" not in first
    assert second["message"] == "idle\nfor now" and "run" not in second


def test_work_within_work_belongs_to_both() -> None:
    with bound(run="r1", slide=1):
        with bound(slide=2, chunk=3):
            assert dict(bound_fields()) == {"run": "r1", "slide": 2, "chunk": 3}
        assert dict(bound_fields()) == {"run": "r1", "slide": 1}
    assert not bound_fields()


@pytest.mark.parametrize("is_json", [True, False])
def test_an_error_is_named_and_placed_but_its_words_stay_out(is_json: bool) -> None:
    """The file may be named after its patient."""
    stream = _lines(is_json)
    try:
        raise OutputError("/scans/Erika Mustermann 1964.svs cannot be written", "free some space")
    except OutputError:
        log.exception("chunk %d failed", 4)
    text = stream.getvalue()
    assert "OutputError" in text and "test_an_error_is_named" in text
    assert "Mustermann" not in text


def test_a_person_reads_plain_lines() -> None:
    stream = _lines(is_json=False)
    with bound(stage="classify", chunks=(4, 5)):
        log.warning("thin batch")
    assert stream.getvalue().rstrip().endswith("warning smearscan.test: thin batch [stage=classify chunks=4,5]")


def test_libraries_are_heard_only_when_something_is_wrong() -> None:
    stream = _lines(is_json=True)
    logging.getLogger("kombu").info("connected")
    logging.getLogger("kombu").warning("connection lost")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["connection lost"]


def test_setting_it_up_twice_writes_a_line_once() -> None:
    set_up(is_json=True, stream=io.StringIO())
    stream = _lines(is_json=True)
    log.warning("once")
    assert len(stream.getvalue().splitlines()) == 1
