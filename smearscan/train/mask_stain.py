"""Stain as the mask network's training sees it: glass, red cell, cytoplasm and nucleus as points in optical density.

The labelled cells come from two laboratories. Moving each part of a picture onto the point that the same part has in
another laboratory shows the network stains for which nobody has drawn masks.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

#: Least transmitted light counted, of 1: keeps optical density finite.
_FLOOR = 1 / 255


@dataclass(frozen=True, slots=True, eq=False)
class Anchors:
    """Mean optical density of each part, every one (3,) float32 RGB."""

    glass: np.ndarray
    red_cell: np.ndarray
    cytoplasm: np.ndarray
    nucleus: np.ndarray

    def stacked(self) -> np.ndarray:
        """(4, 3): glass, red cell, cytoplasm, nucleus."""
        return np.stack([self.glass, self.red_cell, self.cytoplasm, self.nucleus])


def to_density(rgb: np.ndarray) -> np.ndarray:
    """(…, 3) uint8 RGB to optical density, float32, 0 to 2.4."""
    return _TABLE[rgb]


def to_rgb(density: np.ndarray) -> np.ndarray:
    """Optical density back to (…, 3) uint8 RGB."""
    return np.clip(np.power(10.0, -density) * 255 + 0.5, 0, 255).astype(np.uint8)


_TABLE = (-np.log10(np.maximum(np.arange(256) / 255, _FLOOR))).astype(np.float32)


def nuclear_contrast(density: np.ndarray) -> np.ndarray:
    """How much a pixel looks like chromatin on a Romanowsky film: red is absorbed, green more than blue."""
    return density[..., 1] - density[..., 2] + 0.5 * density[..., 0]


def rough_leukocytes(rgb: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels that may belong to a leukocyte, by Otsu's threshold of the nuclear contrast."""
    contrast = nuclear_contrast(cv2.GaussianBlur(to_density(rgb), (0, 0), 1.0))
    low, high = np.percentile(contrast, (1, 99.8))
    scaled = np.clip((contrast - low) / max(high - low, 1e-3) * 255, 0, 255).astype(np.uint8)
    threshold, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    mask = (scaled > threshold).astype(np.uint8)
    return cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def anchors_of_field(rgb: np.ndarray, leukocytes: np.ndarray) -> Anchors | None:
    """Where this field's parts lie; None if it shows too little of one of them.

    The cytoplasm, which no threshold finds, is put halfway between glass and nucleus.
    """
    density = to_density(rgb)
    grey = density.sum(-1)
    rest = ~(cv2.dilate(leukocytes.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0)
    if leukocytes.sum() < 60 or rest.sum() < 400:
        return None
    glass_grey = np.percentile(grey[rest], 15)
    glass = np.median(density[rest & (grey <= glass_grey)], axis=0)
    red = rest & (grey > glass_grey + 0.2)
    inside = leukocytes & (grey >= np.median(grey[leukocytes]))
    nucleus = np.median(density[inside], axis=0)
    red_cell = np.median(density[red], axis=0) if red.sum() > 50 else glass + 0.1
    return Anchors(glass, red_cell, (glass + nucleus) / 2, nucleus)


def anchors_of_cell(rgb: np.ndarray, cell: np.ndarray, nucleus: np.ndarray) -> Anchors:
    """Where the parts of one cell's picture with known masks lie; (H, W) bool masks."""
    density = to_density(rgb)
    grey = density.sum(-1)
    rest = ~(cv2.dilate(cell.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)
    level = np.percentile(grey[rest], 30)
    glass = np.median(density[rest & (grey <= level)], axis=0)
    red = rest & (grey > level + 0.15)
    plasm = cell & ~nucleus
    middle = np.mean(density[nucleus], axis=0)
    return Anchors(
        glass,
        np.mean(density[red], axis=0) if red.sum() > 50 else glass + 0.1,
        np.mean(density[plasm], axis=0) if plasm.sum() > 10 else (glass + middle) / 2,
        middle,
    )


def draw_target(field: Anchors, cell: Anchors, rng: np.random.Generator) -> Anchors:
    """A stain near that of `field`, with a cytoplasm between pale and almost as dark as the nucleus."""
    glass = field.glass + rng.normal(0, 0.02, 3)
    step = field.nucleus - field.glass
    nucleus = glass + step * rng.uniform(0.7, 1.25) + rng.normal(0, 0.04, 3)
    own = cell.cytoplasm - cell.glass
    own = own * (np.abs(step).sum() / max(np.abs(cell.nucleus - cell.glass).sum(), 0.1))
    fraction = rng.uniform(0.55, 0.9) if rng.random() < 0.35 else rng.uniform(0.12, 0.6)
    mix = rng.uniform(0, 1)
    cytoplasm = glass + mix * fraction * (nucleus - glass) + (1 - mix) * own * rng.uniform(0.7, 1.2)
    cytoplasm = cytoplasm + rng.normal(0, 0.03, 3)
    red_cell = glass + (field.red_cell - field.glass) * rng.uniform(0.6, 1.4) + rng.normal(0, 0.03, 3)
    return Anchors(*(np.maximum(part, 0).astype(np.float32) for part in (glass, red_cell, cytoplasm, nucleus)))


def map_stain(
    density: np.ndarray, parts: np.ndarray, source: Anchors, target: Anchors, gains: np.ndarray
) -> np.ndarray:
    """Move every part's mean from `source` to `target` and stretch its texture by its gain.

    Parameters
    ----------
    density
        (H, W, 3) float32.
    parts
        (H, W, 4) float32 soft membership of glass, red cell, cytoplasm, nucleus; sums to 1.
    gains
        (4,) factor of each part's texture.
    """
    shift = target.stacked() - gains[:, None] * source.stacked()
    moved = density * (parts @ gains)[..., None] + parts @ shift
    return np.maximum(moved, 0).astype(np.float32)
