"""The main job: a smear goes in, a patient's report comes out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from finished_run import Run
from PIL import Image

from smearscan.classes import COUNTED, CellClass
from smearscan.cli.main import cli
from smearscan.synth import read_truth

Screen = Callable[..., Run]


@pytest.fixture(scope="module")
def screened(scan_tif: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run over the scan, shared by the tests that only look at it."""
    out = tmp_path_factory.mktemp("run")
    result = CliRunner().invoke(
        cli, ["screen", str(scan_tif), "--out", str(out), "--jobs", "1"], catch_exceptions=False
    )
    return Run(result.exit_code, result.output, out)


def test_a_scan_is_screened_and_its_report_named(screened: Run) -> None:
    assert screened.code == 0, screened.said
    assert "report:" in screened.said
    assert (screened.out / "report" / "scan.html").is_file()
    (patient,) = screened.rows("patients.csv")
    assert patient["patient_id"] == "scan" and patient["flag"]
    (slide,) = screened.rows("slides.csv")
    assert (slide["status"], slide["mpp_source"]) == ("done", "metadata")
    assert float(slide["mpp"]) == pytest.approx(0.2, rel=0.01)


def test_almost_every_true_leukocyte_is_found_once(screened: Run, scan_tif: Path) -> None:
    truth = [cell.box for cell in read_truth(scan_tif.with_suffix(".truth.csv")) if cell.cell_class in COUNTED]
    found = [(float(r["x_px"]) + float(r["width_px"]) / 2, float(r["y_px"]) + float(r["height_px"]) / 2)
             for r in screened.rows("cells.csv")]  # fmt: skip
    hits = [sum(box.x <= x < box.right and box.y <= y < box.bottom for x, y in found) for box in truth]
    assert sum(n > 0 for n in hits) >= 0.95 * len(truth)
    # Touching cells' boxes overlap, so one centre may lie in two boxes; doubled cells would show as many.
    assert sum(n > 1 for n in hits) <= 0.05 * len(truth)


def test_tables_agree_with_one_another(screened: Run) -> None:
    cells, (patient,), (slide,) = (screened.rows(f"{name}.csv") for name in ("cells", "patients", "slides"))
    counted = [cell for cell in cells if cell["counted"] == "true"]
    blasts = [cell for cell in counted if cell["cell_class"] == "blast"]
    assert len(cells) == int(slide["n_detections"])
    assert len(counted) == int(patient["n_leukocytes"]) == int(slide["n_leukocytes"])
    assert len(blasts) == int(patient["n_blasts"]) == int(slide["n_blasts"])
    assert float(patient["blast_fraction"]) == pytest.approx(len(blasts) / len(counted), abs=1e-6)
    assert all(0 <= float(cell["blast_probability"]) <= 1 for cell in cells)
    assert pyarrow.parquet.read_table(screened.out / "cells.parquet").num_rows == len(cells)


def test_the_run_says_what_made_it(screened: Run) -> None:
    run = json.loads((screened.out / "run.json").read_text("utf-8"))
    assert len(run["settings_digest"]) == 64
    assert all(len(digest) == 64 for digest in run["weights_digests"].values())
    assert run["versions"]["torch"]


