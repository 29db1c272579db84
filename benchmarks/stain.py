"""How many 450×450 crops a second a core normalises.

python benchmarks/stain.py [--crops 300]
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np

from smearscan.stain import fit_normaliser
from smearscan.stain.density import colour_of_density
from smearscan.stain.reference import REFERENCE

METHODS = ("reinhard", "macenko")


def draw_crops(n: int, seed: int = 0) -> np.ndarray:
    """(n, 450, 450, 3) uint8: azure and eosin in random amounts before a yellowish white."""
    rng = np.random.default_rng(seed)
    vectors = np.array([REFERENCE.azure, REFERENCE.eosin])
    is_nuclear = rng.random((n, 45, 45)) < 0.3
    amounts = np.where(is_nuclear[..., None], (0.9, 0.1), (0.02, 0.25)) * rng.uniform(0.6, 1.4, (n, 45, 45, 2))
    small = colour_of_density(amounts @ vectors, np.array([250.0, 240.0, 220.0]))
    return np.repeat(np.repeat(small, 10, axis=1), 10, axis=2)


def main() -> None:
    """Print crops a second, by processor time of one thread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, default=300)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    crops = draw_crops(16)
    foreground = crops[:, ::7, ::7].reshape(-1, 3)
    for method in METHODS:
        normaliser = fit_normaliser(method, foreground, np.array([250.0, 240.0, 220.0]))
        if normaliser.is_identity:
            raise SystemExit(f"{method} fell back to identity: {normaliser.flags}")
        start = time.process_time()
        for i in range(arguments.crops):
            normaliser.apply(crops[i % len(crops)])
        print(f"{method}: {arguments.crops / (time.process_time() - start):.0f} crops/s a core")
        start = time.process_time()
        fit_normaliser(method, foreground, np.array([250.0, 240.0, 220.0]))
        print(f"{method}: fitted on {len(foreground)} pixels in {1e3 * (time.process_time() - start):.0f} ms")


if __name__ == "__main__":
    main()
