"""How films differ between laboratories and cameras, for training the detector: stain, dirt, optics."""

from __future__ import annotations

import cv2
import numpy as np

_LEVELS = -np.log10(np.maximum(np.arange(256), 1) / 255).astype(np.float32)


def vary_stain_lut(rng: np.random.Generator, own: np.ndarray, other: np.ndarray | None) -> np.ndarray:
    """Look-up table that gives a field another stain, in optical density.

    Parameters
    ----------
    own, other
        (2, 3) float32: mean and spread of the density outside leukocytes, of the field and of the one
        whose stain it takes (None: only a small change of its own).

    Returns
    -------
    (1, 256, 3) uint8 table for `cv2.LUT` on RGB.
    """
    table = np.empty((1, 256, 3), np.uint8)
    strength = 0.0 if other is None else float(rng.uniform(0.3, 1.0))
    gain_all = float(np.exp(rng.normal(0, 0.12)))
    for c in range(3):
        gain, shift = 1.0, 0.0
        if other is not None:
            ratio = np.clip(other[1, c] / max(float(own[1, c]), 1e-3), 0.55, 1.7)
            gain = 1 + strength * (float(ratio) - 1)
            shift = own[0, c] * (1 - gain) + strength * (other[0, c] - own[0, c])
        gain *= gain_all * float(np.exp(rng.normal(0, 0.06)))
        density = np.maximum(_LEVELS * gain + shift, 0)
        table[0, :, c] = np.clip(255 * 10**-density + 0.5, 0, 255).astype(np.uint8)
    return table


def vary_dye(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """A film that took up less dye or more, of another shade: density scaled and its channels mixed.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8. White stays white.

    Returns
    -------
    (H, W, 3) uint8.
    """
    apart = 0.1 if rng.random() < 0.75 else 0.25
    mix = np.eye(3, dtype=np.float32) + rng.normal(0, apart, (3, 3)).astype(np.float32)
    mix *= np.float32(np.clip(np.exp(rng.normal(-0.05, 0.35)), 0.4, 2.2)) / np.maximum(mix.sum(1, keepdims=True), 0.3)
    density = np.maximum(cv2.transform(_LEVELS[rgb], mix), 0)
    return np.clip(255 * np.power(np.float32(10), -density) + 0.5, 0, 255).astype(np.uint8)


def draw_dirt(rng: np.random.Generator, canvas: np.ndarray, boxes: np.ndarray, scale: float) -> None:
    """Draw what is no leukocyte: platelet-like specks, stain deposit, dust, fibres, scale bars. In place."""
    side = canvas.shape[0]
    taken = np.zeros(canvas.shape[:2], bool)
    for left, top, right, bottom in boxes.astype(int):
        taken[max(0, top) : bottom + 1, max(0, left) : right + 1] = True
    layer = canvas.copy()
    for _ in range(int(rng.integers(1, 12))):
        kind = rng.random()
        x, y = int(rng.integers(side)), int(rng.integers(side))
        if kind < 0.55:  # specks of 1–3 µm, alone or in a heap
            purple = (int(rng.integers(90, 190)), int(rng.integers(40, 140)), int(rng.integers(120, 215)))
            for _ in range(int(rng.integers(1, 9))):
                dx, dy = rng.normal(0, 3 * scale, 2)
                radius = max(1, round(rng.uniform(0.8, 3.0) * scale))
                cv2.circle(layer, (int(x + dx), int(y + dy)), radius, purple, -1, cv2.LINE_AA)
        elif kind < 0.75:  # dust, no stain: dark and grey; smaller than nuclei, which strong stain blackens too
            grey = int(rng.integers(0, 110))
            axes = (max(1, int(rng.integers(1, 7) * scale)), max(1, int(rng.integers(1, 6) * scale)))
            cv2.ellipse(layer, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, (grey, grey, grey), -1, cv2.LINE_AA)
        elif kind < 0.92:  # a fibre or scratch
            tone = int(rng.integers(20, 235))
            points = (np.cumsum(rng.normal(0, 14, (6, 2)), 0) + np.array([x, y])).astype(np.int32)
            width = int(rng.integers(1, 4))
            cv2.polylines(layer, [points], False, (tone, tone, tone), width, cv2.LINE_AA)
        else:  # a burnt-in scale bar
            cv2.rectangle(layer, (x, y), (x + 40, y + 16), (255, 255, 255), -1)
            cv2.line(layer, (x + 4, y + 12), (x + 30, y + 12), (0, 0, 0), 1)
            cv2.putText(layer, "20 um", (x + 3, y + 9), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (0, 0, 0), 1, cv2.LINE_AA)
    canvas[~taken] = layer[~taken]


def vary_optics(rng: np.random.Generator, rgb: np.ndarray) -> np.ndarray:
    """White balance, exposure, illumination, focus, noise and compression of another microscope and camera."""
    image = _vary_light(rng, rgb.astype(np.float32) / 255)
    draw = rng.random()
    if draw < 0.45:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.4)))
    elif draw < 0.65:
        soft = cv2.GaussianBlur(image, (0, 0), 1.0)
        image = image + float(rng.uniform(0.2, 1.2)) * (image - soft)
    if rng.random() < 0.4:
        noise = rng.standard_normal((*image.shape[:2], 3), np.float32)
        image = image + noise * np.float32(rng.uniform(0.003, 0.03))
    out = np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(35, 95))
        _, packed = cv2.imencode(".jpg", out[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        assert decoded is not None  # it was packed one line above
        out = decoded[..., ::-1].astype(np.uint8, copy=False)
    return np.ascontiguousarray(out)


def _vary_light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Mix of the colour channels, white point, gamma, saturation, uneven light. (H, W, 3) float32, 0–1."""
    side = image.shape[0]
    mix = np.eye(3, dtype=np.float32) + rng.normal(0, 0.05, (3, 3)).astype(np.float32)
    mix /= mix.sum(1, keepdims=True)
    if rng.random() < 0.25:  # saturation, now and then down to grey
        keep = np.float32(rng.uniform(0.0 if rng.random() < 0.15 else 0.45, 1.5))
        mix = ((keep * np.eye(3, dtype=np.float32) + (1 - keep) / 3) @ mix).astype(np.float32)
    image = cv2.transform(image, mix)
    tint = 0.05 if rng.random() < 0.8 else 0.2  # now and then yellowed glass, or a lamp that nobody balanced
    white = rng.uniform(0.72, 1.04) * np.exp(rng.normal(0, tint, 3))
    white /= max(1.0, white.max() / 1.04)
    gamma = np.float32(np.exp(rng.normal(0, 0.18)))
    image = (np.clip(image, 0, 1) ** gamma * white.astype(np.float32)).astype(np.float32)
    if rng.random() < 0.4:
        v, u = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
        a, b, c = rng.normal(0, 0.2), rng.normal(0, 0.2), -abs(rng.normal(0, 0.4))
        shade = 1 + a * u + b * v + c * (u * u + v * v)
        image = (image * shade[..., None]).astype(np.float32)
    return image
