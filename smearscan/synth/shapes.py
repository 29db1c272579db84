"""Shapes and textures of a drawing: signed distances in µm, smooth noise, granules.

All in float64: differences between processors then stay far below half a grey level, and a
drawing's bytes do not depend on the machine.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from smearscan.synth.chance import Dice

#: µm per pixel at which every cell is drawn, before the optics of a laboratory.
DRAW_MPP = 0.1


def plane(side_um: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of a square drawing of this side, µm from its middle; both (N, N) float64."""
    n = round(side_um / DRAW_MPP)
    axis = (np.arange(n) - (n - 1) / 2) * DRAW_MPP
    x, y = np.meshgrid(axis, axis)
    return x, y


def smooth_noise(dice: Dice, shape: tuple[int, int], scale_um: float) -> np.ndarray:
    """Noise of mean 0 and standard deviation 1 whose blobs are about `scale_um` wide, float64."""
    sigma = scale_um / DRAW_MPP / 2
    step = max(1, int(sigma / 2))  # a broad blur of few numbers is the same as of many
    small = dice.field(*(n // step + 3 for n in shape)) - 0.5
    blurred = cv2.GaussianBlur(small, (0, 0), max(0.5, sigma / step), borderType=cv2.BORDER_REFLECT)
    noise = blurred[: shape[0], : shape[1]] if step == 1 else _enlarge(blurred, shape, step)
    return (noise - noise.mean()) / max(1e-9, noise.std())


def _enlarge(small: np.ndarray, shape: tuple[int, int], step: int) -> np.ndarray:
    size = (small.shape[1] * step, small.shape[0] * step)
    return cv2.resize(small, size, interpolation=cv2.INTER_LINEAR)[: shape[0], : shape[1]]


def warp(dice: Dice, x: np.ndarray, y: np.ndarray, amount_um: float, scale_um: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates pushed about by smooth noise: what is drawn on them has uneven outlines."""
    shape = (x.shape[0], x.shape[1])
    return x + amount_um * smooth_noise(dice, shape, scale_um), y + amount_um * smooth_noise(dice, shape, scale_um)


def ellipse(
    x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0
) -> np.ndarray:
    """Distance from an ellipse's outline, µm, negative inside (near enough for an edge)."""
    cos, sin = math.cos(angle), math.sin(angle)
    u = ((x - centre[0]) * cos + (y - centre[1]) * sin) / radii[0]
    v = ((y - centre[1]) * cos - (x - centre[0]) * sin) / radii[1]
    return (np.sqrt(u * u + v * v) - 1.0) * min(radii)


def capsule(
    x: np.ndarray, y: np.ndarray, start: tuple[float, float], end: tuple[float, float], radius: float
) -> np.ndarray:
    """Distance from a thick stroke's outline, µm, negative inside."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    t = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / max(1e-9, dx * dx + dy * dy), 0.0, 1.0)
    return np.hypot(x - start[0] - t * dx, y - start[1] - t * dy) - radius


def join(a: np.ndarray, b: np.ndarray, softness_um: float) -> np.ndarray:
    """Union of two shapes with a fillet of this size where they meet."""
    h = np.clip(0.5 + 0.5 * (b - a) / softness_um, 0.0, 1.0)
    return b * (1 - h) + a * h - softness_um * h * (1 - h)


def carve(a: np.ndarray, b: np.ndarray, softness_um: float) -> np.ndarray:
    """Shape `a` without shape `b`."""
    return -join(-a, b, softness_um)


def cover(distance: np.ndarray, edge_um: float = 0.3) -> np.ndarray:
    """How much of each pixel a shape covers, 0 to 1, over an edge of this width."""
    t = np.clip(0.5 - distance / edge_um, 0.0, 1.0)
    return t * t * (3 - 2 * t)


def granules(dice: Dice, shape: tuple[int, int], spacing_um: float, radius_um: float, keep: float = 1.0) -> np.ndarray:
    """Round grains scattered evenly, 0 to 1 float64.

    Parameters
    ----------
    spacing_um, radius_um
        Distance between neighbours and size of each, µm.
    keep
        Share of the grains that are there.
    """
    step = spacing_um / DRAW_MPP
    rows, columns = int(shape[0] / step) + 1, int(shape[1] / step) + 1
    jitter_y, jitter_x, strength = dice.field(rows, columns), dice.field(rows, columns), dice.field(rows, columns)
    py = ((np.arange(rows)[:, None] + jitter_y) * step).astype(int)
    px = ((np.arange(columns)[None, :] + jitter_x) * step).astype(int)
    there = (strength < keep) & (py < shape[0]) & (px < shape[1])
    dots = np.zeros(shape)
    np.maximum.at(dots, (py[there], px[there]), 0.6 + 0.4 * strength[there] / max(keep, 1e-9))
    sigma = max(0.6, radius_um / DRAW_MPP / 1.6)
    grains = cv2.GaussianBlur(dots, (0, 0), sigma) * (2 * math.pi * sigma * sigma)
    return np.clip(1.4 * grains, 0.0, 1.0)
