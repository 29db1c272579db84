"""The exported network gives what the original gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import noise, small_package

from smearscan.errors import SettingsError
from smearscan.models import infer
from smearscan.models.export import accelerate

KEYS = ["cnn_cbam", "vgg16_eca", "wtdfn_resnet18", "vit_tiny_patch16"]


@pytest.mark.slow
@pytest.mark.parametrize("key", KEYS)
def test_the_exported_network_gives_the_same_within_a_thousandth(key: str, tmp_path: Path) -> None:
    package = small_package(key, tmp_path)
    images = noise(5, package.card.input.side_px)
    fast = accelerate(package, precision="float32", threads=1)

    exported = infer(fast, images)

    assert np.allclose(exported, infer(package, images, precision="float32"), atol=1e-3)
    assert np.array_equal(infer(fast, images[::-1]), exported[::-1]), "a row knows nothing of its batch"


@pytest.mark.slow
def test_openvino_is_imported_without_its_telemetry() -> None:
    code = """
from smearscan.models.export import _openvino
_openvino()
from openvino.tools.ovc import telemetry_utils
print(telemetry_utils.tm.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "openvino.tools.ovc.telemetry_stub"


def test_without_openvino_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SettingsError, match="not installed") as caught:
        accelerate(small_package("cnn_cbam", tmp_path))
    assert "install openvino" in caught.value.remedy
