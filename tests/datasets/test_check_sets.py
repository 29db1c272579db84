"""A check names everything that is wrong with a set, and the command line exits accordingly."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from set_on_disk import class_folders, grades, save

from smearscan.cli.main import cli
from smearscan.datasets import check_set
from smearscan.datasets.check import MOST_NAMED


def test_a_whole_folder_has_no_problem_and_counts_its_images(tmp_path: Path) -> None:
    report = check_set("folder", class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]}))
    assert report.is_whole
    assert report.counts["classes"] == {"a": 2, "b": 1}
    assert report.counts["blocks"] == {"a:0000": 2, "b:0000": 1}


def test_every_corrupt_image_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]})
    (tmp_path / "a" / "9.png").write_bytes(b"")
    (tmp_path / "b" / "8.png").write_bytes(b"not an image")
    problems = check_set("folder", tmp_path).problems
    assert [line.split(":")[1].strip() for line in problems] == ["a/9.png", "b/8.png"]
    assert all(line.startswith("corrupt") for line in problems)


def test_an_incomplete_set_says_how_many_of_which_class_lack(tmp_path: Path) -> None:
    problems = check_set("taleqani", grades(tmp_path, 2), duplicates=False).problems
    assert "missing: 502 of 504 images of class Benign" in problems


def test_absent_files_of_a_table_are_missing(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 1)
    (tmp_path / "set.csv").write_text("path,label\na.png,x\ngone.png,y\n")
    assert any("missing: gone.png" in line for line in check_set("csv", tmp_path / "set.csv").problems)


def test_a_set_that_cannot_be_loaded_is_one_problem(tmp_path: Path) -> None:
    report = check_set("cnmc", tmp_path)
    assert len(report.problems) == 1
    assert "no image of C-NMC 2019" in report.problems[0]


def test_the_same_bytes_under_two_classes_are_a_fault_and_under_one_a_note(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]})
    save(tmp_path / "a" / "again.png", 1)
    report = check_set("folder", tmp_path)
    assert report.is_whole
    assert any("a/1.png, a/again.png" in note for note in report.notes)
    save(tmp_path / "b" / "again.png", 1)
    assert any("several classes" in line for line in check_set("folder", tmp_path).problems)


def test_equal_pictures_with_different_boxes_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    for name, kind in (("one", 0), ("two", 1), ("three", 2)):
        save(tmp_path / "images" / f"{name}.png", 1 if kind < 2 else 5)
        (tmp_path / "labels" / f"{name}.txt").write_text(f"{kind} 0.5 0.5 0.5 0.5\n")
    report = check_set("txl", tmp_path)
    assert report.is_whole
    assert any("show the same" in note for note in report.notes)


def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png"], "b": ["1.png"]})
    for i in range(MOST_NAMED + 5):
        (tmp_path / "a" / f"bad{i}.png").write_bytes(b"x")
    problems = check_set("folder", tmp_path, duplicates=False).problems
    assert len(problems) == MOST_NAMED + 1
    assert problems[-1] == "corrupt: 5 more"


def test_the_command_prints_counts_and_exits_by_what_it_found(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]})
    good = CliRunner().invoke(cli, ["data", "check", "folder", str(tmp_path)])
    assert (good.exit_code, "a  2" in good.output) == (0, True)
    (tmp_path / "b" / "bad.png").write_bytes(b"x")
    bad = CliRunner().invoke(cli, ["data", "check", "folder", str(tmp_path)])
    assert bad.exit_code == 1
    assert "b/bad.png" in bad.output


def test_an_unknown_set_is_refused_by_the_command(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["data", "check", "nothing", str(tmp_path)])
    assert result.exit_code == 2
    assert "there is no set 'nothing'" in result.output


def test_all_sets_are_listed_with_their_source() -> None:
    result = CliRunner().invoke(cli, ["data", "list"])
    assert result.exit_code == 0
    assert "munich_aml" in result.output
    assert "tcia" in result.output
