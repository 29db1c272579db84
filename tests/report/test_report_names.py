"""File names of reports: safe, unique, readable."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smearscan.report.names import report_names

HOSTILE = [
    "../x",
    "..",
    ".",
    "",
    " ",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "x" * 300,
    "🩸",
    "con",
    "NUL.txt",
    "index",
    "-rf",
    ".hidden",
]


@pytest.mark.parametrize("patient_id", ["P-0417", "smear 12", "A.1_(2)", "0007"])
def test_a_harmless_id_is_its_own_file_name(patient_id: str) -> None:
    assert report_names([patient_id]) == {patient_id: patient_id}


@pytest.mark.parametrize("patient_id", HOSTILE)
def test_a_hostile_id_stays_in_its_folder_under_a_short_plain_name(patient_id: str, tmp_path: Path) -> None:
    name = report_names([patient_id])[patient_id]
    path = tmp_path / f"{name}.html"
    assert path.resolve().parent == tmp_path.resolve()
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._() -]*", name) and len(name) <= 98
    assert name.lower() not in {"index", "con", "nul"}
    path.write_text("x")


def test_ids_that_collapse_to_one_safe_name_keep_apart() -> None:
    names = report_names(["a/b", "a\\b", "a:b", "a_b"])
    assert len({name.lower() for name in names.values()}) == 4
    assert names["a_b"] == "a_b"


def test_ids_that_differ_in_case_only_keep_apart_on_any_disk() -> None:
    names = report_names(["abc", "ABC", "Abc", "other"])
    assert len({name.lower() for name in names.values()}) == 4
    assert names["other"] == "other"


def test_an_id_that_imitates_anothers_digest_keeps_apart() -> None:
    imitation = report_names(["a/b"])["a/b"]
    names = report_names(["a/b", imitation])
    assert names["a/b"] == imitation and names[imitation] != imitation


@settings(deadline=None, max_examples=60)
@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(HOSTILE), st.text("aA/ ._", max_size=4)), max_size=12))
def test_names_are_unique_without_case_and_free_of_order(ids: list[str]) -> None:
    names = report_names(ids)
    assert len({name.lower() for name in names.values()}) == len(set(ids))
    assert report_names(reversed(ids)) == names
