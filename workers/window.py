"""The night: the hours in which routine work is done; stat work is done at any hour."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time

from sqlalchemy import Connection

from smearscan.errors import SettingsError
from smearscan.store.told import heard, tell

_TOLD = "window"
_FORM = re.compile(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Window:
    """From one hour of the day to another, past midnight where the second is the earlier; None is always."""

    begins: time | None = None
    ends: time | None = None

    @classmethod
    def parse(cls, text: str | None) -> Window:
        """Read ``22:00-06:00``, local time; None or "" is always.

        Raises
        ------
        SettingsError
            If it is not two times of the day, or twice the same.
        """
        if not text:
            return cls()
        found = _FORM.fullmatch(text.strip())
        remedy = "write it as 22:00-06:00"
        if found is None:
            raise SettingsError(f"{text!r} is no window of the night", remedy)
        hours = [int(part) for part in found.groups()]
        try:
            begins, ends = time(hours[0], hours[1]), time(hours[2], hours[3])
        except ValueError as error:
            raise SettingsError(f"{text!r} is no window of the night: {error}", remedy) from error
        if begins == ends:  # it would never be open
            raise SettingsError(f"{text!r} ends when it begins", f"{remedy}; for the whole day leave it out")
        return cls(begins, ends)

    def is_open(self, now: datetime | None = None) -> bool:
        """Whether routine work may begin."""
        if self.begins is None or self.ends is None:
            return True
        clock = (now or datetime.now()).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends


def tell_window(connection: Connection, text: str | None) -> None:
    """Write down in which hours routine work is done, for who asks why it waits; of several workers the last holds."""
    tell(connection, _TOLD, text or "")


def told_window(connection: Connection) -> str:
    """What was told last; "" where routine work is done at any hour."""
    return heard(connection, _TOLD) or ""
