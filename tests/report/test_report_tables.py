"""The tables: columns as promised, the same bytes for the same records, safe and whole."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from fake_results import failed_slide, fake_cell, fake_patient, fake_run, fake_slide
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.classes import CellClass
from smearscan.errors import OutputError, TransientError
from smearscan.geometry import Mpp
from smearscan.records import Interval, PatientResult, Scale, SlideResult
from smearscan.report import atomic
from smearscan.report.atomic import make_folder
from smearscan.report.tables import write_patients, write_run, write_slide_tables

PATIENTS = (
    "patient_id,n_slides,n_leukocytes,n_blasts,blast_fraction,blast_fraction_low,blast_fraction_high,"
    "corrected_fraction,corrected_low,corrected_high,flag,reasons"
)
SLIDES = "slide_id,path,patient_id,status,reason,mpp,mpp_source,n_detections,n_leukocytes,n_blasts,seconds"
CELLS = (
    "slide_id,cell_id,x_px,y_px,width_px,height_px,detection_score,cell_class,class_probability,blast_probability,"
    "counted,field"
)


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))


def _write_all(folder: Path, patients: Sequence[PatientResult], slides: Sequence[SlideResult]) -> None:
    write_patients(folder / "patients.csv", patients)
    write_slide_tables(folder, slides)
    write_run(folder / "run.json", fake_run())


def test_every_table_begins_with_the_promised_columns_in_order(tmp_path: Path) -> None:
    patient = fake_patient()
    _write_all(tmp_path, [patient], patient.slides)
    for name, promised in (("patients", PATIENTS), ("slides", SLIDES), ("cells", CELLS)):
        header = (tmp_path / f"{name}.csv").read_text("utf-8").splitlines()[0]
        assert header == promised or header.startswith(promised + ",")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "cells.csv",
        "cells.parquet",
        "patients.csv",
        "run.json",
        "slides.csv",
    ]


def test_a_patients_row_holds_its_numbers_whatever_the_flag(tmp_path: Path) -> None:
    patient = fake_patient(flag="insufficient", reasons=["too few", "too blurred"])
    write_patients(tmp_path / "p.csv", [patient])
    (row,) = _rows(tmp_path / "p.csv")
    assert float(row["blast_fraction"]) == pytest.approx(patient.raw.estimate, abs=1e-8)
    assert int(row["n_blasts"]) == 38 and int(row["n_slides"]) == 2
    assert (row["flag"], row["reasons"]) == ("insufficient", "too few; too blurred")


def test_reasons_can_be_told_apart_again_whatever_they_say(tmp_path: Path) -> None:
    write_patients(tmp_path / "p.csv", [fake_patient(reasons=["slide a failed: no path; no id", "too few"])])
    (row,) = _rows(tmp_path / "p.csv")
    assert row["reasons"].split("; ") == ["slide a failed: no path, no id", "too few"]


def test_a_failed_slide_has_its_row_with_the_reason_and_no_scale(tmp_path: Path) -> None:
    write_slide_tables(tmp_path, [failed_slide("S1"), fake_slide("S2")])
    failed, done = _rows(tmp_path / "slides.csv")
    assert failed["status"] == "failed" and "truncated" in failed["reason"] and failed["mpp"] == ""
    assert done["status"] == "done" and float(done["mpp"]) == 0.1014 and done["mpp_source"] == "metadata"


def test_mpp_is_the_mean_of_x_and_y_which_stand_beside_it(tmp_path: Path) -> None:
    slide = fake_slide(cells=[], scale=Scale(Mpp(0.1, 0.2), "given"))
    write_slide_tables(tmp_path, [slide])
    (row,) = _rows(tmp_path / "slides.csv")
    assert [float(row[k]) for k in ("mpp", "mpp_x", "mpp_y")] == pytest.approx([0.15, 0.1, 0.2])


def test_cells_are_numbered_by_field_then_row_then_column_whatever_their_order(tmp_path: Path) -> None:
    cells = [fake_cell(x=5, y=9, field_name="b"), fake_cell(x=9, y=2), fake_cell(x=1, y=9), fake_cell(x=0, y=9)]
    for name, order in (("a", cells), ("b", cells[::-1])):
        (tmp_path / name).mkdir()
        write_slide_tables(tmp_path / name, [fake_slide(cells=order)])
    assert (tmp_path / "a/cells.csv").read_bytes() == (tmp_path / "b/cells.csv").read_bytes()
    assert (tmp_path / "a/cells.parquet").read_bytes() == (tmp_path / "b/cells.parquet").read_bytes()
    places = [(r["cell_id"], r["field"], r["y_px"], r["x_px"]) for r in _rows(tmp_path / "a/cells.csv")]
    assert places == [("1", "", "2", "9"), ("2", "", "9", "0"), ("3", "", "9", "1"), ("4", "b", "9", "5")]


def test_parquet_and_csv_hold_the_same_values(tmp_path: Path) -> None:
    slide = fake_slide()
    write_slide_tables(tmp_path, [slide])
    table = pyarrow.parquet.read_table(tmp_path / "cells.parquet").to_pylist()
    rows = _rows(tmp_path / "cells.csv")
    assert len(rows) == len(table) == len(slide.cells)
    assert list(rows[0]) == list(table[0])
    for row, typed in zip(rows, table, strict=True):
        assert float(row["blast_probability"]) == typed["blast_probability"]
        assert (row["counted"] == "true") is typed["counted"]
        assert int(row["x_px"]) == typed["x_px"] and row["cell_id"] == typed["cell_id"]


def test_tables_of_no_cells_and_no_patients_still_have_their_header(tmp_path: Path) -> None:
    _write_all(tmp_path, [], [])
    assert (tmp_path / "cells.csv").read_text("utf-8").startswith(CELLS)
    assert pyarrow.parquet.read_table(tmp_path / "cells.parquet").num_rows == 0


def test_timings_change_slides_and_run_only(tmp_path: Path) -> None:
    patient = fake_patient()
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        (tmp_path / name).mkdir()
        slides = tuple(replace(s, seconds={"detect": seconds}) for s in patient.slides)
        _write_all(tmp_path / name, [replace(patient, slides=slides)], slides)
    for file in ("patients.csv", "cells.csv", "cells.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a" / "slides.csv").read_bytes() != (tmp_path / "b" / "slides.csv").read_bytes()


def test_what_is_no_number_is_an_empty_field_and_minus_zero_is_zero(tmp_path: Path) -> None:
    patient = fake_patient(corrected=Interval(float("nan"), -0.0, float("inf")))
    write_patients(tmp_path / "p.csv", [patient])
    (row,) = _rows(tmp_path / "p.csv")
    assert (row["corrected_fraction"], row["corrected_low"], row["corrected_high"]) == ("", "0.0", "")


@settings(deadline=None, max_examples=60)
@given(st.floats(min_value=0, max_value=1))
def test_a_fraction_is_plain_decimal_digits_close_to_the_value(fraction: float) -> None:
    from smearscan.report.csv_text import csv_field, rounded

    text = csv_field(rounded(fraction, 8))
    assert set(text) <= set("0123456789.") and abs(float(text) - fraction) <= 5.1e-9


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=30))
def test_a_program_reads_back_the_very_id_that_was_given(patient_id: str) -> None:
    from smearscan.report.tables import _csv

    data = _csv(("patient_id", "n"), [{"patient_id": patient_id, "n": 1}, {"patient_id": "next", "n": 2}])
    rows = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    assert rows == [["patient_id", "n"], [patient_id, "1"], ["next", "2"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_ids_a_spreadsheet_could_run_are_quoted_and_sentences_get_an_apostrophe(start: str, tmp_path: Path) -> None:
    patient = fake_patient(f"{start}cmd", slides=[], reasons=[f"{start}cmd|' /C calc'!A0"])
    write_patients(tmp_path / "p.csv", [patient])
    assert f'\n"{start}cmd",' in (tmp_path / "p.csv").read_text("utf-8")
    (row,) = _rows(tmp_path / "p.csv")
    assert row["patient_id"] == f"{start}cmd" and row["reasons"].startswith(f"'{start}")


def test_a_file_name_that_is_no_utf8_is_written_as_escapes(tmp_path: Path) -> None:
    slide = fake_slide("S\udcff", cells=[fake_cell()])
    write_slide_tables(tmp_path, [slide])
    assert _rows(tmp_path / "slides.csv")[0]["slide_id"] == "S\\udcff" == _rows(tmp_path / "cells.csv")[0]["slide_id"]


def test_run_json_is_sorted_whole_and_without_nan(tmp_path: Path) -> None:
    run = replace(fake_run(), stage_seconds={"detect": float("nan"), "crop": 1.0})
    write_run(tmp_path / "run.json", run)
    read = json.loads((tmp_path / "run.json").read_text("utf-8"), parse_constant=pytest.fail)
    assert list(read) == sorted(read) and read["stage_seconds"] == {"crop": 1.0, "detect": None}
    assert read["weights_digests"] == fake_run().weights_digests


def test_a_folder_that_is_not_there_is_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent.*--out"):
        write_patients(tmp_path / "absent" / "patients.csv", [])
    (tmp_path / "patients.csv").mkdir()
    with pytest.raises(OutputError, match=r"patients\.csv"):
        write_patients(tmp_path / "patients.csv", [])
    assert [p.name for p in tmp_path.iterdir()] == ["patients.csv"]


def test_a_full_disk_keeps_the_old_file_whole_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_patients(tmp_path / "patients.csv", [])
    before = (tmp_path / "patients.csv").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(TransientError, match="disk is full"):
        write_patients(tmp_path / "patients.csv", [fake_patient(slides=[])])
    assert (tmp_path / "patients.csv").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["patients.csv"]


def test_only_counted_cells_are_a_slides_leukocytes_and_blasts(tmp_path: Path) -> None:
    cells = [
        fake_cell(),
        fake_cell(x=1, is_in_focus=False),
        fake_cell(CellClass.SMUDGE, x=2),
        fake_cell(CellClass.NEUTROPHIL),
    ]
    write_slide_tables(tmp_path, [fake_slide(cells=cells)])
    (row,) = _rows(tmp_path / "slides.csv")
    assert (row["n_detections"], row["n_leukocytes"], row["n_blasts"]) == ("4", "2", "1")


def test_a_folder_that_is_there_and_may_not_be_written_is_found_out_before_the_work(
    tmp_path: Path, ordinary_rights: None
) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match=r"closed cannot be written: Permission denied\. Choose another"):
        make_folder(tmp_path / "closed")
    make_folder(tmp_path)
