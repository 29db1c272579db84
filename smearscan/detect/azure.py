"""Azure contrast: how much more azure dye a pixel holds than the glass and the red cells around it."""

from __future__ import annotations

import numpy as np

#: Weights of the densities of R, G, B. Azure and eosin-azure nuclei absorb green and some red, next to no blue;
#: haemoglobin absorbs blue at least as much as red. Measured on films of five cameras.
_WEIGHTS = np.array([0.15, 1.0, -0.8], np.float32)
#: Least density by which nuclei stand above glass; faint films still have 0.15.
_MIN_CONTRAST = 0.12
#: Nuclei stand this many times as high above glass as red cells do.
_MIN_RATIO = 1.6
#: The line lies this far up from red cells to nuclei: pale nuclei beside dark ones are kept.
_RISE = 0.18
#: Least share of an image that red cells cover.
_MIN_RED_CELLS = 0.08
_BINS = 96


def white_point(rgb: np.ndarray) -> np.ndarray:
    """Colour of clear glass: (3,) float32, 1–255; the bright end of the image, channel by channel."""
    step = max(1, int(np.sqrt(rgb.shape[0] * rgb.shape[1] / 65536)))
    sample = rgb[::step, ::step].reshape(-1, 3)
    return np.maximum(np.percentile(sample, 95, axis=0), 1).astype(np.float32)


def azure_density(rgb: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Azure density of every pixel, a weighted sum of optical densities.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    white
        (3,) the colour of clear glass.

    Returns
    -------
    (H, W) float32, about 0 on glass, below 0.2 on red cells, 0.3–1 in nuclei.
    """
    levels = np.maximum(np.arange(256, dtype=np.float32), 4)[:, None]
    table = -np.log10(levels / white[None]) * _WEIGHTS
    return table[rgb[..., 0], 0] + table[rgb[..., 1], 1] + table[rgb[..., 2], 2]


def nuclear_threshold(azure: np.ndarray) -> float | None:
    """Azure density above which a pixel is nucleus, or None where nothing on the image is stained so.

    Three classes are sought (glass, red cells, nuclei) that part the histogram best (Otsu's criterion). The
    histogram's square root is taken, so that a few nuclei weigh in beside much glass. The line is refused where the
    third class does not stand well above the second: then it holds the rims of red cells.

    References
    ----------
    Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076
    """
    low, high = np.percentile(azure, (1.0, 99.9))
    if high - low < _MIN_CONTRAST:
        return None
    counts, edges = np.histogram(azure, _BINS, (float(low), float(high)))
    weights = np.sqrt(counts.astype(np.float64))
    centres = (edges[:-1] + edges[1:]) / 2
    first, second = _part_in_three(weights, centres)
    means = [
        float(np.average(centres[part], weights=weights[part] + 1e-9))
        for part in (slice(0, first), slice(first, second), slice(second, None))
    ]
    glass, red_cells, nuclei = means
    if counts[first:second].sum() < _MIN_RED_CELLS * counts.sum():
        # Red cells cover more of a film than that: they lie with the glass, and both other classes are nuclei.
        red_cells = float(centres[int(np.searchsorted(np.cumsum(counts), 0.95 * counts[:first].sum()))])
        nuclei = float(np.average(centres[first:], weights=weights[first:] + 1e-9))
        second = first
    if nuclei - glass < _MIN_CONTRAST or nuclei - glass < _MIN_RATIO * (red_cells - glass):
        return None
    return min(float(edges[second]), red_cells + _RISE * (nuclei - red_cells))


def _part_in_three(weights: np.ndarray, centres: np.ndarray) -> tuple[int, int]:
    """Where three classes begin that have the least spread within: two bin numbers."""
    mass = np.concatenate([[0], np.cumsum(weights)])
    moment = np.concatenate([[0], np.cumsum(weights * centres)])
    gain = np.zeros((len(weights) + 1, len(weights) + 1))
    for a in range(len(weights)):
        m = mass[a + 1 :] - mass[a]
        gain[a, a + 1 :] = (moment[a + 1 :] - moment[a]) ** 2 / np.maximum(m, 1e-9)
    n = len(weights)
    total = gain[0, 1:n][:, None] + gain[1:n, 1:n] + gain[1:n, n][None, :]
    total[np.tril_indices(n - 1)] = -np.inf
    i, j = np.unravel_index(int(np.argmax(total)), total.shape)
    return int(i) + 1, int(j) + 1


def film_mask(rgb: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Where anything stained lies, however pale: (H, W) bool from (H, W, 3) uint8; the rest is clear glass."""
    import cv2

    levels = np.maximum(np.arange(256, dtype=np.float32), 4)
    density = np.maximum(-np.log10(levels / white[1]), 0)[rgb[..., 1]]
    top = max(float(np.percentile(density, 99)), 0.05)
    split, _ = cv2.threshold(np.clip(density / top * 255, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    return density > 0.35 * split / 255 * top
