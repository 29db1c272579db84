"""Slides drawn from two stains in known amounts before a known white."""

from __future__ import annotations

import numpy as np

from smearscan.stain.density import colour_of_density

AZURE = np.array([0.45, 0.88, 0.12])
EOSIN = np.array([0.35, 0.75, 0.56])


def draw(
    azure: np.ndarray = AZURE,
    eosin: np.ndarray = EOSIN,
    strength: float = 1.0,
    white: tuple[float, float, float] = (250.0, 240.0, 220.0),
    nuclear_share: float = 0.15,
    seed: int = 0,
    n: int = 6_000,
) -> np.ndarray:
    """(n, 3) uint8: a third glass, nuclei, the rest red cells; amounts vary by a tenth."""
    rng = np.random.default_rng(seed)
    kinds = rng.random(n)
    nuclear, glass = kinds < nuclear_share * 2 / 3, kinds > 2 / 3
    amounts = np.where(nuclear[:, None], (0.85, 0.15), (0.03, 0.25)) * rng.normal(1, 0.1, (n, 2)).clip(0.6, 1.4)
    amounts[glass] = 0
    return colour_of_density(strength * amounts @ np.stack([azure, eosin]), np.array(white))
