"""What is made again after a change, and what is not; what a worker refuses; a scan replaced under its feet."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update
from sqlalchemy.exc import InterfaceError

from smearscan import __version__
from smearscan.cli.main import cli
from smearscan.errors import OutputError
from smearscan.local import work_off
from smearscan.models.cards import Card
from smearscan.settings import Settings
from smearscan.slide.content import stamp_files
from smearscan.stages import execute, export, keys, makers, patient_stages, slide_stages
from smearscan.stages.execute import Worker
from smearscan.stages.export import write_run
from smearscan.stages.progress import run_progress
from smearscan.stages.results import run_results
from smearscan.stages.slide_stages import ReplacedError
from smearscan.stages.submission import new_run
from smearscan.stages.table import QUEUES, STAGES
from smearscan.store.artefacts import artefact_key
from smearscan.store.claims import Wanted
from smearscan.store.location import find_location
from smearscan.store.runs import cancel, retry
from smearscan.store.schema import chunks, patients, runs, slides, work
from smearscan.store.state import State, open_state
from smearscan.store.submit import submit
from smearscan.store.sweep import worker_name
from smearscan.submission import Submission, gather
from smearscan.synth import write_smear


@pytest.fixture(scope="module")
def smear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small scan."""
    path = tmp_path_factory.mktemp("smear") / "a.tif"
    write_smear(path, 700, 600, 3, mpp=0.2, cells_per_mm2=900.0, layout="field")
    return path


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory, smear: Path) -> Iterator[State]:
    """A state in which that scan was screened with the default settings."""
    opened = open_state(find_location(str(tmp_path_factory.mktemp("state"))))
    _screen(opened, gather([smear]), Settings())
    yield opened
    opened.database.close()


def _screen(state: State, submission: Submission, settings: Settings) -> int:
    new = new_run(submission, settings, "test", is_embedded=True)
    run_id, _ = state.database.run(submit, new)
    work_off(state, run_id, 1, lambda progress: None)
    return run_id


def _made(state: State, run_id: int) -> set[str]:
    """Stages of which something was made, not found."""
    with state.database.transaction() as connection:
        query = select(chunks.c.stage).where(chunks.c.run_id == run_id, ~chunks.c.is_reused)
        return set(connection.execute(query).scalars())


def _changed(settings: Settings, stage: str, **values: object) -> Settings:
    return settings.model_copy(update={stage: getattr(settings, stage).model_copy(update=values)})


def _replace_before(patch: pytest.MonkeyPatch, stages: ModuleType, step: str, scan: Path) -> None:
    """Have a scan replaced just before a step reads it."""
    honest = getattr(stages, step)

    def replace_first(job: object) -> object:
        os.utime(scan, ns=(1, 1))
        return honest(job)

    patch.setattr(stages, step, replace_first)


def test_a_threshold_of_aggregation_remakes_aggregation_alone(state: State, smear: Path) -> None:
    run = _screen(state, gather([smear]), _changed(Settings(), "aggregate", acute_fraction=0.3))
    assert _made(state, run) == {"aggregate", "report"}


def test_another_ensemble_remakes_from_classification_on(state: State, smear: Path) -> None:
    run = _screen(state, gather([smear]), _changed(Settings(), "classify", blast_weights=(0.4, 0.3, 0.3)))
    assert _made(state, run) == {"classify", "finish", "aggregate", "report"}


def test_another_detector_score_remakes_from_the_search_on(state: State, smear: Path) -> None:
    run = _screen(state, gather([smear]), _changed(Settings(), "detect", min_score=0.5))
    assert _made(state, run) >= {"search", "gather"} and "survey" not in _made(state, run)


def test_a_renamed_patient_remakes_the_record_and_no_pixel(state: State, smear: Path) -> None:
    run = _screen(state, gather([smear], patient="somebody"), Settings())
    assert not _made(state, run) & {"survey", "search", "crop", "classify"}


