"""Nuclei as areas: threshold, split what touches, join the lobes of one segmented neutrophil."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, spatial
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

#: Less than this is a platelet or deposit, µm²; a lymphocyte's nucleus has 30 and more.
_MIN_NUCLEUS_UM2 = 14.0
#: A piece smaller than this may be a lobe, µm².
_MAX_LOBE_UM2 = 90.0
#: Lobes of one nucleus lie closer than this, edge to edge, µm.
_LOBE_GAP_UM = 3.0
#: All lobes of one cell together: area in µm² and the longer side of their box in µm.
_MAX_LOBED_UM2, _MAX_LOBED_UM = 130.0, 15.5
#: A saddle this much lower than both summits of the distance map parts two nuclei, relative and µm.
_SADDLE_RELATIVE, _SADDLE_UM = 0.25, 0.35


@dataclass(frozen=True, slots=True)
class Nucleus:
    """One nucleus: its box (corners, px), area in µm², and how strongly it is stained above the line."""

    left: float
    top: float
    right: float
    bottom: float
    area_um2: float
    contrast: float
    n_lobes: int


def find_nuclei(azure: np.ndarray, threshold: float, um_per_px: float) -> list[Nucleus]:
    """Nuclei on a map of azure density.

    Parameters
    ----------
    azure
        (H, W) float32.
    threshold
        Density above which a pixel is nucleus.
    um_per_px
        Scale of the map.

    Returns
    -------
    Sorted by top, then left.
    """
    mask = ndimage.binary_fill_holes(ndimage.gaussian_filter(azure, 0.4 / um_per_px) > threshold)
    radius = max(1, round(0.5 / um_per_px))
    mask = ndimage.binary_opening(mask, _disc(radius))
    labels = _split(mask, um_per_px)
    pieces = _measure(labels, azure, um_per_px)
    groups = _join_lobes(labels, pieces, um_per_px)
    nuclei = [_union([pieces[i] for i in group], threshold) for group in groups]
    return sorted((n for n in nuclei if n.area_um2 >= _MIN_NUCLEUS_UM2), key=lambda n: (n.top, n.left))


@dataclass(frozen=True, slots=True)
class _Piece:
    label: int
    left: int
    top: int
    right: int
    bottom: int
    area_um2: float
    mean: float


def _disc(radius: int) -> np.ndarray:
    v, u = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return u * u + v * v <= radius * radius + 0.5


def _split(mask: np.ndarray, um_per_px: float) -> np.ndarray:
    """Part touching nuclei at the waists of their distance map; (H, W) int32 labels, 0 outside."""
    distance = ndimage.distance_transform_edt(mask) * um_per_px
    smooth = np.where(mask, ndimage.gaussian_filter(distance, 0.5 / um_per_px), 0)
    depth = np.maximum(_SADDLE_UM, _SADDLE_RELATIVE * smooth)
    # What stands above the reconstruction of the lowered map are its summits: one a nucleus.
    tops = smooth > reconstruction(np.maximum(smooth - depth, 0), smooth, method="dilation")
    markers, _ = ndimage.label(tops, np.ones((3, 3)))
    return watershed(-smooth, markers, mask=mask).astype(np.int32)


def _measure(labels: np.ndarray, azure: np.ndarray, um_per_px: float) -> list[_Piece]:
    n = int(labels.max())
    areas = np.bincount(labels.ravel(), minlength=n + 1) * um_per_px**2
    sums = np.bincount(labels.ravel(), weights=azure.ravel(), minlength=n + 1) * um_per_px**2
    pieces = []
    for label, place in enumerate(ndimage.find_objects(labels), start=1):
        if place is None or areas[label] < 3.0:
            continue
        rows, columns = place
        mean = float(sums[label] / areas[label])
        pieces.append(_Piece(label, columns.start, rows.start, columns.stop, rows.stop, float(areas[label]), mean))
    return pieces


def _join_lobes(labels: np.ndarray, pieces: list[_Piece], um_per_px: float) -> list[list[int]]:
    """Groups of piece numbers; the nearest pairs are joined first, ties in the order of the pieces."""
    group = {i: [i] for i in range(len(pieces))}
    owner = list(range(len(pieces)))
    for _, i, j in _near_pairs(labels, pieces, um_per_px):
        a, b = owner[i], owner[j]
        if a == b or not _is_one_cell([pieces[k] for k in group[a] + group[b]], um_per_px):
            continue
        group[a] += group.pop(b)
        for k in group[a]:
            owner[k] = a
    return list(group.values())


def _near_pairs(labels: np.ndarray, pieces: list[_Piece], um_per_px: float) -> list[tuple[float, int, int]]:
    small = [i for i, p in enumerate(pieces) if p.area_um2 < _MAX_LOBE_UM2]
    edges = {i: _edge(labels, pieces[i]) for i in small}
    reach = _LOBE_GAP_UM / um_per_px
    pairs = []
    for k, i in enumerate(small):
        for j in small[k + 1 :]:
            a, b = pieces[i], pieces[j]
            if max(a.left - b.right, b.left - a.right, a.top - b.bottom, b.top - a.bottom) > reach:
                continue
            gap = float(spatial.distance.cdist(edges[i], edges[j]).min())
            if gap <= reach:
                pairs.append((gap, i, j))
    return sorted(pairs)


def _edge(labels: np.ndarray, piece: _Piece) -> np.ndarray:
    inside = labels[piece.top : piece.bottom, piece.left : piece.right] == piece.label
    rim = inside & ~ndimage.binary_erosion(inside)
    return np.argwhere(rim) + np.array([piece.top, piece.left])


def _is_one_cell(pieces: list[_Piece], um_per_px: float) -> bool:
    width = max(p.right for p in pieces) - min(p.left for p in pieces)
    height = max(p.bottom for p in pieces) - min(p.top for p in pieces)
    return sum(p.area_um2 for p in pieces) <= _MAX_LOBED_UM2 and max(width, height) * um_per_px <= _MAX_LOBED_UM


def _union(pieces: list[_Piece], threshold: float) -> Nucleus:
    area = sum(p.area_um2 for p in pieces)
    mean = sum(p.mean * p.area_um2 for p in pieces) / area
    return Nucleus(
        left=min(p.left for p in pieces),
        top=min(p.top for p in pieces),
        right=max(p.right for p in pieces),
        bottom=max(p.bottom for p in pieces),
        area_um2=area,
        contrast=mean - threshold,
        n_lobes=len(pieces),
    )
