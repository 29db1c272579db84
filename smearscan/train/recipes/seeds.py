"""Chance without state: what is drawn depends on the seed and on what it is drawn for, never on what was drawn before.

So a run that is stopped and taken up again draws what it would have drawn, and so does any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

#: What is drawn for: no two draws share a place.
INITIAL_WEIGHTS, ORDER, IMAGE, BATCH, COPIES = range(5)


def generator(seed: int, *place: int) -> np.random.Generator:
    """NumPy's generator for one place of a run."""
    return np.random.default_rng(np.random.SeedSequence([seed, *place]))


@contextmanager
def torch_seed(seed: int, *place: int) -> Iterator[None]:
    """Torch's own generators seeded for one place, and as they were afterwards."""
    import torch

    # A process that only reads images is forked from one that uses a GPU, and must not touch it.
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        yield
