"""What a cell is called, from its type and the blast ensemble's answer."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR, NOT_COUNTED, CellClass
from smearscan.cut_cells import picture_key
from smearscan.errors import SettingsError
from smearscan.judge import Judge, load_judge
from smearscan.models import InputCard, ModelCard, Package, create_model, save_package
from smearscan.models.blast_pool import BlastPool
from smearscan.models.size_evidence import SizeEvidence
from smearscan.settings import ClassifySettings
from smearscan.verdict import decide

CLASSES = tuple(c.value for c in CellClass if c not in (CellClass.BLAST, CellClass.UNIDENTIFIED))


def judged(cell_class: CellClass, sure: float, blast: float) -> CellClass:
    """The verdict on a cell whose type is `cell_class` with probability `sure`."""
    types = np.full(len(CLASSES), (1 - sure) / (len(CLASSES) - 1))
    types[CLASSES.index(cell_class.value)] = sure
    return decide(types, CLASSES, blast, 0.0, 0.45, 0.65).cell_class


@pytest.mark.parametrize("cell_class", sorted(MONONUCLEAR & {CellClass(c) for c in CLASSES} | LOOK_LIKE_BLASTS))
def test_a_cell_that_may_be_a_blast_is_one_from_the_threshold_on(cell_class: CellClass) -> None:
    """Also a basophil or a nucleated red cell: blasts of another stain are named so."""
    assert judged(cell_class, 0.9, 0.65) is CellClass.BLAST
    assert judged(cell_class, 0.9, 0.6499) is cell_class


@given(st.sampled_from(sorted({CellClass(c) for c in CLASSES} - MONONUCLEAR - LOOK_LIKE_BLASTS)), st.floats(0, 1))
def test_no_other_named_cell_is_ever_called_blast(cell_class: CellClass, blast: float) -> None:
    """A segmented neutrophil or a red cell is none, whatever the blast networks see in it."""
    assert judged(cell_class, 0.9, blast) is cell_class


@given(st.floats(0, 1))
def test_a_cell_whose_type_is_unsure_is_unidentified_or_blast(blast: float) -> None:
    """Never named by a guess."""
    expected = CellClass.BLAST if blast >= 0.65 else CellClass.UNIDENTIFIED
    assert judged(CellClass.NEUTROPHIL, 0.3, blast) is expected


def test_what_is_most_likely_no_leukocyte_is_none_although_its_kind_is_unsure() -> None:
    """Not unidentified: that would be counted, and could be called a blast."""
    types = np.zeros(len(CLASSES))
    for cell_class, sure in (("artefact", 0.40), ("platelet", 0.35), ("smudge", 0.20), ("lymphocyte", 0.05)):
        types[CLASSES.index(cell_class)] = sure
    found = decide(types, CLASSES, 0.99, 0.0, 0.45, 0.65)
    assert (found.cell_class, found.class_probability) == (CellClass.ARTEFACT, pytest.approx(0.40))


def test_what_looks_like_a_blast_stays_outside_the_stratum_unless_called() -> None:
    """The classes are no mononuclear ones: a smear of basophils does not widen the stratum that is judged."""
    assert not LOOK_LIKE_BLASTS & MONONUCLEAR
    assert CellClass.ERYTHROBLAST in NOT_COUNTED


SHOWN = InputCard(window_um=29.0, um_per_px=0.9, side_px=32, background="black")


def tiny(*classes: str, **thresholds: float) -> Package:
    """A network of random weights, the same for the same number of classes."""
    options = {"widths": [4], "head": "gap", "hidden": 4}
    torch.manual_seed(0)
    model = create_model("cnn_cbam", len(classes), **options).eval().requires_grad_(False)
    card = ModelCard(
        name="tiny",
        summary="",
        network="cnn_cbam",
        options=options,
        classes=classes,
        input=SHOWN,
        thresholds=thresholds,
    )
    return Package(model, card)


def test_members_call_and_place_their_blasts_as_their_own_sets_did() -> None:
    first, second = tiny("other", "blast", blast=0.5), tiny("all", "hem")
    for value in (second.model.fc6.weight, second.model.fc6.bias):
        value.copy_(value.flip(0))  # the same answers, columns the other way round
    pool = BlastPool((0.5, 0.5), SizeEvidence(0.0, 12.0, 1.2, 1.0))
    judge = Judge((tiny("lymphocyte", "neutrophil", unidentified=0.4),), (first, second), pool)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    verdicts = judge.verdicts({picture_key(SHOWN): images}, [50.0] * 3)
    alone = Judge(judge._cell_types, (first,), BlastPool((1.0,), pool.size)).verdicts(
        {picture_key(SHOWN): images}, [50.0] * 3
    )
    assert [v.blast_probability for v in verdicts] == pytest.approx([v.blast_probability for v in alone], abs=1e-6)
    assert max(v.spread for v in verdicts) < 1e-6


def test_the_type_is_the_mean_of_what_its_networks_say() -> None:
    """A preset that names one network alone asks that one."""
    first, second = tiny("lymphocyte", "neutrophil", unidentified=0.0), tiny("lymphocyte", "neutrophil")
    for value in (second.model.fc6.weight, second.model.fc6.bias):
        value.mul_(-3)
    pool, blasts = BlastPool((1.0,), SizeEvidence(0.0, 12.0, 1.2, 1.0)), (tiny("other", "blast", blast=1.0),)
    images = {picture_key(SHOWN): np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)}

    def lymphocyte(*types: Package, weights: tuple[float, ...] | None = None) -> np.ndarray:
        found = Judge(types, blasts, pool, weights).verdicts(images, [50.0] * 4)
        return np.array(
            [v.class_probability if v.cell_class == "lymphocyte" else 1 - v.class_probability for v in found]
        )

    one, other = lymphocyte(first), lymphocyte(Package(second.model, first.card))
    assert np.abs(one - other).max() > 0.01
    assert lymphocyte(first, second) == pytest.approx((one + other) / 2, abs=1e-6)
    assert lymphocyte(first, second, weights=(3.0, 1.0)) == pytest.approx(0.75 * one + 0.25 * other, abs=1e-6)
    assert ClassifySettings.model_validate({"cell_type": "celltype"}).cell_type == ("celltype",)


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"blast": ("subtype",)}, "subtype.*whole images"),
        ({"blast": ("celltype",)}, "celltype.*no class of blasts"),
        ({"blast": ("blast",), "cell_type": "blast", "cell_type_weights": ()}, "no cells we know: other"),
        ({"blast": ("blast",), "cell_type": ("celltype", "blast")}, "celltype.*blast.*name other cells"),
        ({"blast": ("blast",), "cell_type": "celltype"}, "cell_type_weights differ in length"),
    ],
)
def test_a_package_that_is_not_what_it_is_chosen_for_is_refused_by_name(chosen: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        load_judge(ClassifySettings.model_validate({"blast_weights": (1.0,), "blast_home": "", **chosen}))


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.5, -0.5)])
def test_a_network_of_types_counts_more_than_nothing(weights: tuple[float, float]) -> None:
    """Refused when the preset is read, not when the first cell is judged."""
    with pytest.raises(ValidationError, match="greater than 0"):
        ClassifySettings(cell_type_weights=weights)


def test_a_lead_member_whose_card_draws_no_line_is_refused_by_name(tmp_path: Path) -> None:
    package = tiny("other", "blast")
    path, _ = save_package(package.model, package.card, folder=tmp_path)
    with pytest.raises(SettingsError, match=r"tiny.*thresholds"):
        load_judge(ClassifySettings(blast=(str(path),), blast_weights=(1.0,), blast_home=""))


@pytest.mark.parametrize(("background", "is_judged"), [("black", False), ("kept", True)])
def test_a_cell_without_an_outline_is_judged_only_by_a_network_that_sees_its_surroundings(
    background: Literal["black", "kept"], is_judged: bool
) -> None:
    """On black it is nothing but black: what a network says of that is chance, whatever it is called."""
    types = tiny("lymphocyte", "neutrophil", unidentified=0.4)
    shown = SHOWN.model_copy(update={"background": background})
    types = Package(types.model, types.card.model_copy(update={"input": shown}))
    pool = BlastPool((1.0,), SizeEvidence(0.0, 12.0, 1.2, 1.0))
    judge = Judge((types,), (tiny("other", "blast", blast=0.0),), pool)
    picture: np.ndarray = np.zeros((2, 32, 32, 3), np.uint8)
    lost, seen = judge.verdicts({picture_key(shown): picture, picture_key(SHOWN): picture}, [0.0, 50.0])
    assert lost.blast_probability == seen.blast_probability
    assert (lost.cell_class == seen.cell_class) == is_judged
    assert (lost.class_probability > 0) == is_judged
    assert is_judged or lost.cell_class is CellClass.ARTEFACT
