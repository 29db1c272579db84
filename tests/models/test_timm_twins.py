"""What is written out so that timm need not be loaded is timm's, layer by layer and name by name."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from smearscan.models import create_model
from smearscan.models.layers.cbam import CBAM
from smearscan.models.layers.eca import eca


def _timm_resnet(channels: tuple[int, ...], attention: bool) -> nn.Module:
    from timm.models.resnet import BasicBlock, ResNet

    block_args = {"attn_layer": partial(CBAM, reduction=16)} if attention else {}
    return ResNet(
        BasicBlock, (2, 2, 2, 2), num_classes=3, channels=channels, stem_width=channels[0], block_args=block_args
    )


@pytest.mark.parametrize(("channels", "attention"), [((24, 32, 48, 64), True), ((64, 32, 48, 80), False)])
def test_our_resnet_is_timms(channels: tuple[int, ...], attention: bool) -> None:
    torch.manual_seed(0)
    ours = create_model("resnet18_cbam", 3, channels=channels, attention=attention, dropout=0.0)
    torch.manual_seed(0)
    theirs = _timm_resnet(channels, attention)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    assert set(ours.state_dict()) == set(theirs.state_dict())
    for network in (ours, theirs):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
    pictures = torch.randn(4, 3, 64, 64)
    assert torch.equal(ours.train()(pictures), theirs.train()(pictures))
    assert torch.equal(ours.eval()(pictures), theirs.eval()(pictures))


@pytest.mark.parametrize("channels", [8, 64, 200, 512])
@pytest.mark.parametrize("kernel", [9, "adaptive"])
def test_our_eca_is_timms(channels: int, kernel: int | str) -> None:
    from timm.layers import EcaModule

    ours = eca(channels, kernel)  # type: ignore[arg-type]
    theirs = EcaModule(channels=channels) if kernel == "adaptive" else EcaModule(kernel_size=kernel)
    theirs.load_state_dict(ours.state_dict())
    features = torch.randn(2, channels, 5, 6)
    assert torch.equal(ours(features), theirs(features))


def test_the_judge_of_the_default_preset_loads_no_timm() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from smearscan.settings import load_settings; from smearscan.judge import load_judge;"
        "load_judge(load_settings().classify); print(*{'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
