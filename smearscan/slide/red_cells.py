"""Red cells as a ruler: each one found on an image, with its diameter in pixels.

Film is parted from glass by the image's own white, touching cells by the narrow places between
them, and an ellipse is fitted to the part of each outline that borders on glass. Nothing here
knows the scale: what counts as narrow is relative to the cell itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Two cells are parted where the film between them is narrower than this share of their width.
_NECK = 0.85
#: Steps a pixel in which depths are compared: whole numbers of 16 bits are flooded three times as fast.
_STEPS_PER_PX = 256
#: An outline must follow its ellipse this well (root mean square, share of the radius).
_MAX_RESIDUAL = 0.06
#: Share of a full turn that must border on glass.
_MIN_ARC = 0.5
#: From here on an ellipse can be fitted; below only a circle is steady.
_ELLIPSE_ARC = 0.75
_MAX_ASPECT = 1.7
#: Where the density exceeds the red cells' by this factor lies a nucleus (two red cells on top of each other: 2).
_NUCLEUS = 1.7
_MAX_NUCLEUS = 0.2
#: Excess of density in green that marks azure on chromatin: absolute, and as a share of the mean of all channels.
_AZURE, _AZURE_SHARE = 0.25, 0.3
#: Red cells are hardly ever as dense as this, nuclei mostly are (natural logarithm, mean of channels).
_MAX_LEVEL = 0.7
#: Optical density that unevenness of the light and the camera's noise reach.
_NOISE = 0.04
_N_TURNS = 36
#: Blocks along each side, in which the light through glass is sought.
_N_BLOCKS = 6


@dataclass(frozen=True, slots=True)
class RoundCell:
    """One round thing on the film.

    Attributes
    ----------
    x, y
        Its middle, pixels.
    diameter
        Mean of the axes of its ellipse, pixels.
    density
        Median optical density, natural logarithm, mean of the channels.
    arc
        Share of its outline that was seen, 0 to 1.
    """

    x: float
    y: float
    diameter: float
    density: float
    arc: float


def find_round_cells(rgb: np.ndarray) -> tuple[list[RoundCell], float]:
    """Round things without a nucleus, of any size.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB. Cells should be some 20 to 100 pixels wide.

    Returns
    -------
    cells : list of RoundCell
        Sorted by place.
    explained : float
        Share of the film's area that these cells cover, 0 to 1: how far to trust them.
    """
    densities = film_densities(rgb)
    density = _mean_of_channels(densities)
    nuclei = _nuclei(densities, density)
    best: tuple[list[RoundCell], float] = ([], 0.0)
    best_score = 0.0
    for level in red_cell_levels(density):  # from nuclei down to the palest film
        cells, explained = _find_at(density, nuclei, level)
        score = explained * np.sqrt(len(cells)) * (1.0 if level < _MAX_LEVEL else 0.3)
        if score > 0.6 * best_score:
            best, best_score = (cells, explained), max(score, best_score)
    return best


def _find_at(density: np.ndarray, nuclei: np.ndarray, level: float) -> tuple[list[RoundCell], float]:
    """Round cells if red cells have this density."""
    film = _without_holes(density > 0.5 * level)
    labels = _parted(film)
    nuclei = nuclei | (density > _NUCLEUS * level)
    cells, area = [], 0.0
    for label, box in _boxes(labels):
        cell = _measured(labels, label, box, density, nuclei)
        if cell is not None:
            cells.append(cell)
            area += np.pi / 4 * cell.diameter**2 * cell.arc
    return cells, float(min(1.0, area / max(1, int(film.sum()))))


def film_densities(rgb: np.ndarray) -> np.ndarray:
    """Optical density over glass, its light levelled; (H, W, 3) float32, natural logarithm."""
    smooth = cv2.GaussianBlur(rgb, (0, 0), 1.0).astype(np.float32)
    logs = np.log(np.maximum(smooth, 4))
    places, ends = _bright_ends(logs)
    return np.dstack([_glass_level(logs[..., k], places, ends[:, k]) - logs[..., k] for k in range(3)])


def _mean_of_channels(densities: np.ndarray) -> np.ndarray:
    """(H, W) float32; NumPy's own mean over a short last axis takes five times as long."""
    return (densities[..., 0] + densities[..., 1] + densities[..., 2]) / np.float32(3)


def _nuclei(densities: np.ndarray, density: np.ndarray) -> np.ndarray:
    """Where azure on chromatin absorbs green far more than red and blue, as no red cell does; (H, W) bool."""
    excess = densities[..., 1] - np.maximum(densities[..., 0], densities[..., 2])
    return (excess > _AZURE) & (excess > _AZURE_SHARE * density)


