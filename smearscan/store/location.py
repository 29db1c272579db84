"""Where state, artefacts and broker are: a folder, or an address."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy
from pydantic import BaseModel, ConfigDict, ValidationError

from smearscan.errors import SettingsError, TransientError

#: Optional file in a state folder that names other places; its keys are those of `Location`.
LOCATION_FILE = "state.toml"


class _LocationFile(BaseModel):
    model_config = ConfigDict(extra="forbid")
    database: str | None = None
    artefacts: str | None = None
    broker: str | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """Addresses of one state.

    Attributes
    ----------
    database
        SQLAlchemy address: SQLite file or PostgreSQL.
    artefacts
        Folder, or fsspec address.
    broker
        Celery address; "" where none is named: then `smearscan up` starts one of its own.
    folder
        The folder of an embedded state; None where only addresses were given.
    """

    database: str
    artefacts: str
    broker: str
    folder: Path | None = None


def find_location(state: str) -> Location:
    """Read ``--state``: a folder, or ``postgresql://…?artefacts=ADDRESS&broker=ADDRESS``.

    A folder holds `state.db` and `artefacts/`; a `state.toml` in it may name others under the keys `database`,
    `artefacts` and `broker`.

    Raises
    ------
    SettingsError
        If an address lacks where artefacts are kept, or `state.toml` has an unknown key.
    TransientError
        If the folder cannot be made.
    """
    return _from_url(state) if "://" in state else _from_folder(Path(state))


def _from_url(state: str) -> Location:
    try:
        url = sqlalchemy.make_url(state)
    except sqlalchemy.exc.ArgumentError as error:
        raise SettingsError(f"--state {state!r} is no address", "name a folder, or postgresql://…") from error
    query = dict(url.query)
    artefacts, broker = query.pop("artefacts", ""), query.pop("broker", "")
    if not artefacts or not isinstance(artefacts, str) or not isinstance(broker, str):
        raise SettingsError(
            "--state names a database, but not where artefacts are kept",
            "add ?artefacts=FOLDER_OR_ADDRESS&broker=redis://HOST:PORT/0 to it",
        )
    return Location(url.set(query=query).render_as_string(hide_password=False), artefacts, broker)


def _from_folder(folder: Path) -> Location:
    folder = folder.expanduser().absolute()
    try:
        # Names of patients lie in it. One that is there already is left as its owner made it.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TransientError(
            f"{folder} cannot be made: {error.strerror}", "name another folder with --state"
        ) from error
    named = _read(folder / LOCATION_FILE)
    return Location(
        named.database or f"sqlite:///{folder / 'state.db'}",
        named.artefacts or str(folder / "artefacts"),
        named.broker or "",
        folder,
    )


def _read(path: Path) -> _LocationFile:
    if not path.exists():
        return _LocationFile()
    try:
        return _LocationFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}", "mend the line it names") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {where}: {first['msg']}", "known keys are database, artefacts, broker") from error
