"""Chance without a generator's state: numbers hashed from where and what they are for.

A cell is drawn from (seed, place) alone, so strips, blocks and processes agree on it, and the same
arguments give the same bytes with any numpy version (its generators may change their streams).
"""

from __future__ import annotations

import math

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * _MIX_A
    z = (z ^ (z >> np.uint64(27))) * _MIX_B
    return z ^ (z >> np.uint64(31))


def uniform(*keys: int | np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) that depend on the keys alone.

    Parameters
    ----------
    *keys
        Integers or arrays of them, broadcast against one another; negative ones are fine.

    Returns
    -------
    numpy.ndarray
        float64 of the broadcast shape, at least one-dimensional.

    References
    ----------
    Steele, Lea, Flood: Fast splittable pseudorandom number generators. doi:10.1145/2714064.2660195
    """
    state = np.zeros(1, np.uint64)
    for key in keys:
        state = _mix((state ^ np.atleast_1d(np.asarray(key, np.int64)).view(np.uint64)) + _GOLDEN)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Dice:
    """A sequence of draws for one drawing.

    Parameters
    ----------
    *keys
        What is drawn: seed, kind, number.
    """

    def __init__(self, *keys: int) -> None:
        self._keys = keys
        self._n_drawn = 0

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One number, evenly between the limits."""
        self._n_drawn += 1
        return low + (high - low) * float(uniform(*self._keys, self._n_drawn)[0])

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> float:
        """One number from a normal distribution cut at ±3 sd (a drawing needs no outliers)."""
        u, v = self.uniform(), self.uniform()
        z = math.sqrt(-2.0 * math.log(1.0 - u)) * math.cos(2.0 * math.pi * v)
        return mean + sd * min(3.0, max(-3.0, z))

    def integer(self, low: int, high: int) -> int:
        """One whole number, both limits included."""
        return low + int(self.uniform() * (high - low + 1))

    def chance(self, probability: float) -> bool:
        """True this often."""
        return self.uniform() < probability

    def angle(self) -> float:
        """One direction, radians."""
        return self.uniform(0.0, 2.0 * math.pi)

    def field(self, *shape: int) -> np.ndarray:
        """Independent numbers in [0, 1), float64 of this shape."""
        self._n_drawn += 1
        return uniform(*self._keys, self._n_drawn, np.arange(math.prod(shape))).reshape(shape)
