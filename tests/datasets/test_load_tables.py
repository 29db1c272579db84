"""Sets that are not class folders: CSV, ALL-IDB by file names, boxed cells of BCCD and TXL-PBC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from set_on_disk import save

from smearscan.datasets import load_set
from smearscan.datasets.files import read_image, read_sample
from smearscan.errors import DatasetError, UnreadableSlideError
from smearscan.geometry import Box


def _table(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_table_gives_path_label_subject_and_part(tmp_path: Path) -> None:
    table = _table(tmp_path / "set.csv", "path,label,subject,part\nb.png,hem,H1,x\na.png,all,3,\n")
    found = load_set("csv", table)
    assert [(s.path, s.label, s.subject, s.part) for s in found.samples] == [
        ("a.png", "all", "3", ""),
        ("b.png", "hem", "H1", "x"),
    ]
    assert (found.classes, found.has_subjects, found.root) == (("hem", "all"), True, tmp_path)  # blasts last


def test_without_subjects_blocks_of_lines_stand_in(tmp_path: Path) -> None:
    lines = "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(120))
    found = load_set("csv", _table(tmp_path / "set.csv", "path,label\n" + lines))
    assert not found.has_subjects
    assert {s.subject for s in found.samples} == {f"{c}:{b:04d}" for c in "ab" for b in (0, 50, 100)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\na.png,x\n", "no column path"),
        ("path,label\na.png,x\na.png,y\n", "a.png is listed twice"),
        ("path,label\n,x\nb.png,y\n", "line 2: no path"),
        ("path,label\na.png,\nb.png,\n", "no line has a label"),
        ("", "no column path, label"),
    ],
)
def test_a_table_that_is_none_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said) as caught:
        load_set("csv", _table(tmp_path / "set.csv", text))
    assert "set.csv" in str(caught.value)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DatasetError, match="cannot be read as CSV"):
        load_set("csv", tmp_path / "set.csv")


def test_the_class_of_all_idb_is_the_last_digit_of_the_name(tmp_path: Path) -> None:
    for i, name in enumerate(("Im001_1.jpg", "Im002_1.jpg", "Im011_0.jpg", "notes.jpg")):
        save(tmp_path / "im" / name, i)
    found = load_set("all_idb1", tmp_path)
    assert [(s.label, s.subject) for s in found.samples] == [
        ("all", "all:0000"),
        ("all", "all:0000"),
        ("healthy", "healthy:0010"),
    ]
    assert any("1 images left out" in note for note in found.notes)


def test_all_idb_without_healthy_images_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "Im001_1.tif", 1)
    with pytest.raises(DatasetError, match="no image of class healthy"):
        load_set("all_idb2", tmp_path)


def test_boxes_of_yolo_labels_are_samples_in_pixels(tmp_path: Path) -> None:
    save(tmp_path / "images" / "train" / "one.png", 1, side=40)
    label = tmp_path / "labels" / "train" / "one.txt"
    label.parent.mkdir(parents=True)
    label.write_text("0 0.5 0.5 0.5 0.25\n1 0.25 0.25 0.1 0.1\n2 0.75 0.75 0.1 0.1\n2 0.5 0.5 0 0.1\n")
    found = load_set("txl", tmp_path)
    first = next(s for s in found.samples if s.label == "leukocyte")
    assert (first.box, first.part, first.subject) == (Box(10, 15, 20, 10), "train", "picture:one")
    assert read_sample(found, first).shape == (10, 20, 3)
    assert "1 boxes of no area left out" in found.notes


def test_boxes_of_voc_labels_are_samples(tmp_path: Path) -> None:
    save(tmp_path / "JPEGImages" / "BloodImage_00000.jpg", 1, side=40)
    corners = "<xmin>{0}</xmin><ymin>2</ymin><xmax>{1}</xmax><ymax>12</ymax>"
    items = "".join(
        f"<object><name>{name}</name><bndbox>{corners.format(x, x + 8)}</bndbox></object>"
        for x, name in ((1, "WBC"), (10, "RBC"), (20, "Platelets"))
    )
    label = tmp_path / "Annotations" / "BloodImage_00000.xml"
    label.parent.mkdir()
    label.write_text(f"<annotation>{items}</annotation>")
    found = load_set("bccd", tmp_path)
    assert [s.label for s in found.samples] == ["leukocyte", "red_cell", "platelet"]
    assert found.samples[0].box == Box(1, 2, 8, 10)
    label.write_text("<annotation><object>")
    with pytest.raises(DatasetError, match=r"BloodImage_00000\.xml is no label"):
        load_set("bccd", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_file_that_is_no_image_is_named_when_read(tmp_path: Path, content: bytes) -> None:
    save(tmp_path / "a" / "1.png", 1)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_bytes(content)
    found = load_set("folder", tmp_path)
    assert read_sample(found, found.samples[0]).shape == (48, 48, 3)
    with pytest.raises(UnreadableSlideError, match=r"b/1\.png"):
        read_sample(found, found.samples[1])


def test_grey_pictures_are_read_as_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(tmp_path / "grey.png")
    rgb = read_image(tmp_path / "grey.png")
    assert rgb.shape == (10, 10, 3)
    assert (rgb[..., 0] == rgb[..., 2]).all()


def test_pictures_of_sixteen_bits_are_refused_not_cut_off(tmp_path: Path) -> None:
    Image.fromarray(np.full((10, 10), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(UnreadableSlideError, match="more than 8 bits"):
        read_image(tmp_path / "deep.png")


def test_the_shared_boxes_are_those_their_readme_counts(shared_data: Path) -> None:
    found = load_set("txl", shared_data / "txl_pbc")
    assert len({sample.path for sample in found.samples}) == 1296
