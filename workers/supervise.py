"""Keep child processes alive: started in order, restarted when they die, stopped in the reverse order."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

log = logging.getLogger(__name__)

#: Seconds before a child that died is started again: doubled while it goes on dying, forgotten after a while.
_FIRST_WAIT_S, _LONGEST_WAIT_S, _FORGIVEN_AFTER_S = 0.2, 5.0, 10.0
#: Seconds that a child has to end what it is doing before it is killed.
STOP_S = 90.0
#: Seconds that a child has to make the file without which it is of no use.
_MAKES_WITHIN_S = 10.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """A process to keep alive.

    Attributes
    ----------
    settings
        Added to its environment.
    keeps
        A file, such as a socket, that is there while the process is of use: without it, it is started again.
    """

    name: str
    command: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    keeps: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    wait_s: float = _FIRST_WAIT_S
    not_before: float = 0.0

    def start(self) -> None:
        """Start it; it dies with this process, whatever happens to that."""
        self.process = subprocess.Popen(
            list(self.command), env={**os.environ, **self.settings}, preexec_fn=_die_with_parent, start_new_session=True
        )
        self.started_at = time.monotonic()

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None


def keep_alive(children: Sequence[Child], over: threading.Event) -> None:
    """Run children until `over` is set, then stop them, the last one first."""
    for child in children:
        _start(child)
    try:
        while not over.wait(0.2):
            for child in children:
                _revive(child)
    finally:
        for child in reversed(children):
            _stop(child)


def _revive(child: Child) -> None:
    now = time.monotonic()
    if child.is_alive:
        if now - child.started_at > _FORGIVEN_AFTER_S:
            child.wait_s = _FIRST_WAIT_S
        if child.keeps is not None and now - child.started_at > _MAKES_WITHIN_S and not child.keeps.exists():
            log.error("%s has lost %s, without which nobody reaches it", child.name, child.keeps)
            _stop(child)
        return
    if child.process is not None:
        log.error(
            "%s ended (exit %s); it is started again in %.1f s", child.name, child.process.returncode, child.wait_s
        )
        child.process, child.not_before = None, now + child.wait_s
        child.wait_s = min(_LONGEST_WAIT_S, 2 * child.wait_s)
    elif now >= child.not_before:
        _start(child)


def _start(child: Child) -> None:
    """Start it, or try again later: a machine that has no memory for another process may soon have."""
    try:
        child.start()
    except (OSError, subprocess.SubprocessError) as error:
        child.not_before = time.monotonic() + child.wait_s
        log.error("%s cannot be started (%s); it is tried again in %.1f s", child.name, error, child.wait_s)
        child.wait_s = min(_LONGEST_WAIT_S, 2 * child.wait_s)


def _stop(child: Child) -> None:
    if child.process is None or not child.is_alive:
        return
    child.process.send_signal(signal.SIGTERM)
    try:
        child.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        log.error("%s did not end in %.0f s and is killed", child.name, STOP_S)
        _kill_all_of(child.process)
        child.process.wait()


def _kill_all_of(process: subprocess.Popen[bytes]) -> None:
    # A child leads a session of its own: with it go its own children, which a worker's processes are.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _die_with_parent() -> None:
    # A supervisor that is killed must not leave workers behind that nobody stops.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
