"""A network rearranged for running gives what it gave before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_networks import small_card, small_model
from torch import Tensor, nn

from smearscan.models import Package, infer, list_packages, load_package
from smearscan.models.fused import for_inference


def _images(package: Package, n: int) -> np.ndarray:
    side = package.card.input.side_px
    smooth = np.random.default_rng(1).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return smooth.repeat(-(-side // 8), axis=1).repeat(-(-side // 8), axis=2)[:, :side, :side]


@pytest.mark.parametrize("name", list_packages())
def test_a_shipped_network_answers_as_before_but_for_rounding(name: str) -> None:
    package = load_package(name)
    running, images = for_inference(package), _images(package, 24)
    exact = infer(package, images, precision="float32")
    rounding, ours = (float(np.abs(infer(p, images) - exact).mean()) for p in (package, running))
    assert ours < 0.01
    assert ours < 3 * rounding + 1e-4


def test_no_batch_norm_is_left_and_the_loaded_network_is_as_it_was() -> None:
    package = load_package("celltype")
    before = {name: value.clone() for name, value in package.model.state_dict().items()}
    running = for_inference(package)
    assert not [module for module in running.model.modules() if isinstance(module, nn.BatchNorm2d)]
    after = package.model.state_dict()
    assert all(torch.equal(after[name], value) and after[name].dtype == value.dtype for name, value in before.items())


def test_a_row_depends_on_its_image_alone() -> None:
    running = for_inference(load_package("celltype"))
    images = _images(running, 40)
    assert np.array_equal(infer(running, images)[33:], infer(running, images[33:]))


class _Pools(nn.Module):
    """Pools what a ReLU left and, by another pool, what has signs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.positive = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)
        self.second, self.signed = nn.Conv2d(8, 8, 3), nn.MaxPool2d(2)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.signed(self.second(self.positive(self.act(self.first(x))))).mean((2, 3)))


def test_pooling_by_patterns_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Odd sides too; what has signs is pooled as numbers."""
    torch.manual_seed(0)
    package = Package(_Pools().eval(), small_card("cnn_cbam"))
    images = _images(package, 5)
    patterns = infer(for_inference(package), images)
    monkeypatch.setattr("smearscan.models.fused._halves", lambda pool: False)
    assert np.array_equal(patterns, infer(for_inference(package), images))


class _ReadTwice(nn.Module):
    """What a convolution gave is read by a ReLU, and again as it was."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.second, self.again = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        return self.head(self.again(self.second(self.act(first) - first)).mean((2, 3)))


def test_nothing_is_written_over_that_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    package = Package(_ReadTwice().eval(), small_card("cnn_cbam"))
    images = _images(package, 5)
    in_place = infer(for_inference(package), images)
    monkeypatch.setattr("smearscan.models.fused._alone_reads_a_convolution", lambda node, called: False)
    assert np.array_equal(in_place, infer(for_inference(package), images))


class _ByContent(nn.Module):
    """Goes one way or the other by what it sees: no tracer can write that down."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.mean((2, 3))
        return self.linear(pooled) if pooled.sum() > 0 else self.linear(-pooled)


@pytest.mark.parametrize("model", [_ByContent(), small_model("wtdfn_resnet18")], ids=["by content", "own precision"])
def test_a_network_that_cannot_be_rearranged_runs_as_it_is(model: nn.Module) -> None:
    package = Package(model.eval(), small_card("wtdfn_resnet18"))
    assert for_inference(package) is package
