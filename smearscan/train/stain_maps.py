"""Linear maps of optical density that carry the stain of one laboratory into that of another.

A stain is the covariance of optical density inside round cells (lymphocytes, and Taleqani's mononuclear cells by
stain): most of it is the way from cytoplasm to nucleus. The map between two is the optimal transport of Gaussians; the
mean plays no part, since whitening takes it out.
"""

from __future__ import annotations

import numpy as np

#: Fewer round cells tell no stain; more than the second are not needed.
_LEAST_CELLS, _MOST_CELLS = 12, 150
#: A map is drawn this far at most: beyond 1 lies a laboratory that differs from home still more.
_FARTHEST = 1.3
_LEAST_VARIANCE = 1e-5


class StainMaps:
    """Stains of the groups of a training set, and maps drawn between them.

    Parameters
    ----------
    pictures
        (N, S, S, 4) uint8 masked RGB, the mask last.
    groups
        (N,) str: laboratory, or laboratory and stain.
    is_round
        (N,) bool: cells that stains are read from, of much the same kind in every laboratory.
    """

    def __init__(self, pictures: np.ndarray, groups: np.ndarray, is_round: np.ndarray) -> None:
        self._groups = groups
        stains = {}
        for name in np.unique(groups):
            rows = np.flatnonzero((groups == name) & is_round)
            if len(rows) >= _LEAST_CELLS:
                stains[str(name)] = covariance(pictures[rows[:: max(1, len(rows) // _MOST_CELLS)]])
        self.names = tuple(stains)
        self._maps = {(a, b): transport(stains[a], stains[b]) for a in stains for b in stains}

    def draw(self, rows: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """(N, 3, 3) float32: maps of rows' stains towards others, the identity for all but a `share` of them."""
        out = np.tile(np.eye(3, dtype=np.float32), (len(rows), 1, 1))
        for i, group in enumerate(self._groups[rows]):
            if rng.random() < share and group in self.names:
                full = self._maps[str(group), self.names[rng.integers(len(self.names))]]
                out[i] += rng.uniform(0, _FARTHEST) * (full - np.eye(3))
        return out


def covariance(pictures: np.ndarray) -> np.ndarray:
    """(3, 3) mean covariance of optical density inside each cell of (N, S, S, 4) uint8 masked pictures."""
    found = []
    for picture in pictures:
        inside = picture[..., 3] > 250
        if np.count_nonzero(inside) > 50:
            density = -np.log10(np.clip(picture[inside, :3].astype(np.float64), 1, 255) / 255)
            found.append(np.cov(density.T))
    return np.asarray(np.mean(found, axis=0))


def transport(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) map that gives densities of covariance `source` that of `target`, up to scale: the spread stays.

    References
    ----------
    Pitié and Kokaram 2007, the linear Monge-Kantorovitch mapping, https://doi.org/10.1049/cp:20070055.
    """
    root, inverse = _power(source, 0.5), _power(source, -0.5)
    full = inverse @ _power(root @ target @ root, 0.5) @ inverse
    spread = np.trace(full @ source @ full.T) / np.trace(source)
    return np.asarray(full / np.sqrt(spread))


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, _LEAST_VARIANCE) ** exponent) @ vectors.T)
