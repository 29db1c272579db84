"""Settings: every preset loads, a typo is an error, the digest follows the values alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from smearscan.errors import SettingsError
from smearscan.provenance import settings_digest
from smearscan.resources import configs_folder
from smearscan.settings import Settings, list_presets, load_settings


@pytest.mark.parametrize("preset", list_presets())
def test_every_preset_loads(preset: str) -> None:
    assert isinstance(load_settings(preset), Settings)


def test_the_default_preset_names_every_knob() -> None:
    table = tomllib.loads((configs_folder() / "presets" / "default.toml").read_text("utf-8"))
    for stage, field in Settings.model_fields.items():
        assert field.annotation is not None
        assert set(table[stage]) == set(field.annotation.model_fields), stage


def test_every_knob_says_its_reason() -> None:
    for stage, field in Settings.model_fields.items():
        for name, knob in field.annotation.model_fields.items():  # type: ignore[union-attr]
            is_choice = isinstance(knob.default, str | tuple)
            assert knob.description or is_choice, f"{stage}.{name}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[detect]\nmin_scoer = 0.3", "detect.min_scoer"),
        ("[detect]\nmin_score = 3.0", "detect.min_score"),
        ("[detect\n", "not TOML"),
    ],
)
def test_a_preset_with_a_mistake_is_refused_by_name(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(SettingsError, match=says):
        load_settings(str(path))


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="default"):
        load_settings("nonsense")


def test_the_digest_changes_with_a_value_and_not_with_its_spelling() -> None:
    base = Settings()
    same = Settings.model_validate({"detect": {"min_score": base.detect.min_score}})
    other = Settings.model_validate({"detect": {"min_score": base.detect.min_score / 2}})
    assert settings_digest(base) == settings_digest(same) != settings_digest(other)
