"""Training is taken up again to the same bytes, and writes what it promises."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import TINY, files_of, on_cpu, stopping_at, tiny_recipe

from smearscan.datasets.samples import SampleSet
from smearscan.evaluate.models import load_models
from smearscan.models.packages import load_package
from smearscan.train.recipes.run import train_recipe


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rival": "mixup", "options": {**TINY["options"], "dropout": 0.5}},
        {"network": "wtdfn_mobilenetv2", "options": {"n_maps": 2}, "epochs": 1, "batch": 8},
    ],
    ids=["ranger", "mixup_and_dropout", "wtdfn"],
)
def test_a_run_that_was_stopped_twice_ends_with_the_same_bytes(
    cells: SampleSet, tmp_path: Path, changes: dict[str, Any]
) -> None:
    recipe = tiny_recipe(**changes)
    train_recipe(recipe, cells, tmp_path / "whole", on_cpu())
    stopped = on_cpu(report=stopping_at(2, 3))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_recipe(recipe, cells, tmp_path / "parts", stopped)
    train_recipe(recipe, cells, tmp_path / "parts", stopped)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_run_that_died_without_a_word_goes_on_from_its_last_epoch_to_the_same_bytes(
    cells: SampleSet, tmp_path: Path
) -> None:
    def dies(done: float, total: float, note: str) -> None:
        if done == 6:
            raise MemoryError("killed")

    train_recipe(tiny_recipe(), cells, tmp_path / "whole", on_cpu())
    with pytest.raises(MemoryError, match="killed"):
        train_recipe(tiny_recipe(), cells, tmp_path / "parts", on_cpu(report=dies))
    train_recipe(tiny_recipe(), cells, tmp_path / "parts", on_cpu())
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_run_writes_package_log_curves_predictions_and_tables(cells: SampleSet, tmp_path: Path) -> None:
    (tested,) = train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())
    names = set(files_of(tmp_path))
    assert {"tiny.toml", "tiny.safetensors", "log.csv", "curves.png", "predictions.csv", "recipe.json"} < names
    assert {"metrics.md", "metrics.csv", "split.csv", "confusion.svg", "roc.svg", "reliability.svg"} < names
    assert (tmp_path / "log.csv").read_text().count("\n") == 4
    assert "LEAKY" in (tmp_path / "metrics.md").read_text()
    card = load_package(str(tmp_path / "tiny.toml")).card
    assert card.classes == cells.classes and card.temperature != 1.0
    (stopped,) = load_models(str(tmp_path / "checkpoint.pt"))
    assert stopped.card.network == card.network and stopped.card.input == card.input
    assert (tmp_path / "predictions.csv").read_text().count("\n") == len(tested.division.test) + 1


def test_how_many_processes_read_the_images_changes_nothing(cells: SampleSet, tmp_path: Path) -> None:
    recipe = tiny_recipe(epochs=1)
    train_recipe(recipe, cells, tmp_path / "none", on_cpu())
    train_recipe(recipe, cells, tmp_path / "two", on_cpu(n_workers=2))
    assert files_of(tmp_path / "none") == files_of(tmp_path / "two")


def test_fixres_tunes_only_the_named_layers_at_the_other_resolution(cells: SampleSet, tmp_path: Path) -> None:
    fixres = {"side_px": 48, "epochs": 1, "rate": 0.01, "layers": ["fc6"]}
    train_recipe(tiny_recipe(keep="last"), cells, tmp_path / "before", on_cpu())
    train_recipe(tiny_recipe(keep="last", fixres=fixres), cells, tmp_path / "after", on_cpu())
    before, after = (load_package(str(tmp_path / name / "tiny.toml")) for name in ("before", "after"))
    assert (before.card.input.side_px, after.card.input.side_px) == (32, 48)
    changed = {
        name
        for name, value in before.model.state_dict().items()
        if not torch.equal(value, after.model.state_dict()[name])
    }
    assert changed == {"fc6.weight", "fc6.bias"}


def test_what_a_killed_process_left_half_written_is_removed_when_the_run_goes_on(
    cells: SampleSet, tmp_path: Path
) -> None:
    left, now = tmp_path / ".checkpoint.pt.123.part", time.time()
    left.write_bytes(b"PK")
    os.utime(left, (now - 7200, now - 7200))
    train_recipe(tiny_recipe(epochs=1), cells, tmp_path, on_cpu())
    assert not left.exists()


def test_training_stops_early_when_validation_does_not_get_better(cells: SampleSet, tmp_path: Path) -> None:
    # A rate of next to nothing: no epoch is better than the first.
    tiny = {"name": "sgd", "rate": 1e-12}
    train_recipe(tiny_recipe(optimiser=tiny, epochs=20, patience=2, keep="accuracy"), cells, tmp_path, on_cpu())
    assert (tmp_path / "log.csv").read_text().count("\n") == 4
