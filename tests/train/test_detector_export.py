"""What ships of a detector: the mean of checkpoints, and a card that knows the file's digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from smearscan.train import detector_export


def _checkpoint(path: Path, *values: float, steps: int = 1) -> Path:
    torch.save(
        {"weights": {"w": torch.tensor([float(v) for v in values]), "n": torch.tensor(steps)}, "step": steps}, path
    )
    return path


def test_checkpoints_become_their_mean_in_any_order(tmp_path: Path) -> None:
    a, b, c = (
        _checkpoint(tmp_path / name, *values) for name, values in (("a", (1, 0)), ("b", (3, 0.5)), ("c", (5, 4)))
    )
    assert detector_export.mean_weights([a, b, c])["w"].tolist() == [3.0, 1.5]
    assert torch.equal(*(detector_export.mean_weights(order)["w"] for order in ([a, b, c], [c, a, b])))


def test_one_checkpoint_is_left_as_it_is(tmp_path: Path) -> None:
    weights = detector_export.mean_weights([_checkpoint(tmp_path / "a", 0.1, 1e-7, steps=9)])
    assert torch.equal(weights["w"], torch.tensor([0.1, 1e-7])) and int(weights["n"]) == 9


def test_checkpoints_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    paths = [_checkpoint(tmp_path / "a", 1, 2), _checkpoint(tmp_path / "other", 1, 2, 3)]
    with pytest.raises(ValueError, match="other"):
        detector_export.mean_weights(paths)


def test_the_card_knows_the_file_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cards").mkdir()
    card = tmp_path / "cards" / "detector.toml"
    card.write_text('name = "detector"\n[weights]\nsha256 = "old"\nbytes = 1\n')
    monkeypatch.setattr(detector_export, "weights_folder", lambda: tmp_path)
    monkeypatch.setattr(detector_export, "configs_folder", lambda: tmp_path)
    digest = detector_export.export_detector([_checkpoint(tmp_path / "a", 1.5, 2.0)])
    content = (tmp_path / "detector.safetensors").read_bytes()
    assert digest == hashlib.sha256(content).hexdigest()
    assert card.read_text().splitlines()[2:] == [f'sha256 = "{digest}"', f"bytes = {len(content)}"]
    assert load_file(tmp_path / "detector.safetensors")["w"].dtype == torch.float16
