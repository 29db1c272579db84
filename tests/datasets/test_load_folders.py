"""Folders of class folders: found wherever they were unpacked to, refused by name where they are not what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from set_on_disk import class_folders, grades, save

from smearscan.datasets import list_sets, load_set
from smearscan.errors import DatasetError, SettingsError


def test_grades_are_read_with_blocks_of_file_numbers_for_subjects(tmp_path: Path) -> None:
    found = load_set("taleqani", grades(tmp_path))
    assert found.classes == ("Benign", "Early", "Pre", "Pro")
    assert not found.has_subjects
    assert [s.subject for s in found.samples if s.label == "Pro"][:4] == ["Pro:0000"] * 3 + ["Pro:0050"]
    assert found.samples[0].path == "Benign/WBC-Benign-001.jpg"
    assert any("not the complete set" in note for note in found.notes)


def test_samples_stand_in_the_natural_order_of_their_paths(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["x10.png", "x9.png"], "b": ["y2.png", "y1.png"]})
    paths = [sample.path for sample in load_set("folder", tmp_path).samples]
    assert paths == ["a/x9.png", "a/x10.png", "b/y1.png", "b/y2.png"]


@pytest.mark.parametrize("folder", ["early", "[Malignant] early Pre-B", "EARLY Pre-B", "Malignant_Early"])
def test_names_of_the_public_copies_mean_the_same_grade(tmp_path: Path, folder: str) -> None:
    class_folders(
        tmp_path, {folder: ["a 1.jpg"], "benign": ["b 1.jpg"], "Pre": ["c 1.jpg"], "[Malignant] Pro-B": ["d.jpg"]}
    )
    assert {s.path.split("/")[0]: s.label for s in load_set("taleqani", tmp_path).samples}[folder] == "Early"


def test_the_set_is_found_two_folders_deeper(tmp_path: Path) -> None:
    grades(tmp_path / "download" / "Original")
    assert load_set("taleqani", tmp_path).root == tmp_path / "download" / "Original"


def test_two_copies_beside_each_other_are_refused_by_name(tmp_path: Path) -> None:
    grades(tmp_path / "Original", 2)
    grades(tmp_path / "Segmented", 2)
    for name in ("taleqani", "folder"):
        with pytest.raises(DatasetError, match="Original, Segmented"):
            load_set(name, tmp_path)


def test_folders_inside_class_folders_are_subjects(tmp_path: Path) -> None:
    class_folders(tmp_path, {"all/p1": ["1.png", "2.png"], "all/p2": ["1.png"], "hem/h1": ["1.png"]})
    found = load_set("folder", tmp_path)
    assert found.has_subjects
    assert [(s.label, s.subject) for s in found.samples] == [("all", "p1"), ("all", "p1"), ("all", "p2"), ("hem", "h1")]


def test_numbers_with_holes_of_thousands_are_counted_by_rank(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": [f"LY_{i * 1000}.png" for i in range(60)], "b": ["MO_5.png"]})
    subjects = [s.subject for s in load_set("folder", tmp_path).samples if s.label == "a"]
    assert subjects == ["a:0000"] * 50 + ["a:0050"] * 10


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"Benign": ["1.jpg"], "Early": ["1.jpg"], "Pre": ["1.jpg"]}, "no image of class Pro"),
        ({"cats": ["1.jpg"], "dogs": ["1.jpg"]}, "Benign, Early, Pre, Pro are not here"),
    ],
)
def test_a_class_that_lacks_is_named(tmp_path: Path, files: dict[str, list[str]], said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        load_set("taleqani", class_folders(tmp_path, files))


def test_an_empty_class_folder_is_named(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png"], "b": ["1.png"]})
    (tmp_path / "c").mkdir()
    with pytest.raises(DatasetError, match="no image of class c"):
        load_set("folder", tmp_path)


def test_of_two_classes_the_blasts_stand_last_whatever_they_are_called(tmp_path: Path) -> None:
    class_folders(tmp_path / "two", {"Leukaemia": ["1.png"], "normal": ["1.png"]})
    class_folders(tmp_path / "three", {"blast": ["1.png"], "normal": ["1.png"], "smudge": ["1.png"]})
    assert load_set("folder", tmp_path / "two").classes == ("normal", "Leukaemia")
    assert load_set("folder", tmp_path / "three").classes == ("blast", "normal", "smudge")


def test_what_is_no_class_is_left_out_and_told(tmp_path: Path) -> None:
    grades(tmp_path, 2)
    save(tmp_path / "masks" / "1.png", 1)
    assert "left out, no class of this set: masks" in load_set("taleqani", tmp_path).notes


@pytest.mark.parametrize("hidden", [".cache", "__MACOSX"])
def test_hidden_folders_and_companions_are_no_images(tmp_path: Path, hidden: str) -> None:
    class_folders(tmp_path, {"a": ["1.png", "._1.png"], "b": ["1.png"], hidden: ["1.png"]})
    assert len(load_set("folder", tmp_path).samples) == 2


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        load_set("folder", tmp_path / "gone")
    with pytest.raises(DatasetError, match="is a file"):
        load_set("pbc", save(tmp_path / "x.png", 1))


def test_an_unknown_set_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cnmc"):
        load_set("mnist", tmp_path)
    assert {"cnmc", "taleqani", "pbc", "munich_aml", "all_idb1", "all_idb2", "bccd", "txl"} <= set(list_sets())


def test_the_shared_fields_are_whole_folders_of_grades(shared_data: Path) -> None:
    found = load_set("taleqani", shared_data / "taleqani")
    assert len(found.samples) == 2608
    assert len({s.subject for s in found.samples}) == 61


def test_a_single_class_is_a_set_too(tmp_path: Path) -> None:
    class_folders(tmp_path, {"Pre": ["1.png", "2.png"]})
    assert load_set("folder", tmp_path).classes == ("Pre",)
