"""The list for people holds every network."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from smearscan.cli.main import cli
from smearscan.errors import WeightsError
from smearscan.models import list_models, list_packages, load_card
from smearscan.models.overview import network_rows
from smearscan.resources import configs_folder


def test_every_network_has_a_line_with_its_size_input_and_paper() -> None:
    rows = network_rows()
    assert [row[0] for row in rows] == list_models()
    by_key = {row[0]: row[1:] for row in rows}
    assert by_key["vgg16_eca"][:2] == ("134.27 M", "224 px")
    assert by_key["wtdfn_seresnext50"][:2] == ("25.71 M", "300 px")
    assert "Liu 2022" in by_key["wtdfn_seresnext50"][2]


@pytest.mark.parametrize("name", ["", "nothing", "../x", "../cards/blast", "/etc/passwd", "../presets/default"])
def test_a_name_that_no_package_has_is_refused_with_those_there_are(name: str) -> None:
    said = CliRunner().invoke(cli, ["models", "show", name])
    assert said.exit_code == 2
    assert f"there is no package {name!r}. Choose one of " in said.output
    assert set(list_packages()) <= set(said.output.split("Choose one of ")[1].strip().split(", "))
    with pytest.raises(WeightsError, match="there is no package"):
        load_card(name)
    assert CliRunner().invoke(cli, ["models", "show", "blast"]).exit_code == 0


def test_the_list_names_every_card_that_can_be_shown() -> None:
    said = CliRunner().invoke(cli, ["models", "list"])
    listed = {line.split()[0] for line in said.output.splitlines() if line.strip()}
    assert said.exit_code == 0
    assert listed >= {card.stem for card in (configs_folder() / "cards").glob("*.toml")} >= {"detector", "cellmask"}
