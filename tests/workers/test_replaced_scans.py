"""A scan that is replaced under its run: it fails by name, and nobody is given another's cells."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import pytest
from screened import changed, screen_here
from sqlalchemy import select

from smearscan.local import work_off
from smearscan.settings import Settings
from smearscan.slide.content import stamp_files
from smearscan.stages import patient_stages, slide_stages
from smearscan.stages.results import run_results
from smearscan.stages.slide_stages import ReplacedError
from smearscan.stages.submission import new_run
from smearscan.stages.table import STAGES
from smearscan.store.runs import retry
from smearscan.store.schema import slides
from smearscan.store.state import State
from smearscan.store.submit import submit
from smearscan.submission import gather
from smearscan.synth import write_smear


def _replace_before(patch: pytest.MonkeyPatch, stages: ModuleType, step: str, scan: Path) -> None:
    """Have a scan replaced just before a step reads it."""
    honest = getattr(stages, step)

    def replace_first(job: object) -> object:
        os.utime(scan, ns=(1, 1))
        return honest(job)

    patch.setattr(stages, step, replace_first)


def test_a_scan_replaced_while_it_is_screened_fails_by_name_and_can_be_tried_again(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "b.tif"
    scan.write_bytes(smear.read_bytes())
    with monkeypatch.context() as patch:
        _replace_before(patch, slide_stages, "search_chunk", scan)
        run = screen_here(state, gather([scan]), changed(Settings(), "detect", merge_iou=0.4))
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


def test_a_scan_replaced_before_its_pictures_are_cut_gets_no_page(
    state: State, tmp_path: Path, smear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = tmp_path / "d.tif"
    scan.write_bytes(smear.read_bytes())
    with monkeypatch.context() as patch:
        _replace_before(patch, patient_stages, "take_pictures", scan)
        run = screen_here(state, gather([scan]), changed(Settings(), "report", thumbnail_px=300))
    found = run_results(state, run)
    assert [slide.status for slide in found.slides] == ["done"] and len(found.patients) == 1
    assert not found.reports
