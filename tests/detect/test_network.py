"""The network is built in silence, without a connection; its weights are those of the card, or it refuses."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from smearscan.detect.card import load_card, load_into, load_weights
from smearscan.detect.network import build_network
from smearscan.detect.yolo import decode
from smearscan.errors import WeightsError

_SILENT = """
import os, socket
def refuse(*args, **kwargs):
    raise SystemExit("a connection was tried")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse
before = dict(os.environ)
from smearscan.detect import create_detector
from smearscan.settings import DetectSettings
create_detector("yolo", DetectSettings())
changed = {name for name in {*before, *os.environ} if before.get(name) != os.environ.get(name)}
assert not {name for name in changed if name.startswith(("YOLO", "OMP"))}, changed
"""


def test_loading_the_detector_prints_nothing_asks_no_host_and_leaves_home_alone(tmp_path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", _SILENT], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.rglob("*ltralytics*")) == []


def test_a_damaged_image_installs_nothing_once_the_detector_is_loaded(tmp_path) -> None:
    """ultralytics replaces Pillow's opener by one that fetches a package when it meets a damaged image."""
    (tmp_path / "torn.png").write_bytes(b"no image")
    code = (
        "from PIL import Image, UnidentifiedImageError\n"
        "from smearscan.detect.network import build_network\nbuild_network()\n"
        f"try:\n    Image.open({str(tmp_path / 'torn.png')!r})\n"
        "except UnidentifiedImageError:\n    raise SystemExit(0)\nraise SystemExit(1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_package_loads_no_network_library() -> None:
    code = "import sys, smearscan.detect; raise SystemExit('torch' in sys.modules or 'ultralytics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_altered_weights_are_refused(tmp_path, monkeypatch) -> None:
    card = load_card("detector")
    monkeypatch.setattr("smearscan.detect.card.weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match=r"detector\.safetensors is missing"):
        load_weights(card)
    (tmp_path / card.weights.file).write_bytes(b"not these")
    with pytest.raises(WeightsError, match="not the file its card describes"):
        load_weights(card)


def test_a_card_that_is_none_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("smearscan.detect.card.configs_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="is missing"):
        load_card("detector")
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "detector.toml").write_text('name = "detector"\n')
    with pytest.raises(WeightsError, match="is no card"):
        load_card("detector")


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match="of another network"):
        load_into(build_network(), {"stem": torch.zeros(3)}, "detector")


def test_boxes_are_decoded_from_the_distribution_s_mean() -> None:
    raw = torch.full((1, 4, 16, 2), -50.0)  # two grid points side by side, stride 8
    for side, steps in enumerate((1, 0, 2, 3)):  # left, top, right, bottom
        raw[:, side, steps] = 50.0
    boxes = decode(raw.reshape(1, 64, 2), [torch.Size((1, 2))], [8.0], 16)
    assert boxes[0].tolist() == [[-4.0, 4.0, 20.0, 28.0], [4.0, 4.0, 28.0, 28.0]]


def test_our_decoding_agrees_with_the_library_s() -> None:
    network = build_network().eval()
    with torch.inference_mode():
        theirs, raw = network(torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)))
        head = network.model[-1]
        ours = decode(raw["boxes"], [f.shape[2:] for f in raw["feats"]], head.stride.tolist(), head.reg_max)
    x, y, width, height = theirs[0, :4]
    expected = torch.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), -1)
    torch.testing.assert_close(ours[0], expected, atol=1e-3, rtol=1e-4)
