"""A folder gives its slides: each once, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smearscan.errors import UnreadableSlideError
from smearscan.slide.discover import list_images


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_images(folder)]


def test_images_are_listed_with_those_of_folders_below_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a.TIF", "sub/c.svs", "sub/deeper/d.jpeg", "e.ndpi")
    assert listed(tmp_path) == ["a.TIF", "b.png", "e.ndpi", "sub/c.svs", "sub/deeper/d.jpeg"]


def test_what_lies_beside_images_is_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "a.csv", "a.json", "notes.txt", "Thumbs.db", ".hidden.png", "._a.png", ".trash/b.png")
    assert listed(tmp_path) == ["a.png"]


def test_the_data_folder_of_a_mirax_slide_is_no_folder_of_slides(tmp_path: Path) -> None:
    touch(tmp_path, "one.mrxs", "one/Data0000.dat", "one/preview.jpg", "two/field.jpg")
    assert listed(tmp_path) == ["one.mrxs", "two/field.jpg"]


def test_a_file_is_itself_and_no_path_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a.txt")
    assert list_images(tmp_path / "a.txt") == [tmp_path / "a.txt"]
    with pytest.raises(UnreadableSlideError, match="absent"):
        list_images(tmp_path / "absent")


def test_a_linked_folder_that_leads_back_is_not_followed(tmp_path: Path) -> None:
    touch(tmp_path, "sub/a.png")
    (tmp_path / "sub" / "back").symlink_to(tmp_path)
    assert listed(tmp_path) == ["sub/a.png"]


def test_a_link_that_leads_nowhere_or_in_a_circle_is_listed_if_it_is_named_like_an_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    for name, target in {"gone.png": "absent.png", "notes": "absent", "round.tif": "round.tif", "to.svs": "."}.items():
        (tmp_path / name).symlink_to(tmp_path / target)
    assert listed(tmp_path) == ["a.png", "gone.png", "round.tif"]


def test_a_pipe_named_like_an_image_is_passed_over(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")  # whoever opens it waits for ever
    assert listed(tmp_path) == []


def test_a_folder_that_cannot_be_listed_stands_for_what_is_in_it(tmp_path: Path, ordinary_rights: None) -> None:
    touch(tmp_path, "a.png", "closed/b.png", "closed/deeper/c.png", "listed only/d.png", "listed only/sub/e.png")
    (tmp_path / "closed").chmod(0)
    (tmp_path / "listed only").chmod(0o444)
    try:
        assert listed(tmp_path) == ["a.png", "closed", "listed only/d.png", "listed only/sub"]
        assert list_images(tmp_path / "closed") == [tmp_path / "closed"]
    finally:
        for folder in tmp_path.iterdir():
            folder.chmod(0o755)


def dicom(path: Path, uid: bytes, size: int) -> None:
    path.write_bytes(
        b"\0" * 128 + b"DICM" + b"\x20\x00\x0e\x00UI" + len(uid).to_bytes(2, "little") + uid + b"\0" * size
    )


def test_a_dicom_series_is_one_slide_named_by_its_largest_file(tmp_path: Path) -> None:
    dicom(tmp_path / "1.dcm", b"1.2.3\0", 10)
    dicom(tmp_path / "2.dcm", b"1.2.3\0", 500)
    dicom(tmp_path / "3.dcm", b"1.2.9", 10)
    (tmp_path / "4.dcm").write_bytes(b"not DICOM")
    assert listed(tmp_path) == ["2.dcm", "3.dcm", "4.dcm"]


def test_the_shared_dicom_pair_is_one_slide(shared_data: Path) -> None:
    assert [path.name for path in list_images(shared_data / "slides") if path.suffix == ".dcm"] == ["boxes_1.dcm"]
