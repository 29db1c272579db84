"""Writes a trained detector as it ships: float16 safetensors and a card that holds their digest.

python -m smearscan.train.detector_export CHECKPOINT [CHECKPOINT ...]

Several checkpoints of one line of training become one network, the mean of their weights; what that gained and lost is
told in docs/decisions/0003-finding-cells.md.

References
----------
Wortsman et al. 2022, Model soups, https://doi.org/10.48550/arXiv.2203.05482
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save

from smearscan.resources import configs_folder, weights_folder


def mean_weights(checkpoints: Sequence[Path]) -> dict[str, torch.Tensor]:
    """Mean of each tensor over checkpoints of `train_detector`, counters as in the last; their order is else nothing.

    Raises
    ------
    ValueError
        If there is none, or one is of another network.
    """
    weights = [torch.load(path, weights_only=True)["weights"] for path in checkpoints]
    if not weights or any(
        {name: value.shape for name, value in other.items()}
        != {name: value.shape for name, value in weights[0].items()}
        for other in weights
    ):
        raise ValueError(f"not checkpoints of one network: {', '.join(map(str, checkpoints)) or 'none given'}")
    return {
        name: torch.stack([other[name].double() for other in weights]).mean(0).float()
        if last.is_floating_point()
        else last
        for name, last in weights[-1].items()
    }


def export_detector(checkpoints: Sequence[Path], name: str = "detector") -> str:
    """Store the mean weights of checkpoints for shipping and put their digest into the card.

    Parameters
    ----------
    checkpoints
        From `train_detector`.
    name
        Of the weights file and of the card, which must be there already: what it says of training and
        figures is written by people.

    Returns
    -------
    sha256 of the weights file, hexadecimal.
    """
    stored = {
        key: value.half().contiguous() if value.is_floating_point() else value.contiguous()
        for key, value in mean_weights(checkpoints).items()
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


def main() -> None:
    """Export the mean of the named checkpoints as the shipped detector."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    print(export_detector(parser.parse_args().checkpoints))


if __name__ == "__main__":
    main()
