"""A film drawn for tests: red cells and leukocytes where the test says, at any scale. No real image."""

from __future__ import annotations

import cv2
import numpy as np

GLASS, RED_CELL, CYTOPLASM, NUCLEUS = (236, 232, 230), (205, 160, 165), (186, 172, 214), (98, 52, 138)


def draw_film(
    width_um: float, height_um: float, cells_um: list[tuple[float, float]], um_per_px: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """(H, W, 3) uint8 RGB and the true boxes (N, 4) in px: leukocytes 12 µm wide with nuclei of 8.5 µm."""
    rng = np.random.default_rng(seed)
    fine = min(um_per_px, 0.125)  # drawn finer, then averaged: edges as soft as optics make them
    image = np.full((round(height_um / fine), round(width_um / fine), 3), GLASS, np.uint8)
    for y in np.arange(6, height_um, 10.5):
        for x in np.arange(6, width_um, 10.5):
            x1, y1 = x + rng.uniform(-1.2, 1.2), y + rng.uniform(-1.2, 1.2)
            if all(np.hypot(x1 - cx, y1 - cy) > 10.2 for cx, cy in cells_um):
                _disc(image, x1, y1, 7.4, RED_CELL, fine)
                _disc(image, x1, y1, 2.6, (222, 190, 192), fine)
    for x, y in cells_um:
        _disc(image, x, y, 12.0, CYTOPLASM, fine)
        _disc(image, x + 0.5, y - 0.3, 8.5, NUCLEUS, fine)
    image = cv2.GaussianBlur(image, (0, 0), 0.35 / fine)
    size = (round(width_um / um_per_px), round(height_um / um_per_px))
    rgb = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.int16)
    rgb += rng.integers(-3, 4, rgb.shape, np.int16)
    boxes = np.array([(x - 6, y - 6, x + 6, y + 6) for x, y in cells_um], float).reshape(-1, 4) / um_per_px
    return np.clip(rgb, 0, 255).astype(np.uint8), boxes


def _disc(image: np.ndarray, x: float, y: float, diameter: float, colour: tuple[int, int, int], fine: float) -> None:
    cv2.circle(image, (round(x / fine), round(y / fine)), round(diameter / 2 / fine), colour, -1)