def test_what_was_found_made_counts_as_no_cell_judged(state: State, smear: Path) -> None:
    """Else the networks' batches would seem fuller than full, and a night faster than it can be."""
    runs_of = {1: True, _screen(state, gather([smear], patient="somebody else"), Settings()): False}
    for run, is_judged in runs_of.items():
        with state.database.transaction() as connection:
            judged = select(func.sum(work.c.n_items), func.sum(work.c.n_slots), func.sum(work.c.n_chunks))
            of_run = judged.where(work.c.run_id == run, work.c.stage == "classify")
            n_cells, n_slots, n_chunks = connection.execute(of_run).one()
        assert n_chunks > 0
        assert 0 < n_cells <= n_slots if is_judged else n_cells == n_slots == 0


def test_the_same_smear_again_is_the_same_run(state: State, smear: Path) -> None:
    assert _screen(state, gather([smear]), Settings()) == 1


def test_a_scan_replaced_while_it_is_screened_fails_by_name_and_can_be_tried_again(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "b.tif"
    scan.write_bytes(smear.read_bytes())
    with monkeypatch.context() as patch:
        _replace_before(patch, slide_stages, "search_chunk", scan)
        run = _screen(state, gather([scan]), _changed(Settings(), "detect", merge_iou=0.4))
    with state.database.transaction() as connection:
        row = connection.execute(select(slides).where(slides.c.run_id == run)).one()
    assert row.state == "failed" and row.error == "ReplacedError"
    assert "b.tif was replaced while it was being screened" in row.reason


def test_a_scan_replaced_before_its_turn_fails_by_name_and_is_judged_when_that_is_asked_for(
    state: State, tmp_path: Path, smear: Path
) -> None:
    """Hours lie between: somebody else's scan must not be reported under this patient because it has the same name."""
    scan = tmp_path / "e.tif"
    scan.write_bytes(smear.read_bytes())
    run, _ = state.database.run(submit, new_run(gather([scan]), Settings(), "test", is_embedded=True))
    write_smear(scan, 700, 600, 9, mpp=0.2, cells_per_mm2=900.0, layout="field")
    work_off(state, run, 1, lambda progress: None)
    (slide,) = run_results(state, run).slides
    assert (slide.status, slide.error_kind) == ("failed", "ReplacedError")
    assert "e.tif was replaced, or went on being written, after it was submitted" in slide.reason
    state.database.run(retry, run, STAGES["survey"].chunk(), STAGES["aggregate"].chunk())
    work_off(state, run, 1, lambda progress: None)
    assert [slide.status for slide in run_results(state, run).slides] == ["done"]


@pytest.mark.parametrize(("later_ns", "is_replaced"), [(99, False), (2000, True)])
def test_a_share_that_tells_times_more_coarsely_to_some_replaces_nothing(
    tmp_path: Path, smear: Path, later_ns: int, is_replaced: bool
) -> None:
    scan = tmp_path / "f.tif"
    scan.write_bytes(smear.read_bytes())
    (source,) = gather([scan]).sources
    stamp = [[path, size, changed - changed % 1000 + 500] for path, size, changed in stamp_files(source.paths)]
    os.utime(scan, ns=(stamp[0][2] + later_ns, stamp[0][2] + later_ns))
    with pytest.raises(ReplacedError) if is_replaced else nullcontext():
        slide_stages.refuse_replaced(source, stamp)


def test_a_worker_of_other_code_or_weights_refuses_the_run_by_name(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queued, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "queued"))
    worker = Worker(state, Wanted("elsewhere/1/0", QUEUES))
    monkeypatch.setattr(execute, "identity", lambda settings: "something else")
    assert worker.turn() == 0
    assert f"run r{queued} wants the code, cards and weights of smearscan" in caplog.text
    assert state.database.run(run_progress, queued).state == "open"


def _later(patch: pytest.MonkeyPatch) -> None:
    """As if another version were installed, with other libraries and other weights."""
    patch.setattr(makers, "identity", lambda settings: "of a later version")
    patch.setattr(export, "versions", lambda: {"smearscan": "99", "numpy": "99"})
    patch.setattr(export, "package_names", lambda settings: [])


