"""Images that show the same are found by their bytes and by their looks, others are not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from set_on_disk import class_folders, picture, save

from smearscan.datasets import load_set
from smearscan.datasets.duplicates import NEAR, find_duplicates, near_pairs, thumbnail


def test_equal_files_and_files_saved_again_are_found(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": [f"{i}.png" for i in range(8)], "b": [f"{i}.png" for i in range(8)]})
    save(tmp_path / "b" / "same.png", 3)
    Image.fromarray(picture(5)).resize((96, 96), Image.Resampling.BICUBIC).save(
        tmp_path / "b" / "again.jpg", quality=90
    )
    found = find_duplicates(load_set("folder", tmp_path))
    assert found.exact == (("a/2.png", "b/same.png"),)
    assert found.near == (("a/2.png", "b/same.png"), ("a/4.png", "b/again.jpg"))
    assert found.groups == found.near


def test_bytes_alone_are_compared_when_asked(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png"], "b": ["2.png"]})
    save(tmp_path / "b" / "same.png", 1)
    found = find_duplicates(load_set("folder", tmp_path), near=False)
    assert (found.groups, found.near == found.exact) == ((("a/1.png", "b/same.png"),), True)


def test_turned_copies_are_found_when_asked(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]})
    Image.fromarray(np.rot90(picture(2))[:, ::-1]).save(tmp_path / "b" / "turned.png")
    found = load_set("folder", tmp_path)
    assert find_duplicates(found).groups == ()
    assert find_duplicates(found, turned=True).groups == (("a/2.png", "b/turned.png"),)


def test_what_cannot_be_read_is_told_and_the_rest_compared(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": ["1.png", "2.png"], "b": ["3.png"]})
    (tmp_path / "a" / "bad.png").write_bytes(b"x")
    save(tmp_path / "b" / "same.png", 1)
    found = find_duplicates(load_set("folder", tmp_path))
    assert found.unread == ("a/bad.png",)
    assert found.groups == (("a/1.png", "b/same.png"),)


def test_cells_on_black_are_compared_without_their_margin() -> None:
    """Two different cells that fill a twentieth of their pictures are apart, the same one moved is not."""
    cells = [np.zeros((200, 200, 3), np.uint8) for _ in range(3)]
    cells[0][20:64, 20:64] = picture(1, 44)
    cells[1][100:144, 90:134] = picture(1, 44)
    cells[2][20:64, 20:64] = picture(2, 44)
    pairs = near_pairs(np.stack([thumbnail(cell) for cell in cells]))
    assert pairs.tolist() == [[0, 1]]


@given(st.integers(0, 1000), st.floats(0, 12), st.booleans())
@settings(max_examples=30, deadline=None)
def test_pairs_are_those_whose_difference_is_small(seed: int, noise: float, turned: bool) -> None:
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (6, 16, 16, 3)).astype(np.float32)
    small[5] = small[2] + noise * rng.choice([-1, 1], small[2].shape)
    apart = float(np.sqrt(((small[5] - small[2]) ** 2).mean()))
    expected = [[2, 5]] if apart < NEAR - 0.01 else []
    if abs(apart - NEAR) > 0.01:
        assert near_pairs(small, turned).tolist() == expected


def test_no_image_and_one_image_have_no_twin() -> None:
    assert near_pairs(np.zeros((0, 16, 16, 3), np.float32)).shape == (0, 2)
    assert near_pairs(np.zeros((1, 16, 16, 3), np.float32), turned=True).shape == (0, 2)


def test_a_black_picture_has_a_thumbnail() -> None:
    assert thumbnail(np.zeros((30, 30, 3), np.uint8)).max() == 0
    assert cv2.countNonZero(thumbnail(np.full((9, 9, 3), 200, np.uint8))[..., 0]) == 256


def test_the_one_known_pair_of_the_shared_crops_is_found(shared_data: Path) -> None:
    pbc = load_set("pbc", shared_data / "pbc")
    some = [sample for sample in pbc.samples if sample.label == "ig"]
    assert find_duplicates(pbc, some).exact == (("ig/PMY_497134.jpg", "ig/PMY_586364.jpg"),)
