"""What a run was made with, kept with it: what came later must not put its own name under older results."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from smearscan.errors import OutputError, PermanentError
from smearscan.report.content import RunInfo
from smearscan.settings import Settings
from smearscan.stages.keys import identity
from smearscan.store.runs import Run
from smearscan.store.schema import told
from smearscan.store.state import State


def keep_maker(state: State, run_id: int, info: RunInfo) -> None:
    """Write down versions and weights of a run, unless somebody has."""
    state.database.run(_keep, run_id, {"versions": info.versions, "weights_digests": info.weights_digests})


def kept_maker(connection: Connection, run: Run) -> RunInfo:
    """What is known of how a run was made; versions and weights are empty where none of its patients got a page."""
    found: dict[str, Any] = connection.execute(select(told.c.value).where(told.c.name == _name(run.id))).scalar() or {}
    settings = json.dumps(run.settings, sort_keys=True, separators=(",", ":"))
    return RunInfo(
        version=run.version,
        preset=run.preset,
        settings_digest=hashlib.sha256(settings.encode()).hexdigest(),
        weights_digests=found.get("weights_digests", {}),
        versions={"smearscan": run.version, **found.get("versions", {})},
        settings=run.settings,
    )


def is_made_here(run: Run) -> bool:
    """Whether a run belongs to the code and weights that are installed."""
    try:
        return identity(Settings.model_validate(run.settings)) == run.identity
    except (ValidationError, PermanentError):  # knobs of another version, weights that are not here
        return False


def settings_of(run: Run) -> Settings:
    """A run's settings.

    Raises
    ------
    OutputError
        If they are of a version that this one does not understand.
    """
    try:
        return Settings.model_validate(run.settings)
    except ValidationError as error:
        raise OutputError(
            f"run {run.name} has settings of smearscan {run.version} that this version does not know",
            "export it with the version that it was submitted with",
        ) from error


def _keep(connection: Connection, run_id: int, value: dict[str, Any]) -> None:
    name = _name(run_id)
    if connection.execute(select(told.c.name).where(told.c.name == name)).first() is None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        connection.execute(dialect.insert(told).values(name=name, value=value).on_conflict_do_nothing())


def _name(run_id: int) -> str:
    return f"maker of run {run_id}"
