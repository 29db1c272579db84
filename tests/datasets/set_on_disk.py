"""Small sets as their publishers lay them out, with pictures drawn from numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def picture(number: int, side: int = 48) -> np.ndarray:
    """(side, side, 3) uint8, another for every number: soft patches that shrinking and JPEG keep."""
    coarse = np.random.default_rng(number).integers(30, 226, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def save(path: Path, number: int, side: int = 48) -> Path:
    """Write a picture in the format of the path's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(number, side)).save(path)
    return path


def class_folders(root: Path, files: Mapping[str, Sequence[str]]) -> Path:
    """Folder → names of images."""
    number = 0
    for folder, names in files.items():
        for name in names:
            number += 1
            save(root / folder / name, number)
    return root


def grades(root: Path, n: int = 12, step: int = 20) -> Path:
    """Taleqani's four folders with `n` fields each, numbered 1, 1 + step, 1 + 2 step, …"""
    prefixes = {"Benign": "Benign", "Early": "Malignant-Early", "Pre": "Malignant-Pre", "Pro": "Malignant-Pro"}
    return class_folders(
        root, {name: [f"WBC-{prefix}-{1 + step * i:03d}.jpg" for i in range(n)] for name, prefix in prefixes.items()}
    )
