"""No subject and no twin stands on two sides, every sample on one; what parts them is marked as leaky."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from cnmc_on_disk import whole_first_phase
from hypothesis import given, settings
from hypothesis import strategies as st
from set_on_disk import grades

from smearscan.datasets import Sample, SampleSet, Split, default_protocol, list_protocols, load_set, make_splits
from smearscan.datasets.blocks import GAP, TALEQANI_TEST
from smearscan.datasets.groups import group_ids
from smearscan.datasets.split_files import SPLIT_NAME, read_split, split_text
from smearscan.datasets.splits import ULLAH_IMAGES, ULLAH_SUBJECTS, split_validation
from smearscan.errors import DatasetError, SettingsError

SIDES = ("train", "validation", "test", "left_out")


def _set(rows: list[tuple[str, int]], name: str = "folder", has_subjects: bool = True) -> SampleSet:
    """A set of (class, subject) rows, one image each."""
    samples = [Sample(f"{label}/{i}.png", label, f"{label}{subject}") for i, (label, subject) in enumerate(rows)]
    return SampleSet(name, Path("nowhere"), ("hem", "all"), tuple(samples), has_subjects)


#: At least ten subjects of each class, a few images each, and random pairs of images that look alike.
_ROWS = st.lists(st.integers(1, 5), min_size=20, max_size=40).map(
    lambda sizes: [
        ("ab"[i % 2].replace("a", "hem").replace("b", "all"), i) for i, n in enumerate(sizes) for _ in range(n)
    ]
)
_PAIRS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=4)


def _sides(split: Split) -> dict[Sample, str]:
    found: dict[Sample, str] = {}
    for side in SIDES:
        for sample in getattr(split, side):
            assert sample not in found, f"{sample.path} stands on two sides"
            found[sample] = side
    return found


@given(_ROWS, _PAIRS, st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_no_subject_and_no_twin_stands_on_two_sides(
    rows: list[tuple[str, int]], pairs: list[tuple[int, int]], seed: int
) -> None:
    found = _set(rows)
    paths = [sample.path for sample in found.samples]
    alike = [(paths[a % len(paths)], paths[b % len(paths)]) for a, b in pairs]
    groups = dict(zip(found.samples, group_ids(found.samples, alike).tolist(), strict=True))
    tested: Counter[Sample] = Counter()
    for split in make_splits(found, "subjects-5", seed=seed, alike=alike):
        sides = _sides(split)
        assert set(sides) == set(found.samples)
        side_of_group: dict[int, str] = {}
        for sample, side in sides.items():
            assert side_of_group.setdefault(groups[sample], side) == side
        tested.update(split.test)
    assert set(tested.values()) == {1}
    assert set(tested) == set(found.samples)


@given(_ROWS, st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_validation_takes_whole_subjects_about_a_fifth_of_each_class(rows: list[tuple[str, int]], seed: int) -> None:
    samples = _set(rows).samples
    train, validation = split_validation(samples, ("hem", "all"), seed=seed)
    assert not {s.subject for s in train} & {s.subject for s in validation}
    assert sorted(s.path for s in train + validation) == sorted(s.path for s in samples)
    for label in ("hem", "all"):
        whole = sum(s.label == label for s in samples)
        held = sum(s.label == label for s in validation)
        # Whole subjects of at most five images: half of one lacks or is too many.
        assert abs(held - 0.2 * whole) <= 2.5 + 0.05 * whole


def test_seven_folds_of_cnmc_come_near_the_counts_that_were_printed() -> None:
    found = whole_first_phase()
    splits = make_splits(found, "ullah-7")
    assert [split.name for split in splits] == [f"fold {i}" for i in range(1, 7)]
    folds = [split.train + split.validation for split in splits] + [splits[0].test]
    for fold, images, subjects in zip(folds, ULLAH_IMAGES, ULLAH_SUBJECTS, strict=True):
        for column, label in enumerate(found.classes):
            of_class = [s for s in fold if s.label == label]
            assert abs(len(of_class) - images[column]) <= 0.02 * images[column] + 3
            held = {name for s in of_class for name in s.subject.split("+")}
            # 73 subjects are listed, the table names 73 as well, but seven of them are one with others.
            assert abs(len(held) - subjects[column]) <= 4
    assert len({s.subject for fold in folds for s in fold}) == sum(len({s.subject for s in fold}) for fold in folds)
    assert {split.test for split in splits} == {splits[0].test}


def test_five_folds_of_cnmc_are_even() -> None:
    splits = make_splits(whole_first_phase(), "subjects-5")
    counts = [Counter(sample.label for sample in split.test) for split in splits]
    assert max(c["all"] for c in counts) - min(c["all"] for c in counts) < 30
    assert max(c["hem"] for c in counts) - min(c["hem"] for c in counts) < 30


def test_phase_two_tests_what_phase_one_trains() -> None:
    first = whole_first_phase()
    second = tuple(Sample(f"phase2/{i}.bmp", "all" if i % 2 else "hem", f"x{i}", "phase2") for i in range(20))
    hidden = tuple(Sample(f"final/{i}.bmp", "", "phase3", "phase3") for i in range(3))
    found = SampleSet("cnmc", Path("nowhere"), ("hem", "all"), first.samples + second + hidden, True)
    (split,) = make_splits(found, "phase2")
    assert split.test == second
    assert {s.part[:5] for s in split.train + split.validation} == {"train"}
    (last,) = make_splits(found, "phase3")
    assert last.test == hidden
    assert {s.part for s in last.train + last.validation} >= {"phase2", "train_fold_0"}


def test_a_twin_of_a_test_image_does_not_train() -> None:
    first = whole_first_phase()
    second = tuple(Sample(f"phase2/{i}.bmp", "all" if i % 2 else "hem", f"x{i}", "phase2") for i in range(4))
    found = SampleSet("cnmc", Path("nowhere"), ("hem", "all"), first.samples + second, True)
    (split,) = make_splits(found, "phase2", alike=[("phase2/0.bmp", first.samples[0].path)])
    assert first.samples[0] in split.left_out
    assert {s.subject for s in split.left_out} == {first.samples[0].subject}


def test_blocks_of_the_grades_keep_their_distance(tmp_path: Path) -> None:
    found = load_set("taleqani", grades(tmp_path, 300, step=3))
    (split,) = make_splits(found, "blocks")
    sides = _sides(split)
    assert set(sides) == set(found.samples)
    for label, ranges in TALEQANI_TEST.items():
        number = {s: int(Path(s.path).stem.rsplit("-", 1)[1]) for s in found.samples if s.label == label}
        held = {n for s, n in number.items() if sides[s] == "test"}
        assert held == {n for n in number.values() if any(a <= n <= b for a, b in ranges)}
        trained = [n for s, n in number.items() if sides[s] in ("train", "validation")]
        assert min(abs(a - b) for a in held for b in trained) > GAP
        chosen = [n for s, n in number.items() if sides[s] == "validation"]
        assert chosen
        assert min(abs(a - n) for a in chosen for s, n in number.items() if sides[s] == "train") > 25


def test_blocks_of_any_other_set_hold_a_part_of_each_class() -> None:
    rows = [(label, i) for label in ("hem", "all") for i in range(200)]
    (split,) = make_splits(_set(rows, has_subjects=False), "blocks")
    assert Counter(s.label for s in split.test) == {"hem": 42, "all": 42}
    assert len(split.train) > 150
    assert len(_sides(split)) == 400


def test_twins_across_blocks_stay_with_the_test() -> None:
    found = _set([(label, i) for label in ("hem", "all") for i in range(200)], has_subjects=False)
    (plain,) = make_splits(found, "blocks")
    inside, outside = plain.test[0], plain.train[0]
    (split,) = make_splits(found, "blocks", alike=[(inside.path, outside.path)])
    assert (inside in split.test, outside in split.left_out) == (True, True)


def test_a_random_split_is_marked_as_leaky_and_parts_subjects() -> None:
    found = _set([(("hem", "all")[i % 2], i) for i in range(10) for _ in range(20)])
    (split,) = make_splits(found, "paper-leaky")
    assert split.is_leaky
    assert "LEAKY" in split.note
    assert [len(getattr(split, side)) for side in SIDES] == [120, 40, 40, 0]
    assert {s.subject for s in split.train} & {s.subject for s in split.test}
    assert not any(one.is_leaky for one in make_splits(found, "subjects-5"))


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    found = _set([(("hem", "all")[i % 2], i) for i in range(30) for _ in range(3)])
    for protocol in ("subjects-5", "paper-leaky"):
        assert make_splits(found, protocol, seed=1) == make_splits(found, protocol, seed=1)
    assert make_splits(found, "paper-leaky", seed=1) != make_splits(found, "paper-leaky", seed=2)


def test_samples_without_label_are_on_no_side() -> None:
    found = _set([(("hem", "all")[i % 2], i) for i in range(30)])
    found = SampleSet("folder", found.root, found.classes, (*found.samples, Sample("x.png", "", "x")), True)
    assert all("x.png" not in {s.path for s in _sides(split)} for split in make_splits(found, "subjects-5"))


def test_what_the_set_cannot_give_is_refused_by_name() -> None:
    found = _set([("hem", 1), ("all", 2)])
    with pytest.raises(SettingsError, match="subjects-5"):
        make_splits(found, "nonsense")
    with pytest.raises(DatasetError, match="has subjects"):
        make_splits(found, "blocks")
    with pytest.raises(DatasetError, match="phase2"):
        make_splits(found, "phase2")
    with pytest.raises(DatasetError, match=r"too few subjects|nothing to"):
        make_splits(found, "subjects-5")
    grades_like = SampleSet("taleqani", Path("x"), ("a", "b"), (), False)
    with pytest.raises(DatasetError, match="protocol of C-NMC"):
        make_splits(grades_like, "ullah-7")


def test_every_set_has_an_honest_protocol_by_default() -> None:
    assert default_protocol(whole_first_phase()) == "ullah-7"
    assert default_protocol(_set([("hem", 1)])) == "subjects-5"
    assert default_protocol(_set([("hem", 1)], has_subjects=False)) == "blocks"
    assert {"all", "blocks", "ullah-7", "paper-leaky", "phase3"} <= set(list_protocols())


def test_a_split_comes_back_from_its_file_as_it_was_written(tmp_path: Path) -> None:
    found = _set([(("hem", "all")[i % 2], i) for i in range(30)])
    for split in (make_splits(found, "subjects-5")[2], make_splits(found, "paper-leaky")[0]):
        path = tmp_path / SPLIT_NAME
        path.write_text(split_text(split))
        back = read_split(path, found)
        assert (back.protocol, back.name, back.is_leaky) == (split.protocol, split.name, split.is_leaky)
        assert {side: set(getattr(back, side)) for side in SIDES} == {side: set(getattr(split, side)) for side in SIDES}


@pytest.mark.parametrize("text", ["", "path,side\n", "path,side,protocol,fold,is_leaky\nelsewhere.png,test,x,y,0\n"])
def test_a_file_that_is_no_split_of_the_set_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / SPLIT_NAME).write_text(text)
    with pytest.raises(DatasetError, match="split"):
        read_split(tmp_path / SPLIT_NAME, _set([("hem", 1), ("all", 2)]))


def test_a_record_that_parts_a_subject_or_doubles_an_image_is_told_by_name(tmp_path: Path) -> None:
    found = _set([(("hem", "all")[i % 2], i // 4) for i in range(40)])
    path, split = tmp_path / SPLIT_NAME, make_splits(found, "subjects-5")[0]
    moved = split.train[0]
    parted = replace(split, train=split.train[1:], test=(*split.test, moved))
    path.write_text(split_text(parted))
    back = read_split(path, found)
    assert back.is_leaky and moved.subject in back.note and "LEAKY" in back.note
    path.write_text(split_text(replace(split, test=(*split.test, moved))))
    with pytest.raises(DatasetError, match=f"{moved.path} stands on two sides"):
        read_split(path, found)