def _bright_ends(logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the blocks of an image, (N, 2) x and y from -1/2 to 1/2, and the bright end of each channel there."""
    height, width = logs.shape[:2]
    n = _N_BLOCKS
    places, ends = [], []
    for i in range(n):
        for j in range(n):
            block = logs[i * height // n : (i + 1) * height // n, j * width // n : (j + 1) * width // n]
            if block.size:
                places.append(((j + 0.5) / n - 0.5, (i + 0.5) / n - 0.5))
                ends.append(np.percentile(block, 92, axis=(0, 1)))
    return np.array(places), np.array(ends, np.float64)


def _glass_level(logs: np.ndarray, at: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Logarithm of the light through bare glass at each pixel: a plane through the bright ends of blocks.

    Blocks without glass fall below the plane and are left out of the next fit.
    """
    height, width = logs.shape
    terms = np.column_stack([np.ones(len(at)), at, at**2, at[:, :1] * at[:, 1:]])
    kept = level > np.percentile(level, 40) - 0.02
    fit = np.array([np.percentile(level, 70), 0, 0, 0, 0, 0])
    for _ in range(3):
        if kept.sum() < 12:
            break
        fit = np.linalg.lstsq(terms[kept], level[kept], rcond=None)[0]
        kept = level - terms @ fit > -0.04
    x = ((np.arange(width) + 0.5) / width - 0.5)[None, :]
    y = ((np.arange(height) + 0.5) / height - 0.5)[:, None]
    along, down = fit[0] + fit[1] * x + fit[3] * x * x, fit[2] * y + fit[4] * y * y
    surface = along + down + (fit[5] * y) * x
    return np.minimum(surface, float(logs.max())).astype(np.float32)


def red_cell_levels(density: np.ndarray) -> list[float]:
    """Densities that may be the red cells' (their rims), highest first; empty where nothing stands out from glass.

    Otsu's line parts the film from glass, or nuclei from all else; what lies below it is parted again.
    """
    levels = []
    ceiling = float(np.percentile(density, 99.5))
    for _ in range(4):
        if ceiling < 2 * _NOISE:
            break
        below = density[density <= ceiling]
        threshold = _otsu(np.maximum(below, -_NOISE))
        above = below[below > threshold]
        level = float(np.median(above))
        if above.size >= 0.02 * density.size and level >= 2 * _NOISE:
            levels.append(level)
        ceiling = threshold
    return levels


def _otsu(values: np.ndarray) -> float:
    """Threshold that parts values into two classes best. Otsu 1979, doi:10.1109/TSMC.1979.4310076"""
    low, high = float(values.min()), float(values.max())
    counts, edges = np.histogram(values, 128, (low, high))
    middles = (edges[:-1] + edges[1:]) / 2
    below, moment = np.cumsum(counts), np.cumsum(counts * middles)
    total, mean = below[-1], moment[-1]
    gain = (mean * below / total - moment) ** 2 / np.maximum(below * (total - below), 0.5)
    gain[below == total] = 0.0
    return float(edges[1 + int(np.argmax(gain))])


def _without_holes(film: np.ndarray) -> np.ndarray:
    """Film with pallors filled: holes as round as a pallor, not the gaps between touching cells."""
    mask = cv2.morphologyEx(film.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    contours, tree = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for contour, (_, _, _, parent) in zip(contours, tree[0] if tree is not None else (), strict=False):
        if parent >= 0 and _is_round(contour):
            cv2.drawContours(mask, [contour], -1, 1, cv2.FILLED)
    return mask.astype(bool)


def _is_round(contour: np.ndarray) -> bool:
    if len(contour) < 8:
        return True
    area, hull = cv2.contourArea(contour), cv2.contourArea(cv2.convexHull(contour))
    (_, (a, b), _) = cv2.minAreaRect(contour)
    return bool(hull > 0 and area / hull > 0.87 and max(a, b) < 2.2 * max(1.0, min(a, b)))


def _parted(film: np.ndarray) -> np.ndarray:
    """Labels of the film's parts, split at necks; 0 is glass."""
    padded = np.pad(film, 1, mode="edge").astype(np.uint8)  # a cell cut by the border goes on behind it
    depth = cv2.GaussianBlur(_depths(padded)[1:-1, 1:-1], (0, 0), 1.0) * film
    steps = np.rint(np.minimum(depth * _STEPS_PER_PX, np.iinfo(np.uint16).max)).astype(np.uint16)
    seed = (steps * np.float32(_NECK)).astype(np.uint16)
    is_peak = (_flooded(seed, steps) == seed) & (depth > 2)
    _, markers = cv2.connectedComponents(is_peak.view(np.uint8), connectivity=8)
    return _watersheds(depth, markers, film)


def _depths(film: np.ndarray) -> np.ndarray:
    """Distance of every pixel of (H, W) uint8 to the nearest 0, px, float32.

    The roots that OpenCV takes differ in their last bit by where in memory they are put, and with them by a few pixels
    where cells are parted. Their squares are whole numbers, whose roots NumPy rounds always alike.
    """
    near = cv2.distanceTransform(film, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    farthest = np.float32(np.hypot(*film.shape))  # where there is no 0 at all
    return np.sqrt(np.rint(np.square(np.minimum(near, farthest))))


def _flooded(seed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Reconstruction of `seed` by dilation under `mask`, (H, W) uint16.

    What `skimage.morphology.reconstruction` gives, which sorts all pixels first: distances to a cell's edge are short,
    and some dozens of passes over the image are done much sooner. Vincent 1993, doi:10.1109/83.217222
    """
    around = np.ones((3, 3), np.uint8)
    while True:
        before = seed
        for _ in range(8):
            seed = cv2.min(cv2.dilate(seed, around), mask)
        if np.array_equal(seed, before):
            return seed


def _watersheds(depth: np.ndarray, markers: np.ndarray, film: np.ndarray) -> np.ndarray:
    """Marker that each pixel of (H, W) bool film belongs to, by a watershed of -`depth`; 0 elsewhere.

    A part of the film that holds one marker is its own without any flooding, and one that holds none is nobody's.
    """
    from skimage.segmentation import watershed

    n_parts, parts = cv2.connectedComponents(film.view(np.uint8), connectivity=4)
    is_marked = markers > 0
    held = np.unique(np.stack([parts[is_marked], markers[is_marked]]), axis=1)
    n_held = np.bincount(held[0], minlength=n_parts)
    owner = np.zeros(n_parts, np.int32)
    owner[held[0]] = held[1]
    labels: np.ndarray = np.where(n_held == 1, owner, 0)[parts]
    is_shared = (n_held > 1)[parts]
    return labels + watershed(-depth, markers, mask=is_shared) if is_shared.any() else labels


def _boxes(labels: np.ndarray) -> list[tuple[int, tuple[slice, slice]]]:
    from scipy.ndimage import find_objects

    return [(i, box) for i, box in enumerate(find_objects(labels), start=1) if box is not None]


def _measured(
    labels: np.ndarray, label: int, box: tuple[slice, slice], density: np.ndarray, nuclei: np.ndarray
) -> RoundCell | None:
    """The cell of one label, or None where it is no round cell without nucleus."""
    top, left = max(0, box[0].start - 1), max(0, box[1].start - 1)
    window = labels[top : box[0].stop + 1, left : box[1].stop + 1]
    inside = window == label
    n_px = int(inside.sum())
    if n_px < 50:
        return None
    around = (slice(top, box[0].stop + 1), slice(left, box[1].stop + 1))
    values = density[around][inside]
    if float(nuclei[around][inside].mean()) > _MAX_NUCLEUS:
        return None
    fit = _fitted(inside, _free_outline(window, inside, labels.shape, top, left), n_px)
    if fit is None:
        return None
    x, y, diameter, arc = fit
    return RoundCell(left + x, top + y, diameter, float(np.median(values)), arc)


def _free_outline(window: np.ndarray, inside: np.ndarray, shape: tuple[int, int], top: int, left: int) -> np.ndarray:
    """Outline points (N, 2) as x, y that border on glass: not on another cell, not on the image's border."""
    glass = (window == 0).astype(np.uint8)
    beside = cv2.dilate(glass, np.ones((3, 3), np.uint8)) > 0
    other = cv2.dilate(((window != 0) & ~inside).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    rows, columns = np.nonzero(inside & beside & ~other)
    off = (rows + top > 1) & (rows + top < shape[0] - 2) & (columns + left > 1) & (columns + left < shape[1] - 2)
    return np.column_stack([columns[off], rows[off]]).astype(np.float64)


def _fitted(inside: np.ndarray, points: np.ndarray, n_px: int) -> tuple[float, float, float, float] | None:
    """Middle, diameter and seen share of a circle or ellipse through outline points, or None."""
    if len(points) < 16:
        return None
    x, y, radius = _circle(points)
    if not 2 < radius < 2 * np.sqrt(n_px):
        return None
    turns = np.arctan2(points[:, 1] - y, points[:, 0] - x)
    arc = len(np.unique(((turns + np.pi) / (2 * np.pi) * _N_TURNS).astype(int) % _N_TURNS)) / _N_TURNS
    if arc < _MIN_ARC:
        return None
    distance = np.hypot(points[:, 0] - x, points[:, 1] - y)
    diameter = 2 * radius
    if arc >= _ELLIPSE_ARC:
        (x, y), (a, b), angle = cv2.fitEllipse(points.astype(np.float32))
        if not (0 < a <= b <= _MAX_ASPECT * a):
            return None
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        u = ((points[:, 0] - x) * cos + (points[:, 1] - y) * sin) / (a / 2)
        v = ((points[:, 1] - y) * cos - (points[:, 0] - x) * sin) / (b / 2)
        distance, radius, diameter = np.hypot(u, v), 1.0, (a + b) / 2
    if float(np.sqrt(np.mean((distance / radius - 1) ** 2))) > _MAX_RESIDUAL:
        return None
    # Outline points are the middles of the outermost pixels: the edge lies half a pixel further out.
    return x, y, diameter + 1.0, arc


def _circle(points: np.ndarray) -> tuple[float, float, float]:
    """Least-squares circle: x, y, radius. Kåsa 1976, doi:10.1109/TIM.1976.6312298"""
    terms = np.column_stack([points, np.ones(len(points))])
    a, b, c = np.linalg.lstsq(terms, (points**2).sum(axis=1), rcond=None)[0]
    return a / 2, b / 2, float(np.sqrt(max(0.0, c + (a * a + b * b) / 4)))
