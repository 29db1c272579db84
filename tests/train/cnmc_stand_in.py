"""A C-NMC folder under the publisher's real names: drawn cells, and the real ones of the sample where they are."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from smearscan.datasets.cnmc_list import LABELS_NAME, listed_files, parse_name, part_of


def draw_cell(is_blast: bool, rng: np.random.Generator, side: int = 64) -> np.ndarray:
    """One cell on black, (side, side, 3) uint8 RGB: a blast's nucleus fills it, another's does not."""
    image = np.zeros((side, side, 3), np.uint8)
    middle = tuple(int(v) for v in side / 2 + rng.normal(0, side / 32, 2))
    radius = side * rng.uniform(0.2, 0.28)
    share = rng.uniform(0.85, 0.95) if is_blast else rng.uniform(0.55, 0.7)
    cv2.circle(image, middle, round(radius), (170, 160, 200), -1)
    cv2.circle(image, middle, round(radius * share), (90, 40, 130), -1)
    noise = rng.normal(0, 6, image.shape) * (image > 0)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def make_cnmc(root: Path, per_subject: int = 2, n_phase2: int = 12, n_phase3: int = 4, seed: int = 0) -> Path:
    """Write drawn cells under real names: `per_subject` of every training subject, some of phases II and III."""
    rng = np.random.default_rng(seed)
    taken: Counter[str] = Counter()
    phase2: list[tuple[str, str, int]] = []
    for file in listed_files():
        if not file.path.endswith(".bmp"):
            continue
        part, said = part_of(file.path), parse_name(file.name)
        key = said.subject if said else part
        if taken[key] >= (per_subject if said else {"phase2": n_phase2, "phase3": n_phase3}[part]):
            continue
        taken[key] += 1
        is_blast = said.label == "all" if said else taken[key] % 2 == 0
        if part == "phase2":
            owner = f"UID_9{taken[key]}_1_1_all.bmp" if is_blast else f"UID_H9{taken[key]}_1_1_hem.bmp"
            phase2.append((owner, file.name, int(is_blast)))
        _write(root / file.path, draw_cell(is_blast, rng))
    labels = next(Path(file.path).parent for file in listed_files() if part_of(file.path) == "phase2")
    with (root / labels.parent / LABELS_NAME).open("w", newline="") as lines:
        csv.writer(lines).writerows([("Patient_ID", "new_names", "labels"), *phase2])
    return root


def add_sample(root: Path, sample: Path) -> int:
    """Put the real crops of the sample in the place of drawn ones of the same name, or beside them; how many."""
    places = {Path(file.path).name: root / file.path for file in listed_files() if parse_name(file.name)}
    phase2 = next(Path(file.path).parent for file in listed_files() if part_of(file.path) == "phase2")
    paths = sorted(sample.glob("*.bmp"))
    for path in paths:
        # Three of phase II go by their number; seven under a name that the publisher's list does not have.
        numbered = path.name.removeprefix("prelim_")
        target = places.get(path.name, root / phase2 / numbered if numbered != path.name else root / "more" / path.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return len(paths)


def _write(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
