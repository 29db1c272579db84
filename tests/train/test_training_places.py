"""Training on several processes and GPUs, as far as a processor can show it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from small_training import tiny_recipe

from smearscan.datasets.samples import SampleSet
from smearscan.errors import SettingsError, TrainingError
from smearscan.models.registry import create_model
from smearscan.train.recipes.place import Place, open_place, synchronised
from smearscan.train.recipes.run import Session, train_recipe
from smearscan.train.recipes.seeds import torch_seed


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


def test_more_processes_than_a_batch_has_images_are_refused(cells: SampleSet, tmp_path: Path) -> None:
    place = Place(torch.device("cpu"), torch.float32, rank=7, world=8)
    with pytest.raises(SettingsError, match=r"8 processes.*6 images"):
        train_recipe(tiny_recipe(), cells, tmp_path, Session(place))


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