def test_what_a_later_version_exports_names_the_version_and_the_weights_that_made_it(
    state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(state, 1, tmp_path / "then")
    with monkeypatch.context() as patch:
        _later(patch)
        write_run(state, 1, tmp_path / "later")
    then, later = (json.loads((tmp_path / name / "run.json").read_text("utf-8")) for name in ("then", "later"))
    assert then.pop("model_cards") and later.pop("model_cards") == []
    assert later == then and "networks on cpu" in later["versions"] and len(later["weights_digests"]) > 3
    for path in ("patients.csv", "cells.csv", "report/index.html"):
        assert (tmp_path / "later" / path).read_bytes() == (tmp_path / "then" / path).read_bytes()


def test_a_run_without_a_page_is_exported_later_without_the_names_of_what_is_installed_then(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "no page yet", is_embedded=True))
    _later(monkeypatch)
    write_run(state, run, tmp_path)
    found = json.loads((tmp_path / "run.json").read_text("utf-8"))
    assert found["versions"] == {"smearscan": __version__} and found["weights_digests"] == {}


def test_a_run_with_settings_or_records_of_another_version_is_not_exported_but_named(
    state: State, tmp_path: Path, smear: Path
) -> None:
    strange = replace(new_run(gather([smear]), Settings(), "x", is_embedded=True), settings={"knob": 1}, digest="knob")
    run, _ = state.database.run(submit, strange)
    with pytest.raises(OutputError, match=rf"run r{run} has settings of smearscan {re.escape(__version__)}"):
        write_run(state, run, tmp_path)
    key = artefact_key("finish", "another version's")
    state.artefacts.put(key, b'{"cells_of_then":[]}')
    with state.database.transaction() as connection:
        connection.execute(update(slides).where(slides.c.run_id == run).values(result=key))
        connection.execute(update(runs).where(runs.c.id == run).values(settings=Settings().model_dump(mode="json")))
    with pytest.raises(OutputError, match="another version of smearscan"):
        write_run(state, run, tmp_path)


