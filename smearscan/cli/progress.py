"""Progress with an estimate: a bar on a terminal, a plain line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import click

#: Seconds between lines in a log: often enough to see it lives, seldom enough to read.
_LOG_EVERY_S = 15.0


def _minutes(seconds: float) -> str:
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Progress:
    """Counts work done against work known; the total may grow as slides are opened.

    Parameters
    ----------
    what
        What is counted, in words: "screening".
    clock
        Seconds, for tests.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._start = self._last = clock()
        self._has_ended = False
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                            TextColumn("{task.fields[note]}"), TimeRemainingColumn(),
                            console=Console(stderr=True))  # fmt: skip
            self._task = self._bar.add_task(self._what, total=None, note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, done: float, total: float, note: str = "") -> None:
        """Say how much of how much is done; `note` names what is being worked on."""
        if self._bar is not None:
            self._bar.update(self._task, completed=round(done), total=round(total), note=note)
            return
        now = self._clock()
        is_end = done >= total
        if now - self._last < _LOG_EVERY_S and (not is_end or self._has_ended):
            return
        self._last, self._has_ended = now, is_end
        elapsed = now - self._start
        left = f", about {_minutes(elapsed * (total - done) / done)} left" if 0 < done < total else ""
        click.echo(
            f"{self._what}: {done:.0f} of {total:.0f} ({_minutes(elapsed)} so far{left}) {note}".rstrip(), err=True
        )

    def line(self, text: str) -> None:
        """Print a line that stays, above the bar if there is one."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            click.echo(text, err=True)
