"""What a card, or a laboratory, says of the classifier's errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from smearscan.aggregate import Validation, ValidationGroup
from smearscan.aggregate.correct import correct_fraction
from smearscan.aggregate.differential import Tally
from smearscan.errors import SettingsError
from smearscan.judge import measured_digest
from smearscan.models import load_card
from smearscan.settings import AggregateSettings, load_settings

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


def test_what_a_laboratory_counted_itself_is_local() -> None:
    counted = AggregateSettings(validation=(ROW,)).validation
    validation = Validation.from_settings(counted, suspect_from=0.3)
    assert validation.is_local
    assert validation.groups == (ValidationGroup("block 1", 90, 85, 10, 1),)
    assert validation.suspect_from == 0.3


def test_what_a_preset_lists_must_be_counts(tmp_path: Path) -> None:
    for changed, what in (
        ({"n_called_of_others": 11}, "more cells called"),
        ({"n_blasts": -1}, "'block 1'.*a negative count"),
        ({"blasts": 3}, "blasts"),
    ):
        rows = [
            f'{key} = "{value}"' if key == "name" else f"{key} = {value}" for key, value in {**ROW, **changed}.items()
        ]
        path = tmp_path / "ours.toml"
        path.write_text("\n".join(["[[aggregate.validation]]", *rows]), "utf-8")
        with pytest.raises(SettingsError, match=what):
            load_settings(str(path))


def test_counts_of_other_packages_or_settings_are_not_used_and_it_is_said() -> None:
    card = {"validation": {"groups": [ROW], "of": "0123456789abcdef"}}
    assert Validation.from_card(card, "0123456789abcdef").groups
    other = Validation.from_card(card, "fedcba9876543210")
    assert other.groups == ()
    correction = correct_fraction(Tally(400, 200, 40), other)
    assert not correction.is_possible
    assert "measured with other packages or settings" in correction.why_not


def test_the_card_that_ships_was_measured_with_the_preset_that_ships() -> None:
    settings = load_settings().classify
    card = load_card(settings.blast[0]).model_dump()
    assert card["validation"]["of"], "it says with what"
    assert Validation.from_card(card, measured_digest(settings)).groups
    louder = settings.model_copy(update={"blast_offset": 3.0})
    assert not Validation.from_card(card, measured_digest(louder)).groups
