"""The log: plain lines for a person, or one JSON object a line, with run, slide and chunk of the work in hand.

Nothing of a patient is written beyond the numbers of rows. What a chunk raised may name a file, and a file may be
named after its patient: the text of an error stays in the state, and the log has its kind and where it was raised.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from smearscan.bound import bound_fields

#: Loggers of ours, heard from INFO on; of the others warnings and worse.
_OURS = ("smearscan", "workers")


def set_up(is_json: bool = False, stream: TextIO | None = None) -> None:
    """Write every log line to `stream`, standard error unless said; what was set up before is replaced.

    Called once at the start of a process, before Celery's own set-up, which then adds nothing; children forked later
    write alike.

    Parameters
    ----------
    is_json
        One JSON object a line: time (UTC), level, logger, message, and run, slide, stage and chunk where work is in
        hand. Else plain text.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(_bind)
    handler.setFormatter(JsonLines() if is_json else PlainLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            **_bound_of(record),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= {"error": type(record.exc_info[1]).__name__, "raised_at": _raised_at(record.exc_info[1])}
        return json.dumps(line, ensure_ascii=False, default=str)


class PlainLines(logging.Formatter):
    """Time, level, logger, message, and what the work belongs to, for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; an error's kind and where it was raised follow it."""
        when = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        of = " ".join(f"{name}={_shown(value)}" for name, value in _bound_of(record).items())
        line = f"{when} {record.levelname.lower():<7} {record.name}: {record.getMessage()}"
        if of:
            line += f" [{of}]"
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line += f"\n    {type(error).__name__} at {' < '.join(reversed(_raised_at(error)))}"
        return line


def _bind(record: logging.LogRecord) -> bool:
    # Kept with the record: a handler of another thread would see another context.
    if not hasattr(record, "bound"):
        record.bound = dict(bound_fields())
    return True


def _bound_of(record: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = getattr(record, "bound", {})
    return found


def _raised_at(error: BaseException) -> list[str]:
    """Module and line of the frames an error passed, outermost first; never its words."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{_module(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _module(filename: str) -> str:
    return "/".join(filename.rsplit("/", 2)[-2:])


def _shown(value: object) -> str:
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)
