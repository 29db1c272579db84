"""What a card, or a laboratory, says of the classifier's errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from smearscan.aggregate import Validation, ValidationGroup
from smearscan.errors import SettingsError

ROW = {"name": "block 1", "n_blasts": 90, "n_called_of_blasts": 85, "n_others": 10, "n_called_of_others": 1}


def test_a_card_gives_its_groups_and_is_not_local() -> None:
    validation = Validation.from_card({"validation": {"groups": [ROW], "note": "as measured"}})
    assert validation.groups == (ValidationGroup("block 1", 90, 85, 10, 1),)
    assert not validation.is_local


def test_a_card_without_groups_gives_an_empty_validation() -> None:
    assert Validation.from_card({"summary": "not measured"}).groups == ()


def test_only_groups_without_blasts_are_blank() -> None:
    blank = {**ROW, "name": "healthy", "n_blasts": 0, "n_called_of_blasts": 0}
    validation = Validation.from_card({"validation": {"groups": [ROW, blank]}})
    assert validation.called_of_blasts == ((85, 90),)
    assert validation.called_of_others == ((1, 10), (1, 10))
    assert validation.called_of_blanks == ((1, 10),)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"n_blasts": "90"}, "n_blasts is not a whole number"), ({"n_called_of_others": 11}, "more cells called")],
)
def test_an_impossible_row_is_named(change: dict, what: str) -> None:
    with pytest.raises(SettingsError, match=what) as caught:
        Validation.from_card({"validation": {"groups": [{**ROW, **change}]}})
    assert "block 1" in caught.value.what


def test_a_laboratorys_own_file_is_local(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    lines = [f'{key} = "{value}"' if key == "name" else f"{key} = {value}" for key, value in ROW.items()]
    path.write_text("\n".join(["[[validation.groups]]", *lines]), "utf-8")
    validation = Validation.from_file(path)
    assert validation.is_local
    assert validation.groups[0].n_called_of_blasts == 85


@pytest.mark.parametrize(
    ("text", "what"), [("[validation", "is not TOML"), ("", "holds no"), (None, "there is no validation file")]
)
def test_a_file_that_does_not_say_it_is_named(tmp_path: Path, text: str | None, what: str) -> None:
    path = tmp_path / "ours.toml"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=what):
        Validation.from_file(path)
