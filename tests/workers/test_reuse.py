"""What is made again after a change, and what is found made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from screened import changed, screen_here
from sqlalchemy import func, select

from smearscan.settings import Settings
from smearscan.stages.execute import Worker
from smearscan.stages.progress import run_progress
from smearscan.stages.results import run_results
from smearscan.stages.submission import new_run
from smearscan.stages.table import QUEUES
from smearscan.store.claims import Wanted
from smearscan.store.location import find_location
from smearscan.store.schema import chunks, work
from smearscan.store.state import State, open_state
from smearscan.store.submit import submit
from smearscan.store.sweep import worker_name
from smearscan.submission import Submission, gather


def _made(state: State, run_id: int) -> set[str]:
    """Stages of which something was made, not found."""
    with state.database.transaction() as connection:
        query = select(chunks.c.stage).where(chunks.c.run_id == run_id, ~chunks.c.is_reused)
        return set(connection.execute(query).scalars())


def test_a_threshold_of_aggregation_remakes_aggregation_alone(state: State, smear: Path) -> None:
    run = screen_here(state, gather([smear]), changed(Settings(), "aggregate", acute_fraction=0.3))
    assert _made(state, run) == {"aggregate", "report"}


def test_another_ensemble_remakes_from_classification_on(state: State, smear: Path) -> None:
    run = screen_here(state, gather([smear]), changed(Settings(), "classify", blast_weights=(0.4, 0.3, 0.3)))
    assert _made(state, run) == {"classify", "finish", "aggregate", "report"}


def test_another_detector_score_remakes_from_the_search_on(state: State, smear: Path) -> None:
    run = screen_here(state, gather([smear]), changed(Settings(), "detect", min_score=0.5))
    assert _made(state, run) >= {"search", "gather"} and "survey" not in _made(state, run)


def test_a_renamed_patient_remakes_the_record_and_no_pixel(state: State, smear: Path) -> None:
    run = screen_here(state, gather([smear], patient="somebody"), Settings())
    assert not _made(state, run) & {"survey", "search", "crop", "classify"}


def test_what_was_found_made_counts_as_no_cell_judged(state: State, smear: Path) -> None:
    """Else the networks' batches would seem fuller than full, and a night faster than it can be."""
    runs_of = {1: True, screen_here(state, gather([smear], patient="somebody else"), Settings()): False}
    for run, is_judged in runs_of.items():
        with state.database.transaction() as connection:
            judged = select(func.sum(work.c.n_items), func.sum(work.c.n_slots), func.sum(work.c.n_chunks))
            of_run = judged.where(work.c.run_id == run, work.c.stage == "classify")
            n_cells, n_slots, n_chunks = connection.execute(of_run).one()
        assert n_chunks > 0
        assert 0 < n_cells <= n_slots if is_judged else n_cells == n_slots == 0


def test_the_same_smear_again_is_the_same_run(state: State, smear: Path) -> None:
    assert screen_here(state, gather([smear]), Settings()) == 1


def test_another_count_of_white_cells_makes_another_number(state: State, smear: Path) -> None:
    """The slide's record is found made; the blasts in a litre are not those of the worksheet before."""
    submission = gather([smear])
    counted = Submission(tuple(replace(source, wbc_10e9_per_l=50.0) for source in submission.sources))
    run = screen_here(state, counted, Settings())
    assert _made(state, run) == {"aggregate", "report"}
    (patient,) = run_results(state, run).patients
    assert patient.absolute_blasts_10e9_per_l == pytest.approx(50.0 * patient.corrected.estimate)


@pytest.mark.parametrize("is_always", [False, True])
def test_what_is_removed_under_a_run_is_made_again_but_not_for_ever(
    tmp_path: Path, smear: Path, is_always: bool
) -> None:
    # A state of its own: what is removed here is what other tests expect to be found made.
    state = open_state(find_location(str(tmp_path)))
    run, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "test", is_embedded=True))
    worker = Worker(state, Wanted(worker_name(), QUEUES, patience_s=0.0), embedded_run=run)
    n_removed = 0
    while worker.turn():
        with state.database.transaction() as connection:
            ready = select(chunks.c.task).where(chunks.c.run_id == run, chunks.c.status == "ready")
            tasks = connection.execute(ready.where(chunks.c.stage == "classify")).scalars().all()
        if tasks and (is_always or not n_removed):
            n_removed += 1
            for kept in list(state.artefacts.walk()):
                if kept.key.startswith(("crop-", "classify-")):
                    state.artefacts.remove(kept.key)
    progress = state.database.run(run_progress, run)
    assert progress.state == "done"
    assert (progress.n_done, progress.n_failed) == ((0, 1) if is_always else (1, 0))
    assert n_removed >= (4 if is_always else 1)
    state.database.close()
