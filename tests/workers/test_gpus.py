"""GPUs: each worker is shown one of its own, none is touched before a fork, and none that fails costs a slide."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pretended_night import open_night, submit_night, take, wanting
from sqlalchemy import select

from smearscan import local
from smearscan.errors import PermanentError, TransientError
from smearscan.local import start_process
from smearscan.models import infer, load_package
from smearscan.models.fused import for_inference
from smearscan.models.runtime import take_gpu
from smearscan.stages import execute
from smearscan.stages.device import DeviceFullError, DeviceLostError, device_trouble
from smearscan.stages.execute import Worker
from smearscan.stages.progress import run_progress
from smearscan.store.claims import Wanted
from smearscan.store.database import Database
from smearscan.store.schema import chunks
from smearscan.store.state import State
from workers import tasks
from workers.commands.up import _workers
from workers.gpus import usable_gpus
from workers.surroundings import Gpu, gpus

#: A library that sees so many GPUs; on some of them nothing can be computed.
_PRETENDED = """
import os
from types import SimpleNamespace as _S
assert "CUDA_VISIBLE_DEVICES" in os.environ or os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
_N, _BROKEN = {n}, {broken}
def ones(*shape, device):
    if device in _BROKEN:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\\nmore words")
    return _S(cpu=lambda: None)
cuda = _S(is_available=lambda: {works}, device_count=lambda: _N)
nn = _S(functional=_S(conv2d=lambda picture, kernel: picture))
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine whose GPUs are pretended by `_see`."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("workers.surroundings.gpus", list)
    return tmp_path


def _see(machine: Path, n: int, broken: tuple[int, ...] = (), works: bool = True) -> None:
    (machine / "torch.py").write_text(_PRETENDED.format(n=n, broken=broken, works=works))


