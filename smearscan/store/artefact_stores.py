"""Where artefacts are kept: a folder, local or shared, or any store that fsspec knows; errors of either are ours."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from smearscan.errors import SettingsError, TransientError
from smearscan.store.artefacts import MARK, Artefacts, GoneError, Kept


def open_artefacts(url: str) -> Artefacts:
    """Open a folder by its path, or any store by an fsspec address such as ``s3://bucket/folder``.

    Raises
    ------
    SettingsError
        If the protocol is unknown, or its driver is absent.
    """
    if "://" not in url or url.startswith("file://"):
        return FolderArtefacts(Path(url.removeprefix("file://")))
    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise SettingsError(
            f"artefacts cannot be kept at {url}: {error}", "install its driver, or use a folder"
        ) from error
    return RemoteArtefacts(filesystem, root)


class FolderArtefacts:
    """Artefacts in a folder, local or shared: written beside their place, then renamed."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, key: str, data: bytes) -> None:
        self._write(self._path(key), data)

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with _named(path):
            try:
                return path.read_bytes()
            except FileNotFoundError as error:
                raise _gone(path) from error

    def has(self, key: str) -> bool:
        return self._is_there(self._path(key))

    def is_marked(self) -> bool:
        return self._is_there(self._root / MARK)

    def mark(self) -> None:
        self._write(self._root / MARK, b"")

    @property
    def place(self) -> str:
        return str(self._root)

    def remove(self, key: str) -> None:
        path = self._path(key)
        with _named(path):
            path.unlink(missing_ok=True)

    def walk(self) -> Iterator[Kept]:
        with _named(self._root):
            for path in self._root.glob("*/*/*"):
                with suppress(FileNotFoundError):  # somebody tidies
                    found = path.stat()
                    if not path.name.startswith("."):
                        yield Kept(path.name, found.st_size, found.st_mtime)

    def free_bytes(self) -> int | None:
        # Who only looks makes no folder: before the first artefact, the room is that of where it will be.
        there = next(path for path in (self._root, *self._root.absolute().parents) if self._is_there(path))
        with _named(there):
            found = os.statvfs(there)
        return found.f_bavail * found.f_frsize

    def remove_parts(self, before: float) -> int:
        n_removed = 0
        with _named(self._root):
            for pattern in (".*.part", "*/*/.*.part"):
                for path in self._root.glob(pattern):
                    with suppress(FileNotFoundError):  # its writer was at work after all, or somebody else tidies
                        if path.stat().st_mtime < before:
                            path.unlink()
                            n_removed += 1
        return n_removed

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        beside = path.with_name(f".{secrets.token_hex(8)}.part")
        with _named(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                beside.write_bytes(data)
                with beside.open("rb+") as file:
                    # A name that outlives a power cut must not stand for bytes that did not.
                    os.fsync(file.fileno())
                beside.replace(path)
            except OSError:
                with suppress(OSError):  # where nothing can be written, nothing can be removed
                    beside.unlink(missing_ok=True)
                raise

    @staticmethod
    def _is_there(path: Path) -> bool:
        with _named(path):
            try:
                path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False
        return True

    def _path(self, key: str) -> Path:
        kind, digest = key.split("-", 1)
        return self._root / kind / digest[:2] / key


class RemoteArtefacts:
    """Artefacts on a remote store: one object a key, which such stores write as a whole."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._fs, self._root = filesystem, root.rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        with _named_remotely(self._path(key)):
            self._fs.pipe_file(self._path(key), data)

    def get(self, key: str) -> bytes:
        path = self._path(key)
        with _named_remotely(path):
            try:
                return bytes(self._fs.cat_file(path))
            except FileNotFoundError as error:
                raise _gone(path) from error

    def has(self, key: str) -> bool:
        return self._is_there(self._path(key))

    def is_marked(self) -> bool:
        return self._is_there(f"{self._root}/{MARK}")

    def mark(self) -> None:
        with _named_remotely(self.place):
            self._fs.pipe_file(f"{self._root}/{MARK}", b"")

    @property
    def place(self) -> str:
        return str(self._fs.unstrip_protocol(self._root))

    def _is_there(self, path: str) -> bool:
        # Listings are cached; another worker may have written since.
        self._fs.invalidate_cache()
        with _named_remotely(path):
            return bool(self._fs.exists(path))

    def remove(self, key: str) -> None:
        if self.has(key):
            with _named_remotely(self._path(key)), suppress(FileNotFoundError):
                self._fs.rm_file(self._path(key))

    def walk(self) -> Iterator[Kept]:
        self._fs.invalidate_cache()
        with _named_remotely(self._root):
            everything = self._fs.find(self._root, detail=True) if self._fs.exists(self._root) else {}
        for path, found in everything.items():
            if path.rsplit("/", 1)[-1] == MARK:
                continue
            when = found.get("LastModified") or found.get("mtime") or found.get("created") or 0.0
            yield Kept(path.rsplit("/", 1)[-1], found["size"], getattr(when, "timestamp", lambda w=when: float(w))())

    def free_bytes(self) -> int | None:
        return None

    def remove_parts(self, before: float) -> int:
        return 0  # an object is there as a whole or not at all

    def _path(self, key: str) -> str:
        kind, digest = key.split("-", 1)
        return f"{self._root}/{kind}/{digest[:2]}/{key}"


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors of a folder as ours."""
    try:
        yield
    except OSError as error:
        raise _passing(path, error) from error


@contextmanager
def _named_remotely(path: str) -> Iterator[None]:
    """Errors of a remote store as ours."""
    try:
        yield
    except _remote_errors() as error:
        raise _passing(path, error) from error


@cache
def _remote_errors() -> tuple[type[Exception], ...]:
    # A store that is away is an OSError to some drivers; to those of S3 and of HTTP it is an error of their own.
    found: list[type[Exception]] = [OSError]
    for module, name in (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError")):
        with suppress(ImportError):
            found.append(getattr(import_module(module), name))
    return tuple(found)


def _gone(path: object) -> GoneError:
    return GoneError(f"the artefact {path} is gone", "run `smearscan retry`: it is made again")


def _passing(path: object, error: Exception) -> TransientError:
    if getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
        return TransientError(f"{path} cannot be written: the disk is full", "free some space; it is tried again")
    return TransientError(
        f"{path}: {getattr(error, 'strerror', None) or error}", "mend the artefact store; it is tried again"
    )
