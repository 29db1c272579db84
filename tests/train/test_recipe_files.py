"""Recipes as files: all of them load, each names its row, and a change says when it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

from smearscan.datasets.splits import list_protocols
from smearscan.errors import SettingsError
from smearscan.train.recipes.division import COPIES_LEAKY
from smearscan.train.recipes.load import list_recipes, load_recipe

RIVALS = {"random_erasing", "randaugment", "mixup", "cutmix", "augmix", "cutout", "gridmask"}


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_loads_and_names_its_paper_and_a_protocol_that_exists(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert "https://doi.org/" in recipe.paper
    assert recipe.split.protocol in {*list_protocols(), COPIES_LEAKY}
    assert all(member in list_recipes() for member in recipe.members)


def test_the_papers_printed_hyper_parameters_stand() -> None:
    ullah, sajon, liu, jiang = (load_recipe(n) for n in ("ullah2021", "sajon2024", "liu2022", "jiang2021"))
    assert (ullah.optimiser.name, ullah.optimiser.rate, ullah.batch, ullah.epochs) == ("sgd", 1e-4, 16, 50)
    assert (ullah.balance.copies, ullah.augment.rotate_deg, ullah.options["eca_kernel"]) == (
        {"hem": 4, "all": 2},
        45,
        9,
    )
    assert (sajon.optimiser.name, sajon.optimiser.rate, sajon.batch, sajon.epochs) == ("adam", 1e-4, 24, 75)
    assert (liu.optimiser.name, liu.optimiser.rate, liu.optimiser.weight_decay) == ("ranger", 0.01, 1e-4)
    assert (liu.batch, liu.epochs, liu.input.side_px, liu.schedule.warmup_epochs) == (7, 120, 300, 2)
    assert (jiang.optimiser.name, jiang.batch, jiang.epochs, jiang.loss.name) == ("radam", 32, 30, "symmetric")
    assert (jiang.balance.copies, jiang.balance.draw) == ({"hem": 7, "all": 4}, 20_000)


def test_there_is_a_recipe_for_each_of_the_seven_rivals() -> None:
    assert {load_recipe(name).rival for name in list_recipes()} == RIVALS | {"none"}


def test_a_change_is_read_as_toml_and_a_bare_word_as_text() -> None:
    recipe = load_recipe("ullah2021", ["optimiser.rate=0.01", "network=vgg16", "options={head='gap'}", "batch = 4"])
    assert (recipe.optimiser.rate, recipe.network, recipe.options, recipe.batch) == (0.01, "vgg16", {"head": "gap"}, 4)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("optimiser.speed=3", "speed"),
        ("rate", "key=value"),
        ("batch.size=3", "batch"),
        ("network=vgg99", "vgg99"),
        ("options.wings=2", "wings"),
        ("input.side_px=16", "32"),
        ("input.window_um=36", "29 µm wide"),
        ("members=['jiang2021', 'liu2022']", "parts"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_by_name(change: str, word: str) -> None:
    with pytest.raises(SettingsError, match=word):
        load_recipe("ullah2021", [change])


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="ullah2021"):
        load_recipe("ullah2020")


def test_a_recipe_that_extends_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop.toml"
    path.write_text(f'extends = "{path}"\n', "utf-8")
    with pytest.raises(SettingsError, match="extends itself"):
        load_recipe(str(path))


def test_another_network_does_not_inherit_the_options_of_the_one_it_replaces() -> None:
    assert load_recipe("ullah2021_vgg16").options == {"head": "fc"}
    assert "eca_kernel" not in load_recipe("ullah2021_vgg16").options
