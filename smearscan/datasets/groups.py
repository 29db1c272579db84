"""Which samples must stay on one side of every split: those of one subject, and those that show the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from smearscan.datasets.samples import Sample


def group_ids(samples: Sequence[Sample], alike: Iterable[Sequence[str]] = ()) -> np.ndarray:
    """Group of each sample, (N,) int from 0: equal for what must not be parted.

    Parameters
    ----------
    samples
        Of one set.
    alike
        Groups of paths that show the same, from `find_duplicates`; they join the subjects they stand under. Paths
        that are not among the samples are passed over.
    """
    subjects = np.unique([sample.subject for sample in samples], return_inverse=True)[1]
    of_path: dict[str, set[int]] = {}
    for sample, subject in zip(samples, subjects.tolist(), strict=True):
        of_path.setdefault(sample.path, set()).add(subject)
    links: list[tuple[int, int]] = []
    for paths in alike:
        held = [number for path in paths for number in of_path.get(path, ())]
        links += [(held[0], other) for other in held[1:]]
    # Boxes of one picture that stand under several subjects are one group too.
    links += [(min(numbers), other) for numbers in of_path.values() for other in numbers if len(numbers) > 1]
    n = int(subjects.max()) + 1 if len(subjects) else 0
    if not links:
        return np.asarray(subjects, np.int64)
    rows, columns = np.array(links).T
    joined = connected_components(coo_matrix((np.ones(len(links)), (rows, columns)), (n, n)), directed=False)[1]
    return np.unique(joined[subjects], return_inverse=True)[1].astype(np.int64)
