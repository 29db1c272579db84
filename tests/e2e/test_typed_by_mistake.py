"""What can only be typed by mistake is refused before any work, with the remedy, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from finished_run import Run
from PIL import Image

from smearscan.cli.main import cli

Screen = Callable[..., Run]


def _refused(folder: Path, monkeypatch: pytest.MonkeyPatch, *given: object) -> str:
    """What is said of a command that is refused; it is run in an empty folder."""
    here = folder / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    done = CliRunner().invoke(cli, [*map(str, given)], catch_exceptions=False)
    assert done.exit_code == 2, done.output
    assert not list(here.iterdir()), "something was written"
    return done.stderr


@pytest.mark.parametrize("command", ["screen", "detect", "classify", "submit"])
@pytest.mark.parametrize("typed", ["250", "5.1", "0.01", "1e-300", "-0.2", "0", "nan", "inf"])
def test_a_scale_that_no_microscope_has(
    command: str, typed: str, field_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _refused(tmp_path, monkeypatch, command, field_png, "--out", "out", "--mpp", typed)
    assert "'--mpp'" in said and "is not from 0.02 to 5 µm per pixel" in said


@pytest.mark.parametrize("command", ["screen", "submit"])
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "no patient_id"),
        ("   ", "no patient_id"),
        ("P\n1", "a control character"),
        ("P\u20281", "a control character"),
    ],
)
def test_a_patient_that_is_nobody(
    command: str, typed: str, says: str, field_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _refused(tmp_path, monkeypatch, command, field_png, "--out", "out", "--patient", typed)
    assert "'--patient'" in said and says in said and "leave the option out" in said


@pytest.mark.parametrize(
    ("given", "where"),
    [
        (("screen", "", "--out", "out"), "INPUTS"),
        (("screen", "FIELD", "--out", ""), "--out"),
        (("screen", "--worksheet", "", "--out", "out"), "--worksheet"),
        (("submit", "", "--out", "out"), "INPUTS"),
        (("submit", "FIELD", "--out", ""), "--out"),
        (("detect", "", "--out", "out"), "INPUTS"),
        (("detect", "FIELD", "--out", ""), "--out"),
        (("classify", "", "--out", "out"), "CROPS"),
        (("classify", "FIELD", "--out", ""), "--out"),
    ],
)
def test_an_empty_path(
    given: tuple[str, ...], where: str, field_png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = _refused(tmp_path, monkeypatch, *(field_png if part == "FIELD" else part for part in given))
    assert where in said and "the path is empty" in said


def test_blanks_around_an_id_are_none_of_it_and_a_scale_unlike_the_files_own_is_told(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    Image.open(field_png).crop((0, 0, 400, 300)).save(tmp_path / "field.png", dpi=(127_000, 127_000))
    run = screen(tmp_path / "field.png", "--patient", " P 1 ", "--mpp", "0.25")
    assert run.code == 0, run.said
    (slide,) = run.rows("slides.csv")
    assert slide["patient_id"] == "P 1"
    assert "taken at the 0.25 µm per pixel that were given, where the file says 0.2" in slide["notes"]
