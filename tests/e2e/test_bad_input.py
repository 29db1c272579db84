"""Bad input: a clear error that names the slide and the remedy, a row in slides.csv, and the rest done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from finished_run import Run
from PIL import Image

from smearscan.cli.main import cli

Screen = Callable[..., Run]


def _truncated(path: Path, scan: Path) -> None:
    path.write_bytes(scan.read_bytes()[: scan.stat().st_size // 3])


def _text(path: Path, scan: Path) -> None:
    path.write_text("this is no slide\n" * 50, "utf-8")


def _noise(path: Path, scan: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(1_000_000))


def _empty(path: Path, scan: Path) -> None:
    path.touch()


def _one_pixel(path: Path, scan: Path) -> None:
    Image.new("RGB", (1, 1), (200, 180, 190)).save(path)


def _blank(path: Path, scan: Path) -> None:
    Image.new("RGB", (900, 700), (238, 236, 232)).save(path)


def _black(path: Path, scan: Path) -> None:
    Image.new("RGB", (900, 700)).save(path)


def _grey(path: Path, scan: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (600, 600), np.uint8)).save(path)


def _grey16(path: Path, scan: Path) -> None:
    tifffile.imwrite(path, np.random.default_rng(0).integers(0, 65535, (600, 600), np.uint16))


def _bomb(path: Path, scan: Path) -> None:
    Image.new("1", (60_000, 60_000)).save(path)


BAD = {
    "truncated.tif": _truncated,
    "text.svs": _text,
    "noise.ndpi": _noise,
    "empty.png": _empty,
    "pixel.png": _one_pixel,
    "blank.png": _blank,
    "black.png": _black,
    "grey.png": _grey,
    "grey16.tif": _grey16,
    "bomb.png": _bomb,
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # from making the bomb
def test_every_bad_slide_fails_by_name_and_the_good_one_is_done(
    screen: Screen, scan_tif: Path, field_png: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(field_png, folder / "good.png")
    for name, make in BAD.items():
        make(folder / name, scan_tif)
    run = screen(folder, "--mpp", "0.2")
    assert run.code == 1
    rows = {Path(row["path"]).name: row for row in run.rows("slides.csv")}
    assert set(rows) == {*BAD, "good.png"}
    assert rows["good.png"]["status"] == "done"
    for name in BAD:
        assert rows[name]["status"] == "failed", name
        assert name in rows[name]["reason"], f"{name}: {rows[name]['reason']}"
        assert len(rows[name]["reason"].split(". ")) > 1, f"no remedy: {rows[name]['reason']}"
        assert "unexpected" not in rows[name]["reason"], rows[name]["reason"]
    patients = {row["patient_id"]: row["flag"] for row in run.rows("patients.csv")}
    assert len(patients) == len(BAD) + 1
    assert set(patients.values()) == {"insufficient"}


@pytest.mark.parametrize(
    "name", ["two words.png", "🩸.png", "..png", "-o.png", "a'b\"c.png", "=SUM(A1).png", "ä" * 100 + ".png"]
)
def test_a_hostile_name_is_only_a_name(screen: Screen, field_png: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(field_png, tmp_path / "in" / name)
    run = screen(tmp_path / "in", "--mpp", "0.2")
    if name == "..png":  # hidden by its leading dot
        assert run.code == 1
        return
    assert run.code == 0, run.said
    assert [row["path"] for row in run.rows("slides.csv")] == [str(tmp_path / "in" / name)]


def test_a_name_that_is_no_utf8_has_its_cells_for_qupath_and_so_has_the_next(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(field_png, os.fsdecode(os.fsencode(tmp_path / "in") + b"/bad\xff.png"))
    shutil.copy(field_png, tmp_path / "in" / "good.png")
    run = screen(tmp_path / "in", "--mpp", "0.2", "--geojson")
    assert run.code == 0, run.said
    again = tmp_path / "again"
    command = ["export", "last", "--state", str(tmp_path / "out.state"), "--out", str(again), "--geojson"]
    assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0
    cells = {f"{row['slide_id']} cell {row['cell_id']}" for row in run.rows("cells.csv")}
    pages = set((run.out / "report").glob("*.html")) - {run.out / "report" / "index.html"}
    for folder in (run.out, again):
        files = sorted((folder / "geojson").iterdir())
        assert [file.stem for file in files] == sorted(page.stem for page in pages)
        features = [feature for file in files for feature in json.loads(file.read_text("utf-8"))["features"]]
        assert {feature["properties"]["name"] for feature in features} == cells


@pytest.mark.timeout(120)
def test_pipes_to_which_nobody_writes_fail_by_name_and_the_slide_beside_them_is_done(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    pipes = [tmp_path / name for name in ("a.png", "b.png")]
    for pipe in pipes:
        os.mkfifo(pipe)
    run = screen(*pipes, field_png, "--mpp", "0.2")
    assert run.code == 1, run.said
    rows = {row["slide_id"]: row for row in run.rows("slides.csv")}
    assert rows["field"]["status"] == "done"
    for pipe in pipes:
        assert f"{pipe} is no file but a pipe" in rows[pipe.stem]["reason"]


def test_a_patient_named_like_a_path_stays_in_the_output_folder(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    run = screen(field_png, "--mpp", "0.2", "--patient", "../../escape")
    assert run.code == 0, run.said
    (patient,) = run.rows("patients.csv")
    assert patient["patient_id"] == "../../escape"
    assert not list(tmp_path.parent.glob("escape*"))
    assert len(list((run.out / "report").glob("*.html"))) == 2


def test_a_field_that_cannot_be_scaled_fails_and_its_patient_is_insufficient(screen: Screen, tmp_path: Path) -> None:
    image = np.full((400, 400, 3), 240, np.uint8)
    image[150:250, 150:250] = (90, 40, 130)
    Image.fromarray(image).save(tmp_path / "lonely.png")
    run = screen(tmp_path / "lonely.png")
    assert run.code == 1
    assert "--mpp" in run.rows("slides.csv")[0]["reason"]
    assert run.rows("patients.csv")[0]["flag"] == "insufficient"


def test_a_broken_field_is_left_out_by_name_and_the_slide_goes_on(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    (tmp_path / "fields").mkdir()
    shutil.copy(field_png, tmp_path / "fields" / "good.png")
    (tmp_path / "fields" / "bad.png").write_bytes(field_png.read_bytes()[:2000])
    (tmp_path / "w.csv").write_text("path,patient_id,mpp\nfields,P1,0.2\n", "utf-8")
    run = screen("--worksheet", tmp_path / "w.csv")
    (slide,) = run.rows("slides.csv")
    assert run.code == 1
    assert slide["status"] == "done" and "bad.png" in slide["reason"]


def test_an_output_that_is_a_file_is_said_before_the_work(screen: Screen, field_png: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", "utf-8")
    run = screen(field_png, out="taken/out")
    assert run.code == 2
    assert "taken" in run.said


@pytest.mark.parametrize("command", ["detect", "classify"])
def test_an_output_that_is_an_input_is_refused_before_it_is_written_over(
    field_png: Path, tmp_path: Path, command: str
) -> None:
    picture, preset = tmp_path / "in" / "b.png", tmp_path / "mine.toml"
    picture.parent.mkdir()
    shutil.copy(field_png, picture)
    preset.write_text("[report]\nmax_gallery_cells = 3\n", "utf-8")
    (tmp_path / "link.csv").symlink_to(picture)
    before = picture.read_bytes(), preset.read_text("utf-8")
    for given, out in (
        (picture, picture),
        (picture.parent, picture.parent / ".." / "in" / "b.png"),
        (picture, tmp_path / "link.csv"),
        (picture, preset),
    ):
        done = CliRunner().invoke(cli, [command, str(given), "--preset", str(preset), "--out", str(out)])
        assert done.exit_code == 2 and done.output.endswith("Name another place for --out\n"), done.output
        assert str(out) in done.output and "is an input" in done.output
    assert (picture.read_bytes(), preset.read_text("utf-8")) == before


@pytest.mark.parametrize("name", ["patients.csv", "slides.csv", "cells.csv", "run.json"])
def test_a_worksheet_whose_place_a_table_would_take_is_refused(
    screen: Screen, field_png: Path, tmp_path: Path, name: str
) -> None:
    worksheet, text = tmp_path / "out" / name, f"path,patient_id,mpp\n{field_png},P1,0.2\n"
    worksheet.parent.mkdir()
    worksheet.write_text(text, "utf-8")
    run = screen("--worksheet", worksheet)
    assert run.code == 2 and f"{worksheet} is an input and would be written over. Name another place" in run.said
    given = ["submit", "--worksheet", str(worksheet), "--out", str(run.out), "--state", str(tmp_path / "queue")]
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 2 and f"{worksheet} is an input" in done.output
    assert worksheet.read_text("utf-8") == text and list(run.out.iterdir()) == [worksheet]


def test_a_worksheet_that_lies_beside_the_tables_is_read_and_stays(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    worksheet, text = tmp_path / "out" / "worksheet.csv", f"path,patient_id,mpp\n{field_png},P1,0.2\n"
    worksheet.parent.mkdir()
    worksheet.write_text(text, "utf-8")
    assert screen("--worksheet", worksheet).code == 0
    assert worksheet.read_text("utf-8") == text


def test_a_file_that_cannot_be_finished_is_said_and_no_half_of_it_stays(field_png: Path, tmp_path: Path) -> None:
    out = tmp_path / "boxes.csv"
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64));"
        "from smearscan.cli.main import main; sys.argv[1:] = sys.argv[1:]; main()"
    )
    # A limit on the size of files stands in for a full disk (test_bad_hands.py fills one, where one can be mounted).
    done = subprocess.run(
        [sys.executable, "-c", code, "detect", str(field_png), "--mpp", "0.2", "--out", str(out)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "boxes.csv cannot be written" in done.stderr
    assert not list(tmp_path.iterdir())
