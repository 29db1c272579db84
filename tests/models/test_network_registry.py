"""The registry: keys, options, sizes as the papers print them, and no network traffic."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from smearscan.errors import SettingsError, WeightsError
from smearscan.models import count_parameters, create_model, list_models

#: Liu 2022, table 3: millions of parameters without and with WT-DFN, 2 classes.
_TABLE_3 = {
    "resnet18": (11.18, 11.23),
    "resnet34": (21.29, 21.34),
    "seresnext26": (14.75, 14.94),
    "seresnext50": (25.51, 25.71),
    "mobilenetv2": (2.23, 2.35),
    "inception_v1": (5.98, 6.08),  # printed 7.10 with: 6.08 plus an unused layer of 1000 classes
    "inception_v2": (10.26, 10.36),  # printed 13.47 and 13.57 of a network that is not named: ours is BN-Inception
    "inception_v3": (21.79, 21.99),
    "inception_v4": (41.15, 41.29),
    "inception_resnet_v2": (54.31, 54.46),
}


@pytest.mark.parametrize("name", _TABLE_3)
def test_sizes_are_within_0_02_million_of_the_papers_table(name: str) -> None:
    plain, with_wtdfn = _TABLE_3[name]
    assert count_parameters(name) / 1e6 == pytest.approx(plain, abs=0.02)
    assert count_parameters(f"wtdfn_{name}") / 1e6 == pytest.approx(with_wtdfn, abs=0.02)


def test_inception_v1_with_an_unused_imagenet_layer_is_the_printed_7_10_million() -> None:
    unused = 1024 * 1000 + 1000
    assert (count_parameters("wtdfn_inception_v1") + unused) / 1e6 == pytest.approx(7.10, abs=0.02)


def test_vgg16_for_a_thousand_classes_is_simonyans() -> None:
    assert count_parameters("vgg16", 1000) == 138_357_544


def test_eca_costs_nine_weights_a_block() -> None:
    assert count_parameters("vgg16_eca") - count_parameters("vgg16") == 5 * 9


_BUILD_LIST = """vgg16 vgg16_eca cnn_cbam densenet201_cbam resnet50_cbam xception_cbam efficientnet_b6_cbam
wtdfn_resnet50 wtdfn_resnet101 vit_base_patch16 vit_tiny_patch16 efficientnet_b0 vit_cnn resnet50 densenet121"""


@pytest.mark.parametrize("key", _BUILD_LIST.split())
def test_every_key_of_the_build_list_is_there(key: str) -> None:
    assert key in list_models()


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="no network 'vgg17'") as caught:
        create_model("vgg17", 2)
    assert "vgg16_eca" in caught.value.remedy


def test_an_unknown_option_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="no option widht") as caught:
        create_model("vgg16", 2, widht=0.5)
    assert "width" in caught.value.remedy


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("vgg16", {"head": "gpa"}),
        ("cnn_cbam", {"head": "gpa"}),
        ("vgg16_eca", {"eca_kernel": 4}),
        ("vit_tiny_patch16", {"image_px": 65}),
        ("vit_tiny_cnn", {"weights": (0.7, 0.4)}),
        ("cnn_cbam", {"pretrained": True}),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(key: str, options: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=key):
        create_model(key, 2, **options)  # type: ignore[arg-type]


def test_one_class_is_no_classification() -> None:
    with pytest.raises(SettingsError, match="at least 2 classes"):
        create_model("vgg16", 1)


def test_creating_from_scratch_never_touches_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    create_model("efficientnet_b0", 2)
    create_model("wtdfn_mobilenetv2", 2)


def test_pretrained_weights_that_cannot_be_fetched_name_the_file_to_supply(monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match="'resnet18'") as caught:
        create_model("resnet18", 2, pretrained=True)
    assert "timm/resnet18" in caught.value.remedy
    assert "from scratch" in caught.value.remedy


def test_pretrained_weights_load_from_a_file(tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    source = timm.create_model("mobilenetv2_100", num_classes=1000)
    save_file(source.state_dict(), tmp_path / "model.safetensors")

    model = create_model("mobilenetv2", 2, pretrained=tmp_path / "model.safetensors")

    assert torch.equal(model.conv_stem.weight, source.conv_stem.weight)  # type: ignore[union-attr, arg-type]


def test_a_pretrained_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.safetensors"):
        create_model("mobilenetv2", 2, pretrained=tmp_path / "absent.safetensors")


def test_importing_the_package_does_not_load_torch() -> None:
    code = "import sys, smearscan.models; print('torch' in sys.modules, 'timm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_small_input_stem_keeps_a_map_worth_looking_at() -> None:
    model = create_model("resnet18_cbam", 2, small_input=True).eval()
    seen: list[torch.Tensor] = []
    model.get_submodule("layer4").register_forward_hook(lambda _m, _i, out: seen.append(out))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 64, 64))
    assert seen[0].shape[2:] == (8, 8)


def test_without_attention_the_same_network_has_no_cbam() -> None:
    names = [name for name, _ in create_model("cnn_cbam", 2, attention=False).named_modules()]
    assert not [name for name in names if "spatial" in name]
    assert count_parameters("cnn_cbam", attention=False) < count_parameters("cnn_cbam")
