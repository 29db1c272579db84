"""Measure the numbers of smearscan/stain/reference.py on the shared development images.

    python benchmarks/stain_reference.py path/to/shared/data

Sixteen neighbouring images stand for a slide (TXL-PBC, which mixes laboratories: one). Each source is described
by the median of its slides, the reference is the median of the sources, the spread the standard deviation over
slides with every source weighing the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from smearscan.stain.density import optical_density
from smearscan.stain.macenko import stain_strength, stain_vectors
from smearscan.stain.sample import sample_stain
from smearscan.stain.strata import describe_stain

SOURCES = {
    "pbc": ("pbc/*/*.jpg", 16),
    "taleqani": ("taleqani/*/*.jpg", 16),
    "txl_pbc": ("txl_pbc/images/*/*.jpg", 1),
    "segmentation_wbc 1": ("segmentation_wbc/dataset1/*[0-9].png", 16),
    "segmentation_wbc 2": ("segmentation_wbc/dataset2/*[0-9].png", 16),
}


def read(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    import cv2

    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def slides_of(data: Path, pattern: str, n_images: int, most: int) -> list[list[Path]]:
    """Runs of neighbouring images, evenly spread over the source."""
    paths = sorted(data.glob(pattern))
    starts = np.unique(np.linspace(0, len(paths) - n_images, most).astype(int))
    return [paths[start : start + n_images] for start in starts]


def describe(paths: list[Path]) -> np.ndarray | None:
    """mean (3), sd (3), azure (3), eosin (3), strength (2) of one slide, or None where it cannot be described."""
    sample = sample_stain(map(read, paths), px_per_tile=10_000)
    density = optical_density(sample.foreground, sample.background)
    found, vectors = describe_stain(density), stain_vectors(density)
    if found is None or vectors is None:
        return None
    return np.concatenate([found.mean, found.sd, *vectors, stain_strength(density, vectors)])


def main() -> None:
    """Print each source and the reference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--slides", type=int, default=40, help="of each source, at most")
    arguments = parser.parse_args()
    np.set_printoptions(precision=3, suppress=True)
    medians, variances, sources = [], [], []
    for name, (pattern, n_images) in SOURCES.items():
        slides = [describe(paths) for paths in slides_of(arguments.data, pattern, n_images, arguments.slides)]
        usable = np.array([slide for slide in slides if slide is not None])
        medians.append(np.median(usable, axis=0))
        sources.append(np.log(usable[:, :6].clip(0.01)))
        variances.append(len(usable))
        print(f"{name}: {len(usable)} of {len(slides)} slides\n{medians[-1]}")
    middle = np.median(medians, axis=0)
    offsets = [np.mean((slides - np.log(middle[:6].clip(0.01))) ** 2, axis=0) for slides in sources]
    print("reference", middle.round(3).tolist())
    print("spread", np.sqrt(np.mean(offsets, axis=0)).round(2).tolist())
    for name, slides in zip(SOURCES, sources, strict=True):
        away = np.abs(slides - np.log(middle[:6])) / np.sqrt(np.mean(offsets, axis=0))
        print(f"{name}: distance median {np.median(away.max(1)):.2f}, largest {away.max():.2f}")


if __name__ == "__main__":
    main()
