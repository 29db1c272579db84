"""Splits, labels and scores that the classifiers' training rests on."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import smearscan.train
from smearscan.classes import CellClass
from smearscan.settings import ClassifySettings
from smearscan.train import blast, cells, celltype
from smearscan.train.blast_cells import held_back
from smearscan.train.cells import SOURCES, CellTable
from smearscan.train.measure_scores import auroc, auroc_interval, macro_f1
from smearscan.train.taleqani import GAP, TEST_BLOCKS, block_of
from smearscan.train.typed_cells import typed_cells


@given(grade=st.sampled_from(sorted(TEST_BLOCKS)), a=st.integers(1, 900), b=st.integers(1, 900))
def test_no_training_field_lies_within_the_gap_of_a_test_field(grade: str, a: int, b: int) -> None:
    """Neighbouring numbers look like one patient."""
    if block_of(grade, a) == 0 and block_of(grade, b) > 0:
        assert abs(a - b) > GAP


def test_every_class_has_several_test_blocks() -> None:
    """A figure by block needs more than one."""
    assert min(len(blocks) for blocks in TEST_BLOCKS.values()) >= 2


def test_types_read_by_eye_are_known_classes_and_each_cell_stands_once() -> None:
    """A slip in the table would silently drop or flip a cell."""
    path = Path(smearscan.train.__file__).with_name("labels_by_eye.tsv")
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t"))
    keys = [(row["path"], row["x_px"], row["y_px"]) for row in rows]
    assert len(set(keys)) == len(keys) > 500
    assert {row["cell_class"] for row in rows} <= {c.value for c in CellClass}
    assert {int(row["reading"]) for row in rows} == {1, 2, 3}


def drawn_table(n: int, types: list[str], readings: list[int]) -> CellTable:
    """Cells of one laboratory, whole and round, in the order of their numbers."""
    return CellTable(
        windows=np.zeros((n, 2, 2, 3), np.uint8),
        masks=np.zeros((n, 2, 2), np.uint8),
        sources=np.full(n, SOURCES.index("raabin")),
        types=np.array(types),
        readings=np.array(readings),
        blocks=np.zeros(n, int),
        orders=np.arange(n),
        stains=np.full(n, -1),
        measures=np.tile(np.array([[12.0, 9.0, 0.7, 0.97, 0.3]], np.float32), (n, 1)),
    )


@given(st.lists(st.booleans(), min_size=12, max_size=60))
def test_a_later_reading_moves_no_cell_of_an_earlier_one(is_later: list[bool]) -> None:
    """Networks go on from weights that saw the first reading's training part: it must stay what it was."""
    n = len(is_later)
    before = ["" if later else "lymphocyte" for later in is_later]
    assume("lymphocyte" in before)
    first = drawn_table(n, before, [0 if later else 1 for later in is_later])
    both = drawn_table(n, ["lymphocyte"] * n, [2 if later else 1 for later in is_later])
    typed_first, typed_both = typed_cells(first), typed_cells(both)
    assert dict(zip(typed_first.rows, typed_first.split, strict=True)).items() <= (
        dict(zip(typed_both.rows, typed_both.split, strict=True)).items()
    )
    is_first = np.array([not later for later in is_later])
    assert (held_back(first)[is_first] == held_back(both)[is_first]).all()


def test_a_cell_of_a_block_kept_for_blasts_teaches_no_type() -> None:
    """Or its fields would be known when blasts are measured on them."""
    table = replace(drawn_table(20, ["lymphocyte"] * 20, [1] * 20), blocks=np.arange(20) % 3 - 1)
    assert set(table.blocks[typed_cells(table).rows]) == {0}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auroc_is_the_chance_that_a_positive_scores_higher(pairs: list[tuple[int, bool]]) -> None:
    """Against the definition, ties counting half."""
    scores, labels = np.array([p[0] for p in pairs], float), np.array([p[1] for p in pairs])
    if labels.all() or not labels.any():
        with pytest.raises(ValueError, match="positives and negatives"):
            auroc(scores, labels)
        return
    wins = np.sign(scores[labels][:, None] - scores[~labels][None]) / 2 + 0.5
    assert auroc(scores, labels) == pytest.approx(wins.mean())


def test_an_interval_holds_its_estimate_and_is_the_same_every_time() -> None:
    """The bootstrap is seeded."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2 == 0
    scores = rng.normal(size=60) + labels
    low, high = auroc_interval(scores, labels, n_draws=200)
    assert low < auroc(scores, labels) < high
    assert (low, high) == auroc_interval(scores, labels, n_draws=200)


def test_macro_f1_counts_a_rare_class_as_much_as_a_common_one() -> None:
    """One class of two missed altogether halves the mean, however few its cells are."""
    truth = np.array([0] * 99 + [1])
    assert macro_f1(truth, np.zeros(100, int)) == pytest.approx(198 / 199 / 2)


def test_a_kept_table_is_read_as_it_was_until_the_masks_or_the_readings_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def build(_: Path) -> CellTable:
        made.append(1)
        return drawn_table(len(made), ["lymphocyte"] * len(made), [1] * len(made))

    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "cellmask.safetensors").write_bytes(b"of yesterday")
    monkeypatch.setattr(cells, "build_cells", build)
    monkeypatch.setattr(cells, "weights_folder", lambda: weights)
    sizes = [len(cells.load_cells(tmp_path, tmp_path / "cache").types) for _ in range(2)]
    (weights / "cellmask.safetensors").write_bytes(b"of today")
    sizes += [len(cells.load_cells(tmp_path, tmp_path / "cache").types) for _ in range(2)]
    assert sizes == [1, 1, 2, 2]


def test_the_members_that_are_trained_are_those_that_the_preset_runs() -> None:
    assert tuple(celltype.MEMBERS) == ClassifySettings().cell_type
    assert tuple(blast.MEMBERS) == ClassifySettings().blast
