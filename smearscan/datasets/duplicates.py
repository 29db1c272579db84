"""Images that show the same: equal bytes, or equal once made small. Groups of them stay on one side of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from smearscan.datasets.files import read_sample, sha256_of
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import UnreadableSlideError

#: Side of what is compared, px: small enough that saving again as JPEG is not seen.
SIDE_PX = 16
#: Root-mean-square difference of the small pictures, grey levels of 255: below it they show the same.
NEAR = 2.5
#: Grey level up to which a pixel is black.
_BLACK = 8
_ROWS_AT_A_TIME = 512

Groups = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Groups of paths that show the same, each of two or more, sorted.

    Attributes
    ----------
    exact
        Equal bytes.
    near
        Equal once made small, the exact ones among them.
    unread
        Paths that could not be read, and so were not compared.
    """

    exact: Groups
    near: Groups
    unread: tuple[str, ...] = ()

    @property
    def groups(self) -> Groups:
        """What must stay on one side: the near groups, or the exact ones where nothing was made small."""
        return self.near or self.exact


def find_duplicates(
    sample_set: SampleSet,
    samples: Sequence[Sample] | None = None,
    *,
    near: bool = True,
    turned: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Duplicates:
    """Compare every image with every other.

    Parameters
    ----------
    samples
        Those compared; None takes the whole set. Boxes of one picture are compared as files, not as boxes.
    near
        Whether images are made small and compared, besides their bytes.
    turned
        Whether the eight turns and mirrorings of an image count as the same: finds augmented copies, takes longer.
    progress
        Called with images read and images in all.
    """
    chosen = sample_set.samples if samples is None else samples
    files = {sample.path: Sample(sample.path, sample.label, sample.subject) for sample in chosen}
    digests, small, unread = defaultdict(list), [], []
    for i, (path, sample) in enumerate(files.items()):
        try:
            digest = sha256_of(sample_set.file(sample))
            if near and digest not in digests:
                small.append((path, thumbnail(read_sample(sample_set, sample))))
            digests[digest].append(path)
        except UnreadableSlideError:
            unread.append(path)
        if progress:
            progress(i + 1, len(files))
    exact = tuple(tuple(paths) for paths in digests.values() if len(paths) > 1)
    alike = _near_groups(small, turned) if near else []
    return Duplicates(exact, _joined(exact, alike), tuple(unread))


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """(16, 16, 3) float32 in 0 to 255 of a picture (H, W, 3) uint8, less its black margins.

    On black a cell fills little of its picture, and different cells would look alike.
    """
    lit = rgb.max(axis=2) > _BLACK
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if len(rows):
        rgb = np.ascontiguousarray(rgb[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    return np.asarray(cv2.resize(rgb, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA), np.float32)


def near_pairs(small: np.ndarray, turned: bool = False, limit: float = NEAR) -> np.ndarray:
    """Pairs (P, 2) int, first below second, of thumbnails (N, 16, 16, 3) nearer than `limit` grey levels."""
    n = len(small)
    if n < 2:
        return np.zeros((0, 2), np.int64)
    flat = small.reshape(n, -1).astype(np.float32)
    middle = flat.mean(axis=0, keepdims=True)
    found = [np.zeros((0, 2), np.int64)]
    for view in _views(small) if turned else [small]:
        other = view.reshape(n, -1).astype(np.float32) - middle
        squares, others = ((flat - middle) ** 2).sum(1), (other**2).sum(1)
        for start in range(0, n, _ROWS_AT_A_TIME):
            rows = slice(start, start + _ROWS_AT_A_TIME)
            apart = squares[rows, None] + others[None] - 2 * ((flat[rows] - middle) @ other.T)
            at = np.argwhere(apart < limit**2 * flat.shape[1])
            at[:, 0] += start
            found.append(np.sort(at[at[:, 0] != at[:, 1]], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _views(small: np.ndarray) -> list[np.ndarray]:
    turns = [np.rot90(small, k, axes=(1, 2)) for k in range(4)]
    return turns + [turn[:, :, ::-1] for turn in turns]


def _near_groups(small: list[tuple[str, np.ndarray]], turned: bool) -> list[tuple[str, ...]]:
    names = [path for path, _ in small]
    pairs = near_pairs(np.array([pixels for _, pixels in small]), turned)
    return [(names[a], names[b]) for a, b in pairs.tolist()]


def _joined(*parts: Sequence[tuple[str, ...]]) -> Groups:
    """Groups that share a path made one."""
    groups = [group for part in parts for group in part]
    number = {path: i for i, path in enumerate(sorted({path for group in groups for path in group}))}
    links = [(number[group[0]], number[path]) for group in groups for path in group[1:]]
    if not links:
        return ()
    rows, columns = np.array(links).T
    graph = coo_matrix((np.ones(len(links)), (rows, columns)), (len(number), len(number)))
    labels = connected_components(graph, directed=False)[1]
    out: dict[int, list[str]] = defaultdict(list)
    for path, i in number.items():
        out[int(labels[i])].append(path)
    return tuple(sorted(tuple(paths) for paths in out.values()))
