"""What the work in hand belongs to, for whoever writes the log: run, slide and chunk by their numbers in the state.

Numbers only. A patient's name, a path or a worksheet's words never come in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

#: A number, a stage's name, or the numbers of several that are worked on together.
Bound = int | str | tuple[int, ...]

_BOUND: ContextVar[Mapping[str, Bound] | None] = ContextVar("smearscan_bound", default=None)


@contextmanager
def bound(**fields: Bound | None) -> Iterator[None]:
    """Everything logged inside belongs to these, on top of what was bound before; None is left out."""
    held = {**bound_fields(), **{name: value for name, value in fields.items() if value is not None}}
    token = _BOUND.set(held)
    try:
        yield
    finally:
        _BOUND.reset(token)


def bound_fields() -> Mapping[str, Bound]:
    """What the work in hand belongs to; empty where there is none."""
    return _BOUND.get() or {}
