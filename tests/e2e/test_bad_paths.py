"""Paths that nothing can be opened at: each has its line with the remedy, and the rest is done."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from finished_run import Run
from PIL import Image

from smearscan.cli.main import cli

Screen = Callable[..., Run]
TOO_LONG = "a" * 300 + ".png"


@pytest.fixture
def folder(field_png: Path, tmp_path: Path) -> Path:
    """A folder of one field and two links that lead nowhere."""
    made = tmp_path / "in"
    made.mkdir()
    shutil.copy(field_png, made / "good.png")
    (made / "gone.png").symlink_to(made / "absent.png")
    (made / "round.png").symlink_to(made / "round.png")
    return made


def test_a_screening_names_every_path_that_it_cannot_look_at_and_does_the_rest(screen: Screen, folder: Path) -> None:
    run = screen(folder, folder / TOO_LONG, "--mpp", "0.2")
    assert run.code == 1, run.said
    rows = {Path(row["path"]).name: row for row in run.rows("slides.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {
        "good.png": "done", "gone.png": "failed", "round.png": "failed", TOO_LONG: "failed",
    }  # fmt: skip
    assert "a link that leads nowhere. Mend the link" in rows["gone.png"]["reason"]
    assert "File name too long. Mend the path" in rows[TOO_LONG]["reason"]


def test_a_field_that_is_a_link_to_nowhere_is_left_out_by_name(screen: Screen, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "w.csv").write_text("path,patient_id,mpp\nin,P1,0.2\n", "utf-8")
    run = screen("--worksheet", tmp_path / "w.csv")
    (slide,) = run.rows("slides.csv")
    assert run.code == 1 and slide["status"] == "done"
    for name in ("gone.png", "round.png"):
        assert f"left out: {folder / name} is a link that leads nowhere. Mend the link" in slide["reason"]
    assert "warning: in: 2 of 3 images left out: " in run.said and "slides.csv names the others" in run.said


def test_a_field_that_was_left_out_is_screened_once_its_link_is_mended(
    screen: Screen, folder: Path, field_png: Path, tmp_path: Path
) -> None:
    (tmp_path / "w.csv").write_text("path,patient_id,mpp\nin,P1,0.2\n", "utf-8")
    (folder / "round.png").unlink()
    state = ("--worksheet", tmp_path / "w.csv", "--state", tmp_path / "state")
    assert screen(*state).code == 1
    # The same picture in other bytes: a copy of the file would be counted once.
    Image.open(field_png).save(folder / "absent", "PNG", compress_level=1)
    (folder / "gone.png").unlink()
    (folder / "gone.png").symlink_to(folder / "absent")
    assert screen(*state).code == 0


@pytest.mark.parametrize("command", ["detect", "classify"])
def test_other_commands_name_it_too(command: str, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    given = [command, str(folder), str(folder / TOO_LONG), "--mpp", "0.2", "--out", str(out)]
    done: Result = CliRunner().invoke(cli, given, catch_exceptions=False)
    assert done.exit_code == 1, done.output
    assert f"{out}: " in done.output and "3 failed" in done.output
    for name, why in {"gone.png": "is a link that leads nowhere", TOO_LONG: "File name too long"}.items():
        assert any(name in line and why in line for line in done.stderr.splitlines()), done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        assert str(folder / "good.png") in {row["path"] for row in csv.DictReader(file)}
