"""A small set on disk and small packages to judge it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from smearscan.evaluate.metrics import Scored
from smearscan.models import InputCard, ModelCard, create_model, save_package

GRADES = ("Benign", "Early", "Pre", "Pro")
_OPTIONS = {"head": "gap", "widths": (8, 8), "batch_norm": True}


def field(label: str, number: int, side: int = 40) -> np.ndarray:
    """(side, side, 3) uint8: a shade for the class, grain for the number."""
    shade = 60 + 45 * GRADES.index(label)
    grain = np.random.default_rng(number).integers(-20, 21, (side, side, 3))
    return np.clip(shade + grain, 0, 255).astype(np.uint8)


def fields(root: Path, n: int = 6, names: tuple[str, ...] = GRADES) -> Path:
    """Class folders of `n` drawn fields each; the folder of each grade may be called otherwise."""
    for folder, label in zip(names, GRADES, strict=True):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            Image.fromarray(field(label, i)).save(root / folder / f"WBC-{i + 1:03d}.png")
    return root


def persons(root: Path, n: int = 6, images: int = 2) -> Path:
    """Class folders of `n` persons each, `images` fields of each person."""
    for label in GRADES:
        for person in range(n):
            folder = root / label / f"{label}{person}"
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(images):
                Image.fromarray(field(label, 100 * person + i)).save(folder / f"{i}.png")
    return root


def package(
    folder: Path, name: str = "grades", classes: tuple[str, ...] = GRADES, seed: int = 0, takes: str = "image"
) -> Path:
    """An untrained package of a small network; its card."""
    torch.manual_seed(seed)
    card = ModelCard(
        name=name,
        summary="untrained, for tests",
        network="cnn_cbam",
        options=_OPTIONS,
        classes=classes,
        input=InputCard(window_um=29, um_per_px=29 / 32, side_px=32, background="kept", takes=takes),  # type: ignore[arg-type]
        data=("nothing",),
    )
    path, _ = save_package(create_model("cnn_cbam", len(classes), **_OPTIONS), card, folder=folder)
    return path


def scores(
    rng: np.random.Generator, n: int = 60, n_classes: int = 3, n_subjects: int = 12, classes: tuple[str, ...] = ()
) -> Scored:
    """Random predictions with every class in the truth, somewhat better than chance."""
    labels = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    logits = rng.normal(size=(n, n_classes)) + 1.2 * np.eye(n_classes)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    subjects = np.array([f"s{i % n_subjects}" for i in range(n)])
    return Scored(labels, shares, subjects, classes or tuple(f"c{i}" for i in range(n_classes)))
