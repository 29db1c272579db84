"""Writes a trained detector as it ships: float16 safetensors and a card that holds their digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from smearscan.resources import configs_folder, weights_folder


def export_detector(checkpoint: Path, name: str = "detector") -> str:
    """Store a checkpoint's weights for shipping and put their digest into the card.

    Parameters
    ----------
    checkpoint
        From `train_detector`.
    name
        Of the weights file and of the card, which must be there already: what it says of training and
        figures is written by people.

    Returns
    -------
    sha256 of the weights file, hexadecimal.
    """
    weights = torch.load(checkpoint, weights_only=True)["weights"]
    stored = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in weights.items()
    }
    content = save(stored, metadata={"format": "pt"})
    digest = hashlib.sha256(content).hexdigest()
    (weights_folder() / f"{name}.safetensors").write_bytes(content)
    card = configs_folder() / "cards" / f"{name}.toml"
    lines = card.read_text("utf-8").splitlines()
    lines = [f'sha256 = "{digest}"' if line.startswith("sha256 =") else line for line in lines]
    lines = [f"bytes = {len(content)}" if line.startswith("bytes =") else line for line in lines]
    card.write_text("\n".join(lines) + "\n", "utf-8")
    return digest
