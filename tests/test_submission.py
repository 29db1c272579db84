"""Who was handed in: every slide keeps a name of its own and its patient, and a bad line costs only itself."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from smearscan.errors import WorksheetError
from smearscan.submission import gather, tell_apart


def _field(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(path)
    return path


def test_each_file_is_a_slide_and_a_patient_named_by_its_stem(tmp_path: Path) -> None:
    submission = gather([_field(tmp_path / "anna.png"), _field(tmp_path / "ben.png")])
    assert [(s.slide_id, s.patient_id) for s in submission.sources] == [("anna", "anna"), ("ben", "ben")]


def test_equal_stems_are_told_apart_by_their_folder_and_never_merged(tmp_path: Path) -> None:
    submission = gather([_field(tmp_path / "monday/01.png"), _field(tmp_path / "tuesday/01.png")])
    assert [s.patient_id for s in submission.sources] == ["monday/01", "tuesday/01"]


def test_equal_stems_in_one_folder_are_told_apart_by_their_suffix(tmp_path: Path) -> None:
    submission = gather([tmp_path / name for name in ("a.png", "a.bmp") if _field(tmp_path / name)])
    assert [s.slide_id for s in submission.sources] == ["a.png", "a.bmp"]


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    file = _field(tmp_path / "a.png")
    assert len(gather([file, tmp_path, file]).sources) == 1


def test_one_patient_for_all_inputs(tmp_path: Path) -> None:
    submission = gather([_field(tmp_path / "a.png"), _field(tmp_path / "b.png")], patient="P7")
    assert {s.patient_id for s in submission.sources} == {"P7"}
    assert [s.slide_id for s in submission.sources] == ["a", "b"]


def test_what_does_not_exist_and_an_empty_folder_are_rejected_by_name(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    submission = gather([tmp_path / "nowhere.svs", tmp_path / "empty"])
    assert not submission.sources
    assert "nowhere.svs: no such file" in submission.rejected[0].reason
    assert "no image in this folder" in submission.rejected[1].reason


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=8))
def test_no_two_paths_ever_share_a_name(parts: list[list[str]]) -> None:
    paths = [Path("/root", *folders[:-1], f"{folders[-1]}.tif") for folders in parts]
    assert len(set(tell_apart(paths))) == len(paths)


def test_a_stem_that_is_the_whole_name_of_another_file_merges_no_patients(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a.tif.png"):
        _field(tmp_path / name)
    submission = gather([tmp_path])
    assert {Path(s.path).name: s.patient_id for s in submission.sources} == {
        "a.tif": "a.tif", "a.png": "a.png", "a.tif.png": "a.tif.png",
    }  # fmt: skip


def test_the_number_of_a_path_listed_twice_is_never_the_name_of_another_file() -> None:
    twice = [Path("/in/a.tif"), Path("/in/a.tif"), Path("/in/a#2.tif")]
    assert len(set(tell_apart(twice))) == 3
    assert tell_apart([Path("/in/a.tif"), Path("/in/a.tif")]) == ["a", "a#2"]


_NAMES = st.sampled_from(
    ["a", "a.tif", "a.png", "a.tif.png", "a#2.tif", "a.tif#2", "b/a", "b/a.tif", "c/b/a.tif", "#2"]
)


@given(st.lists(_NAMES, max_size=8), st.randoms(use_true_random=False))
def test_names_are_never_shared_and_never_depend_on_the_order(files: list[str], order: Random) -> None:
    """Relative paths and whole ones, files below what is a file elsewhere: whatever a worksheet may list."""
    paths = [Path(file) for file in files] + [Path("/a.tif", file) for file in files[::2]]
    names = tell_apart(paths)
    assert len(set(names)) == len(paths)
    mixed = order.sample(paths, len(paths))
    assert sorted(zip(paths, names, strict=True)) == sorted(zip(mixed, tell_apart(mixed), strict=True))


def _worksheet(folder: Path, text: str) -> Path:
    path = folder / "worksheet.csv"
    path.write_text(text, "utf-8")
    return path


def test_a_worksheet_alone_is_enough_and_its_paths_are_relative_to_it(tmp_path: Path) -> None:
    _field(tmp_path / "scans/a.png")
    sheet = _worksheet(tmp_path, "path,patient_id,mpp,wbc_10e9_per_l\nscans/a.png,P1,0.25,4.2\n")
    (source,) = gather([], sheet).sources
    assert (source.patient_id, source.mpp_given, source.wbc_10e9_per_l) == ("P1", 0.25, 4.2)


def test_a_folder_in_a_worksheet_is_one_slide_made_of_fields(tmp_path: Path) -> None:
    for name in ("1.png", "2.png"):
        _field(tmp_path / "fields" / name)
    (source,) = gather([], _worksheet(tmp_path, "path,patient_id\nfields,P1\n")).sources
    assert [Path(p).name for p in source.paths] == ["1.png", "2.png"]


def test_semicolons_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    _field(tmp_path / "a.png")
    path = tmp_path / "w.csv"
    path.write_bytes("\ufeffpath;patient_id\r\na.png;Ä1\r\n".encode())
    assert gather([], path).sources[0].patient_id == "Ä1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path\na.png\n", "no column patient_id"),
        ("path,patient_id,colour\na.png,P1,red\n", "colour"),
        ("path,patient_id\n", "lists no slide"),
        ("", "no column path"),
        ("path,patient_id\na\x00.png,P1\n", "null bytes"),
        (
            'path,patient_id,specimen\na.png,P1,"blood\nb.png,P2,blood\nc.png,P3,blood\n',
            "line 2 has a quote that is not",
        ),
        (
            'path,patient_id,specimen\na.png,P1,blood\n\nb.png,P2,"blood\nc.png,P3,"x"\n',
            "line 4 has a quote that is not",
        ),
        (f"path,patient_id\na.png,{'P' * 200_000}\n", "line 2"),
    ],
)
def test_a_worksheet_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(WorksheetError, match=says):
        gather([], _worksheet(tmp_path, text))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("gone.png,P2,", "no such file"),
        ("a.png,P1,", "listed twice"),
        ("b.png,,", "no patient_id"),
        (",P3,", "no path"),
        ("b.png,P2,wide", "mpp must be a positive number"),
        ("b.png,P2,-1", "mpp must be a positive number"),
        ("b.png,P2,nan", "mpp must be a positive number"),
        ("b.png,P2,inf", "mpp must be a positive number"),
        ("b.png,P2,250", "line 3: mpp must be from 0.02 to 5 µm per pixel, not '250' (divide nm by 1000)"),
        ("b.png,P2,1e-300", "mpp must be from 0.02 to 5"),
        ("b.png,P2,0.1,more", "more cells than columns"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason_and_the_others_go_on(tmp_path: Path, line: str, says: str) -> None:
    _field(tmp_path / "a.png")
    _field(tmp_path / "b.png")
    submission = gather([], _worksheet(tmp_path, f"path,patient_id,mpp\na.png,P1,0.2\n{line}\n"))
    assert [s.patient_id for s in submission.sources] == ["P1"]
    assert says in submission.rejected[0].reason


def test_lines_that_a_quote_made_one_are_refused_by_the_first_of_them(tmp_path: Path) -> None:
    """Closed by chance further down, it hides the lines between: nothing else would say so."""
    for name in "abcd":
        _field(tmp_path / f"{name}.png")
    lines = 'a.png,P1,"blood\nb.png,P2,blood\nc.png,P3,"\nd.png,P4,\n'
    submission = gather([], _worksheet(tmp_path, f"path,patient_id,specimen\n{lines}"))
    assert [s.patient_id for s in submission.sources] == ["P4"]
    (rejected,) = submission.rejected
    assert "line 2: a line break within a cell" in rejected.reason


@pytest.mark.parametrize("between", ["\n", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\x07"])
def test_patients_that_differ_in_what_nobody_sees_are_not_merged(tmp_path: Path, between: str) -> None:
    for name in "abc":
        _field(tmp_path / f"{name}.png")
    lines = f'a.png,"P1{between}2"\nb.png,P12\nc.png,P1\n'
    submission = gather([], _worksheet(tmp_path, f"path,patient_id\n{lines}"))
    assert [(s.slide_id, s.patient_id) for s in submission.sources] == [("b", "P12"), ("c", "P1")]
    (rejected,) = submission.rejected
    assert "line 2: " in rejected.reason and "Mend the line" in rejected.reason


def test_lines_may_end_as_on_any_system_and_blank_ones_are_passed_over(tmp_path: Path) -> None:
    _field(tmp_path / "a.png")
    for end in ("\n", "\r\n", "\r"):
        sheet = tmp_path / "w.csv"
        sheet.write_bytes(end.join(["path, patient_id", "", " , ", 'a.png, "P1"', "gone.png"]).encode())
        submission = gather([], sheet)
        assert [s.patient_id for s in submission.sources] == ["P1"]
        assert "line 5: no patient_id" in submission.rejected[0].reason


def test_a_white_count_per_microlitre_is_refused_and_the_highest_there_are_is_not(tmp_path: Path) -> None:
    for name in "ab":
        _field(tmp_path / f"{name}.png")
    submission = gather([], _worksheet(tmp_path, "path,patient_id,wbc_10e9_per_l\na.png,P1,7500\nb.png,P2,1500\n"))
    assert [(s.patient_id, s.wbc_10e9_per_l) for s in submission.sources] == [("P2", 1500.0)]
    assert "line 2: wbc_10e9_per_l must be from 0 to 2000 10⁹ cells per litre" in submission.rejected[0].reason
    assert "divide a count per µL by 1000" in submission.rejected[0].reason


def test_between_semicolons_a_decimal_may_have_a_comma_and_elsewhere_it_is_told_how_to_write_it(tmp_path: Path) -> None:
    _field(tmp_path / "a.png")
    columns, line = ["path", "patient_id", "mpp", "wbc_10e9_per_l"], ["a.png", "P1", "0,21", "7,1"]
    written_by_excel = "\ufeff" + "\r\n".join(";".join(cells) for cells in (columns, line)) + "\r\n"
    (source,) = gather([], _worksheet(tmp_path, written_by_excel)).sources
    assert (source.mpp_given, source.wbc_10e9_per_l) == (0.21, 7.1)
    for odd in ("1,234,5", "1.234,5", ",5", "7,"):
        (refused,) = gather([], _worksheet(tmp_path, f"path;patient_id;wbc_10e9_per_l\na.png;P1;{odd}\n")).rejected
        assert "must be a positive number" in refused.reason
    (refused,) = gather([], _worksheet(tmp_path, 'path,patient_id,mpp\na.png,P1,"0,21"\n')).rejected
    assert "mpp must be a positive number, not '0,21' (write 0.21)" in refused.reason


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("a.png,P1,0,21", "a.png,P1,0.21", "line 2: more cells than columns"),
        ("a.png,P1,wide", "a.png,P1,0.21", "line 2: mpp must be a positive number"),
        ("a.png,P1,0.21", "a.png,,0.21", "line 3: no patient_id"),
        ("a.png,,0.21", "a.png,P1,0.21", "line 2: no patient_id"),
    ],
)
def test_a_bad_line_takes_no_good_line_of_the_same_slide_with_it(
    tmp_path: Path, first: str, second: str, says: str
) -> None:
    _field(tmp_path / "a.png")
    submission = gather([], _worksheet(tmp_path, f"path,patient_id,mpp\n{first}\n{second}\n"))
    (source,) = submission.sources
    assert (source.slide_id, source.patient_id, source.mpp_given) == ("a", "P1", 0.21)
    (rejected,) = submission.rejected
    assert says in rejected.reason and not rejected.is_repeated


def test_a_line_without_a_path_lists_no_slide_of_the_folder(tmp_path: Path) -> None:
    for name in "ab":
        _field(tmp_path / f"{name}.png")
    submission = gather([tmp_path], _worksheet(tmp_path, "path,patient_id\na.png,P1\n,P3\n"))
    assert [s.slide_id for s in submission.sources] == ["a"]
    no_path, stranger = submission.rejected
    assert "no path" in no_path.reason and stranger.source.path == str(tmp_path / "b.png")


def test_an_absent_slide_that_is_listed_twice_is_counted_by_nobody(tmp_path: Path) -> None:
    submission = gather([], _worksheet(tmp_path, "path,patient_id\ngone.png,P1\ngone.png,P1\n"))
    assert ["no such file" in rejected.reason for rejected in submission.rejected] == [True, True]


def test_a_slide_under_two_patients_is_given_to_neither(tmp_path: Path) -> None:
    _field(tmp_path / "a.png")
    submission = gather([], _worksheet(tmp_path, "path,patient_id\na.png,P1\na.png,P2\n"))
    assert not submission.sources
    assert [r.source.patient_id for r in submission.rejected] == ["P1", "P2"]


def test_a_slip_in_another_cell_makes_a_second_patient_of_a_slide_no_less_one(tmp_path: Path) -> None:
    """Whose it is nobody here can say: the line that is whole may be the one that is wrong."""
    _field(tmp_path / "a.png")
    submission = gather([], _worksheet(tmp_path, "path,patient_id,mpp\na.png,P1,wide\na.png,P2,0.2\n"))
    assert not submission.sources
    assert "listed under several patients" in submission.rejected[1].reason


def test_an_input_that_the_worksheet_does_not_list_is_rejected(tmp_path: Path) -> None:
    _field(tmp_path / "a.png")
    sheet = _worksheet(tmp_path, "path,patient_id\na.png,P1\n")
    submission = gather([tmp_path / "a.png", _field(tmp_path / "b.png")], sheet)
    assert [s.slide_id for s in submission.sources] == ["a"]
    assert "not in the worksheet" in submission.rejected[0].reason
