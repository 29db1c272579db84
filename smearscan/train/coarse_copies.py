"""Windows of training cells as worse cameras would have kept them, each outlined anew by the mask network.

What `smearscan.train.foreign` does in a batch cannot compress a picture or move an outline; this can.
"""

from __future__ import annotations

import cv2
import numpy as np

from smearscan.crops.mask import CellSegmenter
from smearscan.train.windows import WINDOW_PX, outline

#: Sides in px that 29 µm are kept at: 0.63 to 0.23 µm/px.
_SIDES = (46, 128)
#: An outline that shares less than this with the sharp one's (intersection over union) is not the cell's.
_LEAST_SHARED = 0.4


def coarse_copies(
    windows: np.ndarray, masks: np.ndarray, segmenter: CellSegmenter, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A worse copy of every window, and its outline; the sharp outline where the new one is of something else.

    Parameters
    ----------
    windows, masks
        (N, 128, 128, 3) uint8 RGB and (N, 128, 128) uint8, as in the cell table.

    Returns
    -------
    tuple of np.ndarray
        The same shapes and dtypes.
    """
    rng = np.random.default_rng(seed)
    copies = np.stack([worsened(np.asarray(window), rng) for window in windows])
    outlines = outline(copies, segmenter)
    lost = shared(outlines > 0, masks > 0) < _LEAST_SHARED
    outlines[lost] = masks[lost]
    return copies, outlines


def shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N,) intersection over union of masks (N, S, S) bool."""
    return np.asarray((a & b).sum((1, 2)) / np.maximum((a | b).sum((1, 2)), 1))


def worsened(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One window (128, 128, 3) uint8 restained, sampled down, blurred or sharpened, made noisy, compressed."""
    side = int(np.exp(rng.uniform(*np.log(_SIDES))))
    stained = 255 * (window.astype(np.float32).clip(1) / 255) ** np.exp(rng.normal(0, 0.12, 3))
    lit = (stained * np.exp(rng.normal(0, 0.05, 3))).clip(0, 255).astype(np.float32)
    small = _focused(cv2.resize(lit, (side, side), interpolation=cv2.INTER_AREA), rng)
    noisy = small + rng.normal(0, 1, small.shape) * rng.uniform(0, 5)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))]
    bgr = cv2.cvtColor(noisy.clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    kept = np.asarray(cv2.imdecode(cv2.imencode(".jpg", bgr, quality)[1], cv2.IMREAD_COLOR))
    rgb = cv2.cvtColor(kept, cv2.COLOR_BGR2RGB)
    return cv2.resize(rgb, (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_CUBIC)


def _focused(small: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    sigma = float(rng.uniform(0, 0.9))
    if sigma > 0.25:
        small = cv2.GaussianBlur(small, (0, 0), sigma)
    if rng.random() < 0.3:
        small = small + rng.uniform(0.3, 1.2) * (small - cv2.GaussianBlur(small, (0, 0), 1.2))
    return small
