"""Training is taken up again to the same bytes, and whatever goes wrong is named with nothing lost."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from cnmc_stand_in import draw_cell

from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import SampleSet
from smearscan.errors import DatasetError, OutputError, SettingsError, TrainingError, UnreadableSlideError, WeightsError
from smearscan.evaluate.models import load_models
from smearscan.models.packages import load_package
from smearscan.models.registry import create_model
from smearscan.train.recipes import loop
from smearscan.train.recipes.place import Place, open_place, synchronised
from smearscan.train.recipes.recipe import Recipe
from smearscan.train.recipes.run import Session, train_recipe
from smearscan.train.recipes.seeds import torch_seed

TINY: dict[str, Any] = {
    "name": "tiny",
    "summary": "a network for tests",
    "paper": "none, https://doi.org/",
    "row": "none",
    "network": "cnn_cbam",
    "options": {"widths": [4, 8], "head": "gap", "hidden": 8},
    "split": {"protocol": "paper-leaky"},
    "input": {"side_px": 32, "takes": "image", "background": "kept"},
    "augment": {"flip": True, "rotate_deg": 20, "brightness": 0.2},
    "optimiser": {"name": "ranger", "rate": 0.01},
    "schedule": {"kind": "plateau", "patience": 1, "factor": 0.5},
    "batch": 6,
    "epochs": 3,
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> SampleSet:
    """Forty drawn cells in two class folders."""
    root, rng = tmp_path_factory.mktemp("cells"), np.random.default_rng(0)
    for name in ("other", "blast"):
        (root / name).mkdir()
        for i in range(20):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), draw_cell(name == "blast", rng, 40))
    return load_set("folder", root)


def _recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({**TINY, **changes})


def _session(**changes: Any) -> Session:
    return replace(Session(open_place("cpu", "float32")), **changes)


def _files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if path.name != "checkpoint.pt"}


def _stopping_at(*steps: int) -> Any:
    """A report that interrupts at these steps of the run, counted from 1, once each."""
    left = set(steps)

    def report(done: float, total: float, note: str) -> None:
        if done in left:
            left.discard(int(done))
            os.kill(os.getpid(), signal.SIGINT)

    return report


def test_a_set_of_one_class_is_refused_by_name(cells: SampleSet, tmp_path: Path) -> None:
    alone = replace(cells, classes=("blast",), samples=tuple(s for s in cells.samples if s.label == "blast"))
    with pytest.raises(DatasetError, match="one class alone: blast"):
        train_recipe(_recipe(), alone, tmp_path / "out", _session())
    assert not (tmp_path / "out").exists()


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
    recipe = _recipe(**changes)
    train_recipe(recipe, cells, tmp_path / "whole", _session())
    stopped = _session(report=_stopping_at(2, 3))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_recipe(recipe, cells, tmp_path / "parts", stopped)
    train_recipe(recipe, cells, tmp_path / "parts", stopped)
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")


def test_a_run_that_died_without_a_word_goes_on_from_its_last_epoch_to_the_same_bytes(
    cells: SampleSet, tmp_path: Path
) -> None:
    def dies(done: float, total: float, note: str) -> None:
        if done == 6:
            raise MemoryError("killed")

    train_recipe(_recipe(), cells, tmp_path / "whole", _session())
    with pytest.raises(MemoryError, match="killed"):
        train_recipe(_recipe(), cells, tmp_path / "parts", _session(report=dies))
    train_recipe(_recipe(), cells, tmp_path / "parts", _session())
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")


def test_a_run_writes_package_log_curves_predictions_and_tables(cells: SampleSet, tmp_path: Path) -> None:
    (tested,) = train_recipe(_recipe(), cells, tmp_path, _session())
    names = set(_files(tmp_path))
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
    recipe = _recipe(epochs=1)
    train_recipe(recipe, cells, tmp_path / "none", _session())
    train_recipe(recipe, cells, tmp_path / "two", _session(n_workers=2))
    assert _files(tmp_path / "none") == _files(tmp_path / "two")


def test_fixres_tunes_only_the_named_layers_at_the_other_resolution(cells: SampleSet, tmp_path: Path) -> None:
    fixres = {"side_px": 48, "epochs": 1, "rate": 0.01, "layers": ["fc6"]}
    train_recipe(_recipe(keep="last"), cells, tmp_path / "before", _session())
    train_recipe(_recipe(keep="last", fixres=fixres), cells, tmp_path / "after", _session())
    before, after = (load_package(str(tmp_path / name / "tiny.toml")) for name in ("before", "after"))
    assert (before.card.input.side_px, after.card.input.side_px) == (32, 48)
    changed = {
        name
        for name, value in before.model.state_dict().items()
        if not torch.equal(value, after.model.state_dict()[name])
    }
    assert changed == {"fc6.weight", "fc6.bias"}


def test_fixres_of_layers_that_do_not_exist_is_refused(cells: SampleSet, tmp_path: Path) -> None:
    fixres = {"side_px": 48, "epochs": 1, "rate": 0.01, "layers": ["wings"]}
    with pytest.raises(SettingsError, match="wings"):
        train_recipe(_recipe(epochs=1, fixres=fixres), cells, tmp_path, _session())


def test_a_loss_that_is_no_number_is_named_and_the_last_checkpoint_stays(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = loop.recipe_loss, []

    def broken(*given: Any) -> torch.Tensor:
        calls.append(1)
        return real(*given) * (float("nan") if len(calls) > 5 else 1.0)

    monkeypatch.setattr(loop, "recipe_loss", broken)
    with pytest.raises(TrainingError, match=r"epoch 2.*optimiser.rate"):
        train_recipe(_recipe(), cells, tmp_path, _session())
    assert (tmp_path / "log.csv").read_text().count("\n") == 2
    monkeypatch.undo()
    train_recipe(_recipe(), cells, tmp_path, _session())
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
    train_recipe(_recipe(epochs=1), cells, tmp_path, _session(say=said.append))
    assert any("2 pieces" in line for line in said)
    assert load_package(str(tmp_path / "tiny.toml")).card.training["pieces"] == 2


def test_memory_too_small_for_two_images_is_named(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(self: loop.Streams, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(loop.Streams, "forward", never)
    with pytest.raises(TrainingError, match=r"memory.*input.side_px"):
        train_recipe(_recipe(), cells, tmp_path, _session())


def test_a_validation_loss_that_is_no_number_is_named_and_its_weights_are_not_kept(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Trainer, "_validate", lambda self: (float("nan"), 0.5))
    with pytest.raises(TrainingError, match=r"loss is nan in epoch 1, validation"):
        train_recipe(_recipe(), cells, tmp_path, _session())
    assert not (tmp_path / "checkpoint.pt").exists()


def test_another_error_of_torch_is_not_taken_for_memory(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: loop.Streams, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("sizes differ")

    monkeypatch.setattr(loop.Streams, "forward", broken)
    with pytest.raises(RuntimeError, match="sizes differ"):
        train_recipe(_recipe(), cells, tmp_path, _session())


@pytest.mark.parametrize("n_workers", [0, 1])
def test_a_corrupt_image_is_named_and_the_run_goes_on_once_it_is_mended(tmp_path: Path, n_workers: int) -> None:
    root, rng = tmp_path / "cells", np.random.default_rng(0)
    for name in ("other", "blast"):
        (root / name).mkdir(parents=True)
        for i in range(20):
            cv2.imwrite(str(root / name / f"{i:03d}.png"), draw_cell(name == "blast", rng, 40))
    cells, recipe = load_set("folder", root), _recipe(epochs=1)
    train_recipe(recipe, cells, tmp_path / "whole", _session())
    victim = root / "blast" / "007.png"
    whole = victim.read_bytes()
    victim.write_bytes(whole[:60])
    with pytest.raises(UnreadableSlideError, match=r"^[^\n]*007\.png[^\n]*$"):
        train_recipe(recipe, cells, tmp_path / "out", _session(n_workers=n_workers))
    victim.write_bytes(whole)
    train_recipe(recipe, cells, tmp_path / "out", _session())
    assert _files(tmp_path / "out") == _files(tmp_path / "whole")


def test_a_folder_of_another_run_is_refused_and_left_as_it_is(cells: SampleSet, tmp_path: Path) -> None:
    train_recipe(_recipe(epochs=1), cells, tmp_path, _session())
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(SettingsError, match="another run"):
        train_recipe(_recipe(epochs=1, seed=1), cells, tmp_path, _session())
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_checkpoint_that_does_not_fit_is_named_and_the_one_before_stays(cells: SampleSet, tmp_path: Path) -> None:
    def full(done: float, total: float, note: str) -> None:
        if done == 6:  # the second epoch is at work
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError, match=r"checkpoint\.pt cannot be written"):
            train_recipe(_recipe(), cells, tmp_path / "parts", _session(report=full))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name for path in (tmp_path / "parts").iterdir()} == {"checkpoint.pt", "log.csv"}
    train_recipe(_recipe(), cells, tmp_path / "whole", _session())
    train_recipe(_recipe(), cells, tmp_path / "parts", _session())
    assert _files(tmp_path / "parts") == _files(tmp_path / "whole")


def test_what_a_killed_process_left_half_written_is_removed_when_the_run_goes_on(
    cells: SampleSet, tmp_path: Path
) -> None:
    left, now = tmp_path / ".checkpoint.pt.123.part", time.time()
    left.write_bytes(b"PK")
    os.utime(left, (now - 7200, now - 7200))
    train_recipe(_recipe(epochs=1), cells, tmp_path, _session())
    assert not left.exists()


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_trained(
    cells: SampleSet, tmp_path: Path
) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    reports: list[str] = []
    with pytest.raises(OutputError, match="out cannot be written"):
        train_recipe(
            _recipe(), cells, tmp_path / "out", _session(report=lambda done, total, note: reports.append(note))
        )
    assert reports == []


def test_a_damaged_checkpoint_is_named(cells: SampleSet, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(SettingsError, match=r"checkpoint.pt"):
        train_recipe(_recipe(epochs=1), cells, tmp_path, _session())


def test_training_stops_early_when_validation_does_not_get_better(cells: SampleSet, tmp_path: Path) -> None:
    # A rate of next to nothing: no epoch is better than the first.
    tiny = {"name": "sgd", "rate": 1e-12}
    train_recipe(_recipe(optimiser=tiny, epochs=20, patience=2, keep="accuracy"), cells, tmp_path, _session())
    assert (tmp_path / "log.csv").read_text().count("\n") == 4


def test_a_hub_that_cannot_be_reached_is_named_with_the_file_to_supply(
    cells: SampleSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm

    def away(*_: Any, **__: Any) -> Any:
        raise OSError("name resolution failed")

    monkeypatch.setattr(timm, "create_model", away)
    with pytest.raises(WeightsError, match=r"name resolution failed.*model.safetensors"):
        train_recipe(_recipe(network="resnet18", options={}, pretrained=True), cells, tmp_path, _session())


def test_weights_of_another_architecture_are_named(cells: SampleSet, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"wing.weight": torch.zeros(2, 2)}, path)
    recipe = _recipe(network="mobilenetv2", options={}, pretrained=str(path))
    with pytest.raises(WeightsError, match=r"mobilenetv2.*another network"):
        train_recipe(recipe, cells, tmp_path / "out", _session())


def test_a_fold_that_the_protocol_does_not_have_is_refused(cells: SampleSet, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="fold 9"):
        train_recipe(_recipe(split={"protocol": "paper-leaky", "fold": 9}), cells, tmp_path, _session())


@pytest.mark.parametrize("network", ["mobilenetv2", "wtdfn_resnet18"])
def test_norms_of_several_gpus_leave_the_network_as_it_was(network: str) -> None:
    model = create_model(network, 2).eval()
    weights = dict(model.named_parameters())
    with torch.inference_mode():
        x = torch.rand(2, 3, 64, 64)
        wanted = model(x)
        shared = synchronised(synchronised(model))  # a second stage must not take away what the first left
        assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in shared.modules())
        assert torch.equal(shared(x), wanted)
    assert all(value is weights[name] for name, value in shared.named_parameters())


def test_a_process_that_only_reads_images_touches_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with torch_seed(1, 2):
        drawn = torch.rand(1)
    assert 0 <= float(drawn) < 1


@pytest.mark.parametrize(("is_native", "precision"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_that_only_emulates_bfloat16_trains_in_float16(
    monkeypatch: pytest.MonkeyPatch, is_native: bool, precision: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation | is_native
    )
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    assert open_place("cuda:1").precision == precision


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
        train_recipe(_recipe(input=shown), load_set("folder", root), tmp_path / "out", _session())
    assert not (tmp_path / "out").exists()


def test_more_processes_than_a_batch_has_images_are_refused(cells: SampleSet, tmp_path: Path) -> None:
    place = Place(torch.device("cpu"), torch.float32, rank=7, world=8)
    with pytest.raises(SettingsError, match=r"8 processes.*6 images"):
        train_recipe(_recipe(), cells, tmp_path, Session(place))


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_node_local_rank", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(SettingsError, match=r"process 2 .*--nproc-per-node 1"):
        open_place()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(TrainingError("the loss is nan"), 2, "nan"), (KeyError("x"), 2, "Traceback"), (KeyboardInterrupt(), 130, "")],
)
def test_one_of_several_processes_that_fails_says_why_and_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with pytest.raises(type(error)), Place(torch.device("cpu"), torch.float32, rank=1, world=2):
        raise error
    assert ended == [code]
    assert said in capsys.readouterr().err
