"""Macenko's stain separation for Romanowsky films: azure and eosin found on the slide, brought to the reference.

Macenko et al. 2009, doi:10.1109/ISBI.2009.5193250: in optical density the pixels of a film with two stains lie in a
plane, between the directions of the pure stains. The plane comes from the singular vectors of the slide's own
pixels, nuclei and the rest weighing the same; there are no constants of haematoxylin in it. Which
direction is which is told by hue: azure absorbs red light, eosin green and blue.
"""

from __future__ import annotations

import numpy as np

from smearscan.stain.reference import REFERENCE, StainReference
from smearscan.stain.strata import find_nuclear

#: The extreme directions are taken at these percentiles of the angle.
_EXTREMES = (1.0, 99.0)
#: Vectors closer than this are one stain, degrees.
MIN_ANGLE = 5.0


def stain_vectors(density: np.ndarray) -> np.ndarray | None:
    """Unit vectors of azure and eosin: (2, 3) float64, or None where the pixels hold no two stains.

    Parameters
    ----------
    density
        (N, 3) float optical densities of stained pixels.
    """
    dense = _balanced(density.astype(np.float64))
    if dense is None:
        return None
    _, axes = np.linalg.eigh(dense.T @ dense)
    plane = axes[:, [2, 1]]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    angles = np.arctan2(dense @ plane[:, 1], dense @ plane[:, 0])
    ends = [plane @ (np.cos(a), np.sin(a)) for a in np.percentile(angles, _EXTREMES)]
    vectors = np.maximum(np.stack(ends), 0.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    if _angle(vectors) < MIN_ANGLE:
        return None
    # Of the two, eosin has the larger share of blue density.
    return vectors[np.argsort(vectors[:, 2] / vectors.sum(axis=1))]


def stain_strength(density: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """99th percentile of the amounts of azure and eosin: (2,) float64."""
    amounts = density @ np.linalg.inv(_with_residual(vectors))
    return np.percentile(amounts[:, :2], 99, axis=0)


def macenko_matrix(vectors: np.ndarray, strength: np.ndarray, target: StainReference = REFERENCE) -> np.ndarray:
    """(3, 3) float64 that maps a row of optical density to the reference's stains; what is neither stain is kept."""
    wanted = _with_residual(np.array([target.azure, target.eosin]))
    gains = np.diag([*(np.array(target.strength) / strength), 1.0])
    return np.linalg.inv(_with_residual(vectors)) @ gains @ wanted


def _with_residual(vectors: np.ndarray) -> np.ndarray:
    """(3, 3): azure, eosin, and the unit vector across both."""
    across = np.cross(vectors[0], vectors[1])
    return np.stack([*vectors, across / np.linalg.norm(across)])


def _angle(vectors: np.ndarray) -> float:
    """Degrees between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(vectors[0] @ vectors[1], -1, 1))))


def _balanced(density: np.ndarray) -> np.ndarray | None:
    """As many nuclear pixels as others, evenly taken; None where either are missing."""
    if len(density) < 100:
        return None
    is_nuclear = find_nuclear(density)
    parts = density[is_nuclear], density[~is_nuclear]
    n = min(map(len, parts))
    if n < 50:
        return None
    return np.concatenate([part[np.linspace(0, len(part) - 1, n).astype(np.int64)] for part in parts])
