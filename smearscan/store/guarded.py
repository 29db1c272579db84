"""A state's artefacts: each with its checksum, in a store that is known by a mark.

So a damaged artefact never becomes a wrong result, and a share that is not mounted is not taken for an empty one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator

from sqlalchemy import Connection, select

from smearscan.errors import TransientError
from smearscan.store.artefacts import MARK, RESULTS, Artefacts, GoneError, Kept
from smearscan.store.database import Database
from smearscan.store.schema import chunks

log = logging.getLogger(__name__)

#: What a sealed artefact begins with; the SHA-256 of the rest follows.
_SEAL = b"smr1"
_HEAD = len(_SEAL) + hashlib.sha256().digest_size


class DamagedError(GoneError):
    """An artefact whose bytes are not those that were written."""


class GuardedArtefacts:
    """The store of a state; made by `open_state`.

    Parameters
    ----------
    store
        Where the bytes are.
    database
        Knows whether this state made any.
    """

    def __init__(self, store: Artefacts, database: Database) -> None:
        self._store, self._database = store, database

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._store.place

    def put(self, key: str, data: bytes) -> None:
        """Keep bytes, with their checksum; TransientError where the store is not the one that this state has used."""
        require_marked(self._store, self._database)
        self._store.put(key, seal(data))

    def get(self, key: str) -> bytes:
        """The bytes of a key.

        Raises
        ------
        GoneError
            If there are none, or they are damaged: they are to be made again.
        TransientError
            If the store is away, or is not the one that this state has used.
        """
        try:
            # Twice: a share may give half of what it has, once.
            data = unseal(self._store.get(key)) or unseal(self._store.get(key))
        except GoneError:
            require_marked(self._store, self._database)
            raise
        if data is not None:
            return data[0]
        log.error("the artefact %s is damaged and is made again: is the disk failing?", key)
        if key.split("-", 1)[0] not in RESULTS:  # a result is written over when it is made again, not removed before
            self._store.remove(key)
        raise DamagedError(f"the artefact {key} is damaged", "run `smearscan retry`: it is made again")

    def has(self, key: str) -> bool:
        """Whether there are any; TransientError where that cannot be said."""
        is_there = self._store.has(key)
        if not is_there:
            require_marked(self._store, self._database)
        return is_there

    def remove(self, key: str) -> None:
        """Forget a key."""
        self._store.remove(key)

    def walk(self) -> Iterator[Kept]:
        """Everything that is kept."""
        return self._store.walk()

    def free_bytes(self) -> int | None:
        """Room that is left."""
        return self._store.free_bytes()

    def remove_parts(self, before: float) -> int:
        """Remove what was left half written."""
        return self._store.remove_parts(before)

    def is_marked(self) -> bool:
        """Whether somebody has used the store."""
        return self._store.is_marked()

    def mark(self) -> None:
        """Say that somebody uses it."""
        self._store.mark()


def seal(data: bytes) -> bytes:
    """Bytes with their checksum before them."""
    return _SEAL + hashlib.sha256(data).digest() + data


def unseal(data: bytes) -> tuple[bytes] | None:
    """What was sealed, in a tuple; None where it is damaged."""
    rest = data[_HEAD:]
    return (rest,) if data[:_HEAD] == _SEAL + hashlib.sha256(rest).digest() else None


def require_marked(store: Artefacts, database: Database) -> None:
    """Take a store into use, or refuse one that is empty although this state has made artefacts.

    Raises
    ------
    TransientError
        If it is: most likely a share that is not mounted, and what is written there would be hidden under it.
    """
    if store.is_marked():
        return
    if next(store.walk(), None) is None and database.read(_has_made):
        raise TransientError(
            f"{store.place} is empty, and this state has made artefacts: is a share not mounted?",
            f"mount it; if it was emptied on purpose, put an empty file named {MARK} there",
        )
    store.mark()


def _has_made(connection: Connection) -> bool:
    made = select(chunks.c.id).where(chunks.c.output.is_not(None), chunks.c.output != "")
    return connection.execute(made.limit(1)).first() is not None