def test_the_cells_for_qupath_are_those_of_the_table_and_an_export_writes_the_same(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    run = screen(field_png, "--mpp", "0.2", "--geojson")
    cells = {f"field cell {row['cell_id']}": row for row in run.rows("cells.csv")}
    features = json.loads((run.out / "geojson" / "field.geojson").read_text("utf-8"))["features"]
    assert [feature["properties"]["name"] for feature in features] == list(cells)
    for feature in features:
        row, ring = cells[feature["properties"]["name"]], feature["geometry"]["coordinates"][0]
        x, y, width, height = (int(row[name]) for name in ("x_px", "y_px", "width_px", "height_px"))
        assert (ring[0], ring[2]) == ([x, y], [x + width, y + height])
        title = feature["properties"]["classification"]["name"]
        assert title == CellClass(row["cell_class"]).title
        measured = feature["properties"]["measurements"]["Blast probability"]
        assert measured == pytest.approx(float(row["blast_probability"]), abs=1e-6)
    again = tmp_path / "again"
    command = ["export", "last", "--state", str(tmp_path / "out.state"), "--out", str(again)]
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert not (again / "geojson").exists()
    assert CliRunner().invoke(cli, [*command, "--geojson"]).exit_code == 0
    name = "geojson/field.geojson"
    assert (again / name).read_bytes() == (run.out / name).read_bytes()


def test_a_run_into_the_folder_of_a_larger_one_removes_no_page_and_names_those_it_does_not_list(
    screen: Screen, field_png: Path, tmp_path: Path
) -> None:
    for name in ("p1", "p2"):
        shutil.copy(field_png, tmp_path / f"{name}.png")
    first = screen(*(tmp_path / f"{name}.png" for name in ("p1", "p2")), "--mpp", "0.2")
    pages = first.out / "report"
    assert "p2.html" not in first.said
    second = screen(tmp_path / "p1.png", "--mpp", "0.2")
    assert {page.name for page in pages.iterdir()} == {"index.html", "p1.html", "p2.html"}
    told = f"warning: {pages} holds pages that this run did not write and does not list: p2.html"
    assert told in second.said
    command = ["export", "last", "--state", str(tmp_path / "out.state"), "--out", str(first.out)]
    assert told in CliRunner().invoke(cli, command).output


def test_the_report_asks_nothing_of_any_server(screened: Run) -> None:
    page = (screened.out / "report" / "scan.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert not [word for word in ('src="http', "url(http", "@import", '<link rel="stylesheet"') if word in page]
    assert len(page) < 10_000_000


def test_a_field_without_scale_is_measured_and_marked(screen: Screen, field_png: Path) -> None:
    run = screen(field_png)
    (slide,) = run.rows("slides.csv")
    assert run.code == 0, run.said
    assert slide["mpp_source"] == "estimated"
    assert float(slide["mpp"]) == pytest.approx(0.2, rel=0.12)


def test_a_given_scale_is_taken_and_marked(screen: Screen, field_png: Path) -> None:
    (slide,) = screen(field_png, "--mpp", "0.2").rows("slides.csv")
    assert (slide["mpp_source"], float(slide["mpp"])) == ("given", 0.2)


def test_few_cells_are_insufficient_with_their_numbers_still_there(screen: Screen, field_png: Path) -> None:
    (patient,) = screen(field_png, "--mpp", "0.2").rows("patients.csv")
    assert patient["flag"] == "insufficient"
    assert "fewer than 200" in patient["reasons"]
    assert patient["blast_fraction_high"] != ""


def test_a_folder_of_fields_in_a_worksheet_is_one_slide(screen: Screen, field_png: Path, tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    shutil.copy(field_png, tmp_path / "fields" / "a.png")
    # The same picture in other bytes: a copy of the file would be counted once.
    Image.open(field_png).save(tmp_path / "fields" / "b.png", compress_level=1)
    (tmp_path / "w.csv").write_text("path,patient_id,mpp\nfields,P1,0.2\n", "utf-8")
    run = screen("--worksheet", tmp_path / "w.csv")
    assert [row["patient_id"] for row in run.rows("slides.csv")] == ["P1"]
    cells = run.rows("cells.csv")
    assert {cell["field"] for cell in cells} == {"a.png", "b.png"}
    a, b = ([(c["x_px"], c["blast_probability"]) for c in cells if c["field"] == name] for name in ("a.png", "b.png"))
    assert a == b, "the same picture twice must read the same twice"


@pytest.mark.slow
def test_the_same_bytes_for_any_number_of_jobs_and_any_chunk(
    screen: Screen, scan_tif: Path, field_png: Path, tmp_path: Path
) -> None:
    from smearscan.resources import configs_folder

    preset = (configs_folder() / "presets" / "default.toml").read_text("utf-8")
    small = tmp_path / "small.toml"
    small.write_text(preset.replace("chunk_cells = ", "chunk_cells = 7 # "), "utf-8")
    runs = [
        screen(scan_tif, field_png, out="one"),
        screen(scan_tif, field_png, out="three", jobs=3),
        screen(scan_tif, field_png, "--preset", small, out="small"),
    ]
    for name in ("patients.csv", "cells.csv", "cells.parquet"):
        assert len({(run.out / name).read_bytes() for run in runs}) == 1, name
