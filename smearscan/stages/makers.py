"""What a run was made with, kept with it: what came later must not put its own name under older results."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from smearscan.errors import OutputError, PermanentError
from smearscan.provenance import digest_of
from smearscan.report.content import RunInfo
from smearscan.settings import Settings
from smearscan.stages.keys import identity
from smearscan.store.runs import Run
from smearscan.store.state import State
from smearscan.store.told import heard, tell_once


def keep_maker(state: State, run_id: int, info: RunInfo) -> None:
    """Write down versions and weights of a run, unless somebody has."""
    made = {"versions": info.versions, "weights_digests": info.weights_digests}
    state.database.run(tell_once, _name(run_id), made)


def kept_maker(connection: Connection, run: Run) -> RunInfo:
    """What is known of how a run was made; versions and weights are empty where none of its patients got a page."""
    found: dict[str, Any] = heard(connection, _name(run.id)) or {}
    return RunInfo(
        version=run.version,
        preset=run.preset,
        settings_digest=digest_of(run.settings),
        weights_digests=found.get("weights_digests", {}),
        versions={"smearscan": run.version, **found.get("versions", {})},
        settings=run.settings,
    )


def is_made_here(run: Run) -> bool:
    """Whether a run belongs to the code, cards and weights that are installed."""
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


def _name(run_id: int) -> str:
    return f"maker of run {run_id}"
