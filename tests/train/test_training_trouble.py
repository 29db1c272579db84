"""Whatever goes wrong in training is named, and nothing is lost."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cnmc_stand_in import draw_cell
from small_training import files_of, on_cpu, tiny_recipe

from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import SampleSet
from smearscan.errors import DatasetError, OutputError, SettingsError, TrainingError, UnreadableSlideError, WeightsError
from smearscan.models.packages import load_package
from smearscan.train.recipes import loop
from smearscan.train.recipes.run import train_recipe


def test_a_set_of_one_class_is_refused_by_name(cells: SampleSet, tmp_path: Path) -> None:
    alone = replace(cells, classes=("blast",), samples=tuple(s for s in cells.samples if s.label == "blast"))
    with pytest.raises(DatasetError, match="one class alone: blast"):
        train_recipe(tiny_recipe(), alone, tmp_path / "out", on_cpu())
    assert not (tmp_path / "out").exists()


def test_fixres_of_layers_that_do_not_exist_is_refused(cells: SampleSet, tmp_path: Path) -> None:
    fixres = {"side_px": 48, "epochs": 1, "rate": 0.01, "layers": ["wings"]}
    with pytest.raises(SettingsError, match="wings"):
        train_recipe(tiny_recipe(epochs=1, fixres=fixres), cells, tmp_path, on_cpu())


def test_a_loss_that_is_no_number_is_named_and_the_last_checkpoint_stays(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.recipe_loss, []

    def broken(*given: Any) -> torch.Tensor:
        calls.append(1)
        return real(*given) * (float("nan") if len(calls) > 5 else 1.0)

    monkeypatch.setattr(loop, "recipe_loss", broken)
    with pytest.raises(TrainingError, match=r"epoch 2.*optimiser.rate"):
        train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())
    assert (tmp_path / "log.csv").read_text().count("\n") == 2
    monkeypatch.undo()
    train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())
    assert (tmp_path / "log.csv").read_text().count("\n") == 4


def test_out_of_memory_cuts_the_batch_says_so_and_goes_on(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    real = loop.Streams.forward

    def too_small(self: loop.Streams, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return real(self, x)

    monkeypatch.setattr(loop.Streams, "forward", too_small)
    train_recipe(tiny_recipe(epochs=1), cells, tmp_path, on_cpu(say=said.append))
    assert any("2 pieces" in line for line in said)
    assert load_package(str(tmp_path / "tiny.toml")).card.training["pieces"] == 2


def test_memory_too_small_for_two_images_is_named(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: loop.Streams, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(loop.Streams, "forward", never)
    with pytest.raises(TrainingError, match=r"memory.*input.side_px"):
        train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())


def test_a_validation_loss_that_is_no_number_is_named_and_its_weights_are_not_kept(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Trainer, "_validate", lambda self: (float("nan"), 0.5))
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 1, validation"):
        train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())
    assert not (tmp_path / "checkpoint.pt").exists()


def test_another_error_of_torch_is_not_taken_for_memory(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: loop.Streams, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("sizes differ")

    monkeypatch.setattr(loop.Streams, "forward", broken)
    with pytest.raises(RuntimeError, match="sizes differ"):
        train_recipe(tiny_recipe(), cells, tmp_path, on_cpu())


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_corrupt_image_is_named_and_the_run_goes_on_once_it_is_mended(tmp_path: Path, n_workers: int) -> None:
    root, rng = tmp_path / "cells", np.random.default_rng(0)
    for name in ("other", "blast"):
        (root / name).mkdir(parents=True)
        for i in range(20):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), draw_cell(name == "blast", rng, 40))
    cells, recipe = load_set("folder", root), tiny_recipe(epochs=1)
    train_recipe(recipe, cells, tmp_path / "whole", on_cpu())
    victim = root / "blast" / "007.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:60])
    with pytest.raises(UnreadableSlideError, match=r"^[^\n]*007\.png[^\n]*$"):
        train_recipe(recipe, cells, tmp_path / "out", on_cpu(n_workers=n_workers))
    victim.write_bytes(whole)
    train_recipe(recipe, cells, tmp_path / "out", on_cpu())
    assert files_of(tmp_path / "out") == files_of(tmp_path / "whole")


def test_a_folder_of_another_run_is_refused_and_left_as_it_is(cells: SampleSet, tmp_path: Path) -> None:
    train_recipe(tiny_recipe(epochs=1), cells, tmp_path, on_cpu())
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(SettingsError, match="another run"):
        train_recipe(tiny_recipe(epochs=1, seed=1), cells, tmp_path, on_cpu())
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_stays(cells: SampleSet, tmp_path: Path) -> None:
    def full(done: float, total: float, note: str) -> None:
        if done == 6:  # the second epoch is at work
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written"):
            train_recipe(tiny_recipe(), cells, tmp_path / "parts", on_cpu(report=full))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {"checkpoint.pt", "log.csv"}
    train_recipe(tiny_recipe(), cells, tmp_path / "whole", on_cpu())
    train_recipe(tiny_recipe(), cells, tmp_path / "parts", on_cpu())
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "whole")


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(
    cells: SampleSet, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    reports: list[str] = []
    with pytest.raises(OutputError, match="out cannot be written"):
        train_recipe(
            tiny_recipe(), cells, tmp_path / "out", on_cpu(report=lambda done, total, note: reports.append(note))
        )
    assert reports == []


def test_a_damaged_checkpoint_is_named(cells: SampleSet, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(SettingsError, match=r"checkpoint.pt"):
        train_recipe(tiny_recipe(epochs=1), cells, tmp_path, on_cpu())


def test_a_hub_that_cannot_be_reached_is_named_with_the_file_to_supply(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    def away(*_: Any, **__: Any) -> Any:
        raise OSError("name resolution failed")

    monkeypatch.setattr(timm, "create_model", away)
    with pytest.raises(WeightsError, match=r"name resolution failed.*model.safetensors"):
        train_recipe(tiny_recipe(network="resnet18", options={}, pretrained=True), cells, tmp_path, on_cpu())


def test_weights_of_another_architecture_are_named(cells: SampleSet, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"wing.weight": torch.zeros(2, 2)}, path)
    recipe = tiny_recipe(network="mobilenetv2", options={}, pretrained=str(path))
    with pytest.raises(WeightsError, match=r"mobilenetv2.*another network"):
        train_recipe(recipe, cells, tmp_path / "out", on_cpu())


def test_a_fold_that_the_protocol_does_not_have_is_refused(cells: SampleSet, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fold 9"):
        train_recipe(tiny_recipe(split={"protocol": "paper-leaky", "fold": 9}), cells, tmp_path, on_cpu())


@pytest.mark.parametrize(("shade", "said"), [(0, "kept"), (200, "black")])
def test_cells_that_are_not_masked_as_the_recipe_says_are_refused(tmp_path: Path, shade: int, said: str) -> None:
    root, rng = tmp_path / "cells", np.random.default_rng(0)
    for name in ("other", "blast"):
        (root / name).mkdir(parents=True)
        for i in range(10):
            picture = np.maximum(draw_cell(name == "blast", rng, 40), shade)
            cv2.imwrite(str(root / name / f"{i:03d}.png"), picture)
    shown = {"side_px": 32, "takes": "cell", "background": said}
    with pytest.raises(SettingsError, match=rf"says {said}.*input.background="):
        train_recipe(tiny_recipe(input=shown), load_set("folder", root), tmp_path / "out", on_cpu())
    assert not (tmp_path / "out").exists()