def test_a_run_of_another_version_is_not_opened_again_to_wait_for_ever(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state.database.transaction() as connection:
        connection.execute(update(patients).where(patients.c.run_id == 1).values(state="failed"))
    _later(monkeypatch)
    said = CliRunner().invoke(cli, ["retry", "r1", "--state", str(state.location.folder)])
    assert said.exit_code == 2 and "run r1 has the code, cards and weights of smearscan" in said.output
    assert state.database.run(run_progress, 1).state == "done"
    with state.database.transaction() as connection:
        connection.execute(update(patients).where(patients.c.run_id == 1).values(state="done"))


def test_a_defect_puts_its_slide_aside_after_three_tries_with_the_traceback(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "c.tif"
    write_smear(other, 500, 400, 9, mpp=0.2, cells_per_mm2=900.0, layout="field")
    calls: Counter[str] = Counter()

    def defect(chunk: object) -> None:
        calls["crop"] += 1
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(execute, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(slide_stages, "crop_chunk", defect)
    run = _screen(state, gather([other]), Settings())
    progress = state.database.run(run_progress, run)
    assert (progress.state, progress.n_failed, calls["crop"]) == ("done", 1, 3)
    with state.database.transaction() as connection:
        trouble = connection.execute(select(chunks.c.trouble).where(chunks.c.run_id == run)).scalars().all()
    assert any("ZeroDivisionError: a defect" in text and "Traceback" in text for text in trouble)


def test_another_count_of_white_cells_makes_another_number(state: State, smear: Path) -> None:
    """The slide's record is found made; the blasts in a litre are not those of the worksheet before."""
    submission = gather([smear])
    counted = Submission(tuple(replace(source, wbc_10e9_per_l=50.0) for source in submission.sources))
    run = _screen(state, counted, Settings())
    assert _made(state, run) == {"aggregate", "report"}
    (patient,) = run_results(state, run).patients
    assert patient.absolute_blasts_10e9_per_l == pytest.approx(50.0 * patient.corrected.estimate)


def test_a_scan_replaced_before_its_pictures_are_cut_gets_no_page(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "d.tif"
    scan.write_bytes(smear.read_bytes())
    with monkeypatch.context() as patch:
        _replace_before(patch, patient_stages, "take_pictures", scan)
        run = _screen(state, gather([scan]), _changed(Settings(), "report", thumbnail_px=300))
    found = run_results(state, run)
    assert [slide.status for slide in found.slides] == ["done"] and len(found.patients) == 1
    assert not found.reports


def test_a_run_with_knobs_of_another_version_is_refused_and_the_others_go_on(state: State, smear: Path) -> None:
    strange = new_run(gather([smear]), Settings(), "strange")
    strange_id, _ = state.database.run(submit, replace(strange, settings={"knob": 1}, digest="strange"))
    mine, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "mine"))
    worker = Worker(state, Wanted(worker_name(), QUEUES, patience_s=0.0))
    while worker.turn():
        pass
    assert state.database.run(run_progress, mine).state == "done"
    assert state.database.run(run_progress, strange_id).n_done == 0
    assert strange_id in worker.refusals and worker.left == {(strange_id, "")}
    state.database.run(cancel, strange_id)
    worker._vetted_at = float("-inf")
    worker.turn()
    assert strange_id not in worker.refusals and not worker.left, "what is over is no longer refused"


def test_a_run_is_compared_once_however_often_a_worker_looks(
    state: State, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder watched all day before the night's window leaves a thousand of them open."""
    asked: Counter[str] = Counter()
    honest = execute.identity
    monkeypatch.setattr(execute, "identity", lambda settings: asked.update(["asked"]) or honest(settings))
    new = new_run(gather([smear]), Settings(), "once")
    ids = [state.database.run(submit, replace(new, digest=f"once {n}"))[0] for n in range(3)]
    worker = Worker(state, Wanted(worker_name(), QUEUES))
    for _ in range(4):
        worker._vetted_at = float("-inf")
        worker._vet_runs()
        assert worker.wanted.run_ids == set(ids)
    assert asked["asked"] == 3
    for run in ids:
        state.database.run(cancel, run)
    worker._vetted_at = float("-inf")
    worker._vet_runs()
    assert not worker.wanted.run_ids and not worker._vetted, "what is over is forgotten"


def test_a_chunk_left_between_two_steps_of_giving_it_up_is_given_up_at_the_next_start(
    state: State, smear: Path
) -> None:
    run, _ = state.database.run(submit, new_run(gather([smear]), Settings(), "killed", is_embedded=True))
    with state.database.transaction() as connection:
        connection.execute(update(chunks).where(chunks.c.run_id == run).values(status="lost"))
    work_off(state, run, 1, lambda progress: None)
    assert state.database.run(run_progress, run).n_failed == 1


def test_a_template_of_the_page_is_code_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "__init__.py").touch()
    monkeypatch.setattr(keys.smearscan, "__file__", str(tmp_path / "__init__.py"))
    digests = set()
    for words in ("blasts", "cells called blasts"):
        (tmp_path / "report" / "page.html.j2").write_text(words)
        digests.add(keys.code_digest.__wrapped__())
    assert len(digests) == 2


@pytest.mark.parametrize("name", ["blast", "blast_home", "celltype", "celltype2"])
def test_a_worker_with_the_same_weights_under_another_card_is_another_worker(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A threshold edited on one of two hosts would judge some of a run's cells by one line and some by the other."""
    settings, honest = Settings(), keys.load_card

    def edited(asked: str) -> Card:
        card = honest(asked)
        return card.model_copy(update={"thresholds": {"blast": 0.5, "unidentified": 0.4}}) if asked == name else card

    before = keys.identity.__wrapped__(settings)
    assert keys.identity.__wrapped__(settings) == before
    monkeypatch.setattr(keys, "load_card", edited)
    assert keys.identity.__wrapped__(settings) != before


def test_a_lease_is_renewed_whatever_the_database_said_in_between(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats, twice = [], threading.Event()

    def beat(*_: object) -> None:
        beats.append(1)
        if len(beats) == 1:
            raise InterfaceError("", None, Exception("the connection is closed"))
        twice.set()

    monkeypatch.setattr(execute, "beat", beat)
    with execute.beating(state, [], 0.03):
        assert twice.wait(10)


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
