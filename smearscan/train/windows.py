"""Windows of 29 µm around cells and the masked pictures that networks are trained on."""

from __future__ import annotations

import cv2
import numpy as np

from smearscan.crops.mask import CellSegmenter, central_cell
from smearscan.crops.readymade import TYPICAL_CELL_UM

#: Every cell is kept as the mask network sees it: this side for this many µm.
WINDOW_UM, WINDOW_PX = 29.0, 128
FINE_UM = WINDOW_UM / WINDOW_PX
#: Cells narrower or wider than these multiples of `TYPICAL_CELL_UM` are brought only so far to it.
_WIDTHS = (0.4, 2.0)


def window_at(rgb: np.ndarray, x: float, y: float, um_per_px: float) -> np.ndarray:
    """The 29 µm around a point of a picture, (128, 128, 3) uint8 RGB, white outside the picture."""
    step = FINE_UM / um_per_px
    if step > 1:
        height, width = rgb.shape[:2]
        size = (max(1, round(width / step)), max(1, round(height / step)))
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
        x, y, step = (x + 0.5) * size[0] / width - 0.5, (y + 0.5) * size[1] / height - 0.5, 1.0
    half = step * (WINDOW_PX - 1) / 2
    matrix = np.array([[step, 0, x - half], [0, step, y - half]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(rgb, matrix, (WINDOW_PX, WINDOW_PX), flags=flags, borderValue=(255, 255, 255))


def outline(windows: np.ndarray, segmenter: CellSegmenter) -> np.ndarray:
    """0 outside the central cell, 1 cytoplasm, 2 nucleus: (N, 128, 128) uint8."""
    out = np.zeros(windows.shape[:3], np.uint8)
    for first in range(0, len(windows), 256):
        for i, chance in enumerate(segmenter.chances(windows[first : first + 256])):
            piece = central_cell(chance, FINE_UM)
            cell = piece[..., 0] > 0.5
            out[first + i] = cell.astype(np.uint8) + ((piece[..., 1] > 0.5) & cell)
    return out


def masked_pictures(windows: np.ndarray, masks: np.ndarray, window_um: float, side_px: int) -> np.ndarray:
    """Cells on black with the mask as fourth channel, area-averaged: (N, side_px, side_px, 4) uint8."""
    half = round(WINDOW_PX * window_um / WINDOW_UM / 2)
    middle = slice(WINDOW_PX // 2 - half, WINDOW_PX // 2 + half)
    out = np.zeros((len(windows), side_px, side_px, 4), np.uint8)
    for i in range(len(windows)):
        mask = (masks[i, middle, middle] > 0).astype(np.uint8)
        black = windows[i, middle, middle] * mask[..., None]
        out[i, ..., :3] = cv2.resize(black, (side_px, side_px), interpolation=cv2.INTER_AREA)
        out[i, ..., 3] = cv2.resize(mask * 255, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return out


def nucleus_pictures(masks: np.ndarray, window_um: float, side_px: int) -> np.ndarray:
    """Share of each pixel that is nucleus, 0 to 255: (N, side_px, side_px) uint8."""
    half = round(WINDOW_PX * window_um / WINDOW_UM / 2)
    middle = slice(WINDOW_PX // 2 - half, WINDOW_PX // 2 + half)
    out = np.empty((len(masks), side_px, side_px), np.uint8)
    for i, mask in enumerate(masks):
        nucleus = (mask[middle, middle] == 2).astype(np.uint8) * 255
        out[i] = cv2.resize(nucleus, (side_px, side_px), interpolation=cv2.INTER_AREA)
    return out


def shrinks_without_scale(diameters_um: np.ndarray) -> np.ndarray:
    """By how much cells (N,) must shrink, under 1 grow, to be as wide as a picture without scale takes them."""
    return np.asarray((diameters_um / TYPICAL_CELL_UM).clip(*_WIDTHS))


def degraded(windows: np.ndarray, seed: int, worst_quality: int = 70) -> np.ndarray:
    """Sharp windows as a coarse camera would have kept them: 0.45–0.54 µm/px, blurred, JPEG; same shape."""
    rng = np.random.default_rng(seed)
    out = np.empty_like(windows)
    for i, window in enumerate(windows):
        side = int(rng.integers(54, 66))
        small = cv2.resize(window, (side, side), interpolation=cv2.INTER_AREA)
        small = cv2.GaussianBlur(small, (0, 0), float(rng.uniform(0.3, 0.8)))
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(worst_quality, 95))]
        coded = cv2.imencode(".jpg", small[..., ::-1], quality)[1]
        small = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1]
        out[i] = cv2.resize(small, (WINDOW_PX, WINDOW_PX), interpolation=cv2.INTER_CUBIC)
    return out