@pytest.mark.parametrize("n", [1, 4])
def test_each_gpu_gets_a_process_that_sees_it_alone_and_the_others_see_none(machine: Path, n: int) -> None:
    _see(machine, n)
    children = _workers(8, usable_gpus(), [])
    assert [child.settings["CUDA_VISIBLE_DEVICES"] for child in children] == ["", *map(str, range(n))]
    assert [child.command[child.command.index("--processes") + 1] for child in children] == ["8"] + ["1"] * n
    assert "gpu" not in children[0].command, "the networks are left to the GPUs"
    assert all(child.settings["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID" for child in children[1:])


def test_without_a_gpu_the_processor_judges(machine: Path) -> None:
    _see(machine, 0)
    (worker,) = _workers(2, usable_gpus(), [])
    assert "--queue" not in worker.command, "it serves all queues"


def test_gpus_that_were_chosen_are_used_and_no_others(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _see(machine, 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f3a")
    assert usable_gpus() == [{"CUDA_VISIBLE_DEVICES": "3"}, {"CUDA_VISIBLE_DEVICES": "GPU-5f3a"}]


def test_a_gpu_that_cannot_compute_is_named_and_left_out(machine: Path, caplog: pytest.LogCaptureFixture) -> None:
    _see(machine, 3, broken=(1,))
    assert [seeing["CUDA_VISIBLE_DEVICES"] for seeing in usable_gpus()] == ["0", "2"]
    assert "GPU 1 cannot be used: CUDA error: no kernel image" in caplog.text


def test_gpus_that_the_library_cannot_use_are_told_and_not_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _see(machine, 2, works=False)
    monkeypatch.setattr("workers.surroundings.gpus", lambda: [Gpu("0", 0.5, 1, 2)] * 2)
    assert usable_gpus() == []
    assert "has 2 GPUs that PyTorch cannot use: the networks run on the processor" in caplog.text


def test_a_process_that_was_promised_a_gpu_and_finds_none_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tasks, "runtime", lambda: "cpu avx2 float32")
    with caplog.at_level(logging.INFO):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        tasks._say_what_it_runs_on(("gpu",))
        assert [record.levelname for record in caplog.records] == ["INFO"], "it was told to use the processor"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        tasks._say_what_it_runs_on(("gpu",))
    assert "GPU 1 cannot be used: the networks run on cpu avx2 float32" in caplog.text


@pytest.mark.parametrize(
    ("names", "taken"),
    [("AA", [0, 1, 0, 1]), ("ABA", [0, 2, 0, 2]), ("BAA", []), ("A", []), ("", [])],
)
def test_processes_of_one_screening_take_turns_on_gpus_of_one_kind(
    names: str, taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another kind would give other last digits, and so would the same smears twice."""
    found: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(names))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(names))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda gpu: names[gpu])
    monkeypatch.setattr(torch.cuda, "set_device", found.append)
    for place in range(4):
        take_gpu(place)
    assert found == taken


def test_a_screenings_process_that_takes_the_place_of_another_takes_another_gpu(
    night: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = submit_night(night.database, [("a", "A")])
    places: list[int] = []

    class Dies:
        exitcode = 76

        def __init__(self, target: object, args: tuple[object, object, int], daemon: bool) -> None:
            places.append(args[2])

        def start(self) -> None: ...
        def is_alive(self) -> bool:
            return False

        terminate = join = start

    monkeypatch.setattr(local, "get_context", lambda _: SimpleNamespace(Process=Dies))
    monkeypatch.setattr(local, "_LOOK_S", 0.0)
    with pytest.raises(PermanentError, match="worker processes died"):
        local.work_off(night, run, 2, lambda progress: None)
    assert places == list(range(len(places))) and len(places) > 2


_PARENT = """
import sys, torch
def refuse(*_, **__): raise AssertionError("the parent asked for a GPU")
torch.cuda.is_available = torch.cuda.device_count = torch.cuda._lazy_init = torch.cuda.get_device_name = refuse
from celery import Celery
import workers.app
from smearscan.stages.keys import code_digest
def fork(*_):
    assert code_digest.cache_info().currsize == 1, "an upgrade could come before the code is named"
    print("forks now")
Celery.worker_main, workers.app.await_broker = fork, lambda app: None
from workers.commands.worker import command
command(["--queue", "gpu", "--state", sys.argv[1]], standalone_mode=False)
"""


def test_before_it_forks_a_worker_touches_no_gpu_and_knows_what_code_it_is(tmp_path: Path) -> None:
    """What CUDA has begun in a parent no child can use."""
    command = [sys.executable, "-c", _PARENT, str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": "0"})
    assert done.stdout == "forks now\n", done.stderr


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), DeviceFullError),
        (torch.AcceleratorError("CUDA error: out of memory"), DeviceFullError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), DeviceFullError),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nsecond line"), DeviceLostError),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), DeviceLostError),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), type(None)),
        (RuntimeError("GET was unable to find an engine to execute this computation"), type(None)),
        (ValueError("CUDA error: what a file was named"), type(None)),
    ],
)
def test_trouble_with_a_gpu_is_told_from_trouble_with_the_work(error: Exception, kind: type) -> None:
    trouble = device_trouble(error)
    assert type(trouble) is kind
    assert trouble is None or ("second line" not in trouble.what and isinstance(trouble, TransientError))


@pytest.fixture
def night(database_url: str, tmp_path: Path) -> Iterator[State]:
    """An empty state."""
    opened = open_night(database_url, tmp_path)
    yield opened
    opened.database.close()


def _judge_once(state: State, run: int, error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One turn of a worker that meets an error; what it did after that."""
    done: list[str] = []

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(execute, "read_jobs", fail)
    wanted = Wanted("elsewhere/1/1.00", ("cpu", "gpu", "io"), run_ids=frozenset({run}))
    worker = Worker(state, wanted, on_device_lost=lambda: done.append("ends"))
    claims = take(state.database, wanting(run))
    worker._do(claims)
    return done


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), ["ends"]),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), []),
    ],
)
def test_a_gpu_that_fails_costs_no_slide_however_often(
    night: State, error: Exception, ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was in hand waits; a process that lost its device ends, so that another begins afresh with it."""
    run = submit_night(night.database, [("a", "A")])
    for _ in range(5):
        assert _judge_once(night, run, error, monkeypatch) == ends
        _let_time_go_by(night.database)
    assert night.database.run(run_progress, run).n_failed == 0
    with night.database.transaction() as connection:
        chunk = connection.execute(select(chunks)).one()
    assert (chunk.status, chunk.n_failures) == ("ready", 0)
    assert chunk.trouble.startswith("the GPU")


def _let_time_go_by(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(chunks.update().values(ready_at=0.0))


def test_a_gpu_that_does_not_say_how_busy_it_is_still_tells_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pynvml = pytest.importorskip("pynvml")

    def refuse(_: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    for name, answer in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetCount": lambda: 1,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=1, total=2),
        "nvmlDeviceGetUtilizationRates": refuse,
    }.items():
        monkeypatch.setattr(pynvml, name, answer)
    assert gpus() == [Gpu("0", None, 1, 2)]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: what is told of one is pretended")
def test_on_a_gpu_an_answer_does_not_depend_on_who_is_judged_with_whom() -> None:
    """Pools are filled as work comes: another night must give the same bytes."""
    start_process()
    package = for_inference(load_package("blast"))
    side = package.card.input.side_px
    images = np.random.default_rng(0).integers(0, 256, (70, side, side, 3), np.uint8)
    order = np.random.default_rng(1).permutation(len(images))
    together = infer(package, images, device="cuda")
    np.testing.assert_array_equal(infer(package, images[order], device="cuda"), together[order])
    np.testing.assert_array_equal(infer(package, images[5:6], device="cuda"), together[5:6])
