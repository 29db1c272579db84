"""docs/models.md has a row for every recipe and names nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from smearscan.datasets import list_protocols
from smearscan.resources import configs_folder

PAGE = Path(__file__).resolve().parents[1] / "docs" / "models.md"


def _named() -> set[str]:
    """Whatever stands in backticks."""
    text = re.sub(r"```.*?```", "", PAGE.read_text("utf-8"), flags=re.DOTALL)
    return set(re.findall(r"`([^`]+)`", text))


def test_every_recipe_has_its_row() -> None:
    recipes = {path.stem for path in (configs_folder() / "recipes").glob("*.toml")}
    assert recipes - _named() == set()


def test_every_recipe_that_is_named_exists() -> None:
    papers = re.compile(r"^(ullah2021|sajon2024|liu2022|jiang2021)\w*$")
    recipes = {path.stem for path in (configs_folder() / "recipes").glob("*.toml")}
    assert {name for name in _named() if papers.match(name)} - recipes == set()


def test_every_protocol_is_explained() -> None:
    assert set(list_protocols()) - _named() == set()


def test_no_figure_of_ours_is_a_placeholder() -> None:
    assert not re.search(r"\{\w+\}", PAGE.read_text("utf-8"))
