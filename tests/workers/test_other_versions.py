"""Runs of other code, weights or settings: a worker leaves them alone, an export names what made them."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from smearscan import __version__
from smearscan.cli.main import cli
from smearscan.errors import OutputError
from smearscan.models.cards import Card
from smearscan.settings import Settings
from smearscan.stages import execute, export, keys, makers
from smearscan.stages.execute import Worker
from smearscan.stages.export import write_run
from smearscan.stages.progress import run_progress
from smearscan.stages.submission import new_run
from smearscan.stages.table import QUEUES
from smearscan.store.artefacts import artefact_key
from smearscan.store.claims import Wanted
from smearscan.store.runs import cancel
from smearscan.store.schema import patients, runs, slides
from smearscan.store.state import State
from smearscan.store.submit import submit
from smearscan.store.sweep import worker_name
from smearscan.submission import gather


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
