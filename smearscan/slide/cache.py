"""Decoded tiles kept for a while, within a fixed number of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np

#: Enough for two tile rows of a large tile's halo; small beside a process that holds a network.
DEFAULT_MAX_BYTES = 64 * 2**20


class TileCache:
    """Least recently used tiles leave first; the newest stays, whatever its size."""

    def __init__(self, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._tiles: OrderedDict[Hashable, np.ndarray] = OrderedDict()

    def get(self, key: Hashable, decode: Callable[[], np.ndarray]) -> np.ndarray:
        """The tile of this key, decoded if it is not here; shared, so not to be written to."""
        tile = self._tiles.get(key)
        if tile is not None:
            self._tiles.move_to_end(key)
            return tile
        tile = decode()
        tile.flags.writeable = False
        self._tiles[key] = tile
        self.n_bytes += tile.nbytes
        while self.n_bytes > self.max_bytes and len(self._tiles) > 1:
            self.n_bytes -= self._tiles.popitem(last=False)[1].nbytes
        return tile

    def clear(self) -> None:
        """Forget every tile."""
        self._tiles.clear()
        self.n_bytes = 0
