"""C-NMC 2019 by the names of its publisher: subjects merged, phases told apart, damage named."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from pathlib import Path

import pytest
from cnmc_on_disk import second_phase, some_of_it, whole_first_phase
from set_on_disk import save

from smearscan.datasets import check_set, load_set
from smearscan.datasets.cnmc_list import by_key, listed_files, merged_subjects, parse_name, part_of
from smearscan.errors import DatasetError


def test_the_list_holds_all_images_of_all_phases() -> None:
    parts = Counter(part_of(file.path) for file in listed_files() if file.name.endswith(".bmp"))
    assert parts == {"train_fold_0": 3527, "train_fold_1": 3581, "train_fold_2": 3553, "phase2": 1867, "phase3": 2586}
    labels = Counter(said.label for file in listed_files() if (said := parse_name(file.name)))
    assert labels == {"all": 7272, "hem": 3389}
    assert len(by_key()) == len(listed_files())


def test_subjects_that_share_a_file_are_one() -> None:
    joined = {name for name in merged_subjects().values() if "+" in name}
    assert joined == {"20+21", "51+75+78", "H2+H4+H5+H6", "H3+H10"}
    assert merged_subjects()["75"] == "51+75+78"


def test_no_file_stands_under_two_subjects_after_merging() -> None:
    holders: dict[str, set[str]] = {}
    for sample, file in zip(
        whole_first_phase().samples, (f for f in listed_files() if parse_name(f.name)), strict=True
    ):
        holders.setdefault(file.digest, set()).add(sample.subject)
    assert max(map(len, holders.values())) == 1


def test_part_of_the_set_is_read_and_what_lacks_is_told(tmp_path: Path) -> None:
    found = load_set("cnmc", some_of_it(tmp_path))
    assert found.classes == ("hem", "all")
    assert {s.part for s in found.samples} == {"train_fold_0", "train_fold_1", "train_fold_2"}
    assert any(note.startswith("not here: 2586 images of phase3") for note in found.notes)


def test_phase_two_takes_class_and_subject_from_its_table(tmp_path: Path) -> None:
    some_of_it(tmp_path)
    second_phase(tmp_path, {"1.bmp": "UID_57_29_1_all.bmp", "2.bmp": "UID_H30_2_1_hem.bmp"})
    rows = [(s.label, s.subject) for s in load_set("cnmc", tmp_path).samples if s.part == "phase2"]
    assert rows == [("all", "57"), ("hem", "H30")]


def test_phase_two_without_its_table_has_no_labels_and_says_so(tmp_path: Path) -> None:
    some_of_it(tmp_path)
    second_phase(tmp_path, {"1.bmp": "UID_57_29_1_all.bmp"})
    next(tmp_path.rglob("*labels.csv")).unlink()
    found = load_set("cnmc", tmp_path)
    assert [s.label for s in found.samples if s.part == "phase2"] == [""]
    assert any("without label" in note for note in found.notes)


@pytest.mark.parametrize("line", ["UID_57_29_1_all.bmp,1.bmp,0", "patient,1.bmp,1", "UID_57_29_1_all.bmp,,1"])
def test_a_table_that_contradicts_itself_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    second_phase(some_of_it(tmp_path), {"1.bmp": "UID_57_29_1_all.bmp"})
    table = next(tmp_path.rglob("*labels.csv"))
    table.write_text(f"Patient_ID,new_names,labels\n{line}\n")
    with pytest.raises(DatasetError, match="line 2"):
        load_set("cnmc", tmp_path)


def test_labels_of_phase_three_are_kept_back(tmp_path: Path) -> None:
    some_of_it(tmp_path)
    save(tmp_path / "C-NMC_Leukemia" / "testing_data" / "C-NMC_test_final_phase_data" / "7.bmp", 1)
    rows = [s for s in load_set("cnmc", tmp_path).samples if s.part == "phase3"]
    assert [(s.label, s.subject) for s in rows] == [("", "phase3")]


def test_one_image_in_two_places_is_refused(tmp_path: Path) -> None:
    some_of_it(tmp_path)
    first = next(tmp_path.rglob("UID_*_all.bmp"))
    shutil.copy(first, tmp_path / first.name)
    with pytest.raises(DatasetError, match="are one image"):
        load_set("cnmc", tmp_path)


def test_a_folder_of_something_else_is_refused_with_what_is_expected(tmp_path: Path) -> None:
    save(tmp_path / "cat.png", 1)
    with pytest.raises(DatasetError, match="UID_11_10_1_all"):
        load_set("cnmc", tmp_path)


def test_one_class_alone_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "UID_11_10_1_all.bmp", 1)
    with pytest.raises(DatasetError, match="no image of class hem"):
        load_set("cnmc", tmp_path)


def test_a_check_names_altered_files_and_parts_that_lack(tmp_path: Path) -> None:
    report = check_set("cnmc", some_of_it(tmp_path), quick=True)
    assert not report.is_whole
    assert any("altered" in line and "608454" in line for line in report.problems)
    assert any("all 2586 images of phase3" in line for line in report.problems)


def test_the_real_crops_are_the_publishers(shared_data: Path, tmp_path: Path) -> None:
    sample = load_set("cnmc", shared_data / "cnmc" / "sample")
    assert (len(sample.samples), sum(s.label == "all" for s in sample.samples)) == (39, 22)
    report = check_set("cnmc", shared_data / "cnmc" / "sample", duplicates=False)
    assert not [line for line in report.problems if line.startswith(("altered", "corrupt"))]


def test_one_changed_byte_of_a_real_crop_is_named(shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "cnmc" / "sample").glob("UID_13_1*_all.bmp"):
        shutil.copy(path, tmp_path)
    shutil.copy(shared_data / "cnmc" / "sample" / "UID_H19_26_1_hem.bmp", tmp_path)
    victim = tmp_path / "UID_13_13_1_all.bmp"
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    assert hashlib.sha256(data).hexdigest()[:32] != by_key()[("", victim.name)].digest
    report = check_set("cnmc", tmp_path, duplicates=False)
    assert [line for line in report.problems if line.startswith("altered")] == [
        "altered: UID_13_13_1_all.bmp: its SHA-256 is not the publisher's"
    ]
