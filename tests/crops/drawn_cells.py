"""Drawn cells and a slide in memory, for the tests of the crops."""

from __future__ import annotations

import cv2
import numpy as np

from smearscan.geometry import Box, Mpp, Size
from smearscan.records import Crop, Scale, SlideInfo

GLASS, PLASM, CHROMATIN, RED_CELL = (238, 232, 226), (176, 172, 214), (92, 52, 142), (214, 168, 160)


class MemorySlide:
    """An array that reads like a slide; outside it is white."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels
        size = Size(pixels.shape[1], pixels.shape[0])
        self.info = SlideInfo("memory", size, (size,), None, "memory")

    def read(self, box: Box, size: Size | None = None) -> np.ndarray:
        canvas = np.full((box.height, box.width, 3), 255, np.uint8)
        inside = box.intersection(Box(0, 0, *self.info.size))
        if inside is not None:
            y, x = inside.y - box.y, inside.x - box.x
            canvas[y : y + inside.height, x : x + inside.width] = self.pixels[
                inside.y : inside.bottom, inside.x : inside.right
            ]
        return cv2.resize(canvas, tuple(size or (box.width, box.height)), interpolation=cv2.INTER_AREA)


def scale_of(x: float, y: float | None = None) -> Scale:
    """A scale that was given."""
    return Scale(Mpp(x, x if y is None else y), "given")


def draw_smear(side: int, um_per_px: float, cells: list[tuple[float, float, float, float]]) -> np.ndarray:
    """A field with red cells in rows and leukocytes at (x, y) px with cell and nucleus diameter in µm."""
    rng = np.random.default_rng(0)
    canvas = np.full((side, side, 3), GLASS, np.uint8)
    step = round(9.5 / um_per_px)
    for y in range(step // 3, side, step):
        for x in range(step // 3, side, step):
            cv2.circle(canvas, (x, y), round(3.6 / um_per_px), RED_CELL, -1, cv2.LINE_AA)
    for x, y, cell_um, nucleus_um in cells:
        centre = (round(x), round(y))
        cv2.circle(canvas, centre, round(cell_um / 2 / um_per_px), PLASM, -1, cv2.LINE_AA)
        cv2.circle(canvas, centre, round(nucleus_um / 2 / um_per_px), CHROMATIN, -1, cv2.LINE_AA)
    noisy = cv2.GaussianBlur(canvas, (0, 0), max(0.3, 0.12 / um_per_px)) + rng.normal(0, 3, canvas.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def draw_crop(cell_um: float = 13.0, nucleus_um: float = 9.0) -> Crop:
    """A crop with one leukocyte in the middle, 29 µm on 450 px."""
    um_per_px = 29 / 450
    pixels = draw_smear(450, um_per_px, [(225, 225, cell_um, nucleus_um)])
    return Crop(pixels, Box(0, 0, 450, 450), um_per_px, False)


def disc(side: int, diameter_px: float) -> np.ndarray:
    """(side, side) bool, a disc in the middle."""
    axis = np.arange(side) - (side - 1) / 2
    return np.hypot(axis[None, :], axis[:, None]) <= diameter_px / 2
