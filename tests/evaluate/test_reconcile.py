"""A model's classes and a set's meet on one list, or are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smearscan.errors import SettingsError
from smearscan.evaluate.reconcile import reconcile

GRADES = ("Benign", "Early", "Pre", "Pro")
PBC = ("basophil", "eosinophil", "erythroblast", "ig", "lymphocyte", "monocyte", "neutrophil", "platelet")
TYPES = ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte", "immature_granulocyte", "erythroblast",
         "platelet", "smudge", "artefact")  # fmt: skip


@given(st.permutations(GRADES))
def test_equal_names_in_any_order_keep_the_models_columns(shuffled: list[str]) -> None:
    found = reconcile(shuffled, GRADES)
    assert (found.classes, found.note) == (GRADES, "")
    assert all(found.label_of[name] == name for name in GRADES)


@pytest.mark.parametrize(
    ("of_set", "of_model", "label_of"),
    [
        (
            ("benign", "[Malignant] early Pre-B", "[Malignant] Pre-B", "pro"),
            GRADES,
            dict(zip(range(4), GRADES, strict=True)),
        ),
        (("hem", "all"), ("other", "blast"), {0: "other", 1: "blast"}),
        (("ALL", "Healthy"), ("hem", "all"), {0: "all", 1: "hem"}),
        (("ig", "lymphocyte"), TYPES, {0: "immature_granulocyte", 1: "lymphocyte"}),
        (("MYO", "LYT", "NGS"), ("other", "blast"), {0: "blast", 1: "other", 2: "other"}),
        (GRADES, ("other", "blast"), {0: "other", 1: "blast", 2: "blast", 3: "blast"}),
    ],
)
def test_other_names_of_the_same_are_understood(
    of_set: tuple[str, ...], of_model: tuple[str, ...], label_of: dict[int, str]
) -> None:
    found = reconcile(of_set, of_model)
    assert found.classes == of_model
    assert [found.label_of[name] for name in of_set] == [label_of[i] for i in range(len(of_set))]
    assert found.note


def test_a_model_may_know_more_classes_than_the_set() -> None:
    assert reconcile(("Early", "Pre"), GRADES).classes == GRADES
    assert reconcile(PBC, TYPES).label_of["ig"] == "immature_granulocyte"


def test_a_set_of_one_class_is_compared_where_the_model_knows_what_it_is_not() -> None:
    assert reconcile(("ALL",), ("other", "blast")).label_of == {"ALL": "blast"}
    with pytest.raises(SettingsError, match="blast cannot be matched"):
        reconcile(("blast",), ("Early", "Pre", "Pro"))


def test_a_finer_models_columns_are_added_up() -> None:
    found = reconcile(("hem", "all"), GRADES)
    assert found.groups == {"hem": ("Benign",), "all": ("Early", "Pre", "Pro")}
    assert found.merged(np.array([[0.1, 0.2, 0.3, 0.4]]), GRADES) == pytest.approx(np.array([[0.1, 0.9]]))
    assert "Early → all" in found.note


@pytest.mark.parametrize(
    ("of_set", "of_model", "named"),
    [
        (("cat", "dog"), GRADES, "cat, dog"),
        (("hem", "all", "mystery"), ("other", "blast"), "mystery"),
        (PBC, GRADES, "basophil"),
        (("Early", "Pre"), ("other", "blast"), "Early, Pre"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(
    of_set: tuple[str, ...], of_model: tuple[str, ...], named: str
) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        reconcile(of_set, of_model, "this model")
    assert "this model knows" in str(caught.value)
