"""One small scan, really screened in this process."""

from __future__ import annotations

from smearscan.local import work_off
from smearscan.settings import Settings
from smearscan.stages.submission import new_run
from smearscan.store.state import State
from smearscan.store.submit import submit
from smearscan.submission import Submission


def screen_here(state: State, submission: Submission, settings: Settings) -> int:
    """Screen a submission to its end; the number of its run."""
    new = new_run(submission, settings, "test", is_embedded=True)
    run_id, _ = state.database.run(submit, new)
    work_off(state, run_id, 1, lambda progress: None)
    return run_id


def changed(settings: Settings, stage: str, **values: object) -> Settings:
    """Settings with some knobs of one stage turned."""
    return settings.model_copy(update={stage: getattr(settings, stage).model_copy(update=values)})
