"""Pictures inside the report: JPEG in data URIs, sized so that the whole file stays in its budget."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeVar

import numpy as np

from smearscan.report.inputs import CellImage, Streams

#: (longer side in px, JPEG quality), best first: the first that fits is taken.
LADDER = ((450, 88), (400, 85), (340, 84), (280, 82), (224, 80), (180, 76), (140, 72), (112, 65), (96, 50), (64, 40))

#: Pictures tried to choose the step.
_SAMPLE = 12

Key = TypeVar("Key")


def encode_jpeg(rgb: np.ndarray, max_side: int, quality: int) -> bytes:
    """JPEG of an (H, W, 3) uint8 RGB image, shrunk so that its longer side is at most `max_side`."""
    import cv2
    from imagecodecs import jpeg8_encode

    height, width = rgb.shape[:2]
    longest = max(width, height)
    if longest > max_side:
        size = (max(1, round(width * max_side / longest)), max(1, round(height * max_side / longest)))
        # Up to one half nothing is skipped between neighbouring pixels, and averaging areas takes ten times as long.
        rgb = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if longest > 2 * max_side else cv2.INTER_LINEAR)
    subsampling = "444" if quality > 80 else "420"
    return bytes(jpeg8_encode(np.ascontiguousarray(rgb), level=quality, subsampling=subsampling))


def data_uri(jpeg: bytes) -> str:
    """A JPEG as text that an <img> shows without asking anyone."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def encode_within(
    pictures: Mapping[Key, np.ndarray], order: Sequence[Key], budget: int, max_side: int = 450
) -> tuple[dict[Key, str], int]:
    """Encode pictures so that all data URIs together stay within `budget` characters.

    The step of the ladder is chosen for all at once, so that cells stay comparable. Should even the
    lowest be too large, the last in `order` are left out.

    Returns
    -------
    uris
        Data URI by key.
    n_left_out
        How many did not fit, for the report to say so.
    """
    keys = [key for key in order if key in pictures]

    @cache  # of the sample that chose the step nothing is encoded twice
    def jpeg(key: Key, side: int, quality: int) -> bytes:
        return encode_jpeg(pictures[key], min(side, max_side), quality)

    encoded: dict[Key, str] = {}
    for side, quality in LADDER[_first_step(jpeg, keys, budget) :]:
        encoded = _encode_until_full(jpeg, keys, budget, side, quality)
        if len(encoded) == len(keys):
            break
    return encoded, len(keys) - len(encoded)


def _first_step(jpeg: Callable[[Key, int, int], bytes], keys: Sequence[Key], budget: int) -> int:
    """The step at which a sample says that all will fit: most steps need not be tried in full."""
    sample = keys[:: max(1, len(keys) // _SAMPLE)]
    for step, (side, quality) in enumerate(LADDER):
        size = sum(len(jpeg(key, side, quality)) for key in sample)
        if size * 4 / 3 * len(keys) <= budget * len(sample):
            return step
    return len(LADDER) - 1


def _encode_until_full(
    jpeg: Callable[[Key, int, int], bytes], keys: Sequence[Key], budget: int, side: int, quality: int
) -> dict[Key, str]:
    encoded = {}
    for key in keys:
        uri = data_uri(jpeg(key, side, quality))
        budget -= len(uri)
        if budget < 0:
            break
        encoded[key] = uri
    return encoded


def overlay_attention(rgb: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """Lay an attention map over a cell, transparent where the network did not look.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    attention
        (h, w) float, stretched over the picture; scaled to its own maximum.

    Returns
    -------
    array
        (H, W, 3) uint8.
    """
    import cv2

    height, width = rgb.shape[:2]
    heat = np.nan_to_num(np.asarray(attention, dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    peak = float(heat.max())
    heat = heat / peak if peak > 0 else heat
    smooth = cv2.resize(np.round(255 * heat).astype(np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    strength = np.arange(256, dtype=np.float32) / 255
    alpha = (0.72 * strength**0.8)[:, None]
    # Of 256 strengths each pixel has one: what it keeps of its own colour, and what it is given.
    kept, given = (1 - alpha).repeat(3, axis=1), _heat_colour(strength) * alpha
    thrice = cv2.merge([smooth] * 3)
    greyed = cv2.transform(rgb.astype(np.float32), np.full((3, 3), 0.55 / 3) + 0.45 * np.eye(3))
    return np.asarray(cv2.convertScaleAbs(greyed * cv2.LUT(thrice, kept[None]) + cv2.LUT(thrice, given[None])))


def attention_pair(rgb: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """The cell and, to its right, the cell under its attention map: (H, 2W + gap, 3) uint8 RGB."""
    return _joined(rgb, overlay_attention(rgb, attention), axis=1)


def attended(cell: CellImage, attention: np.ndarray) -> np.ndarray:
    """Where a network looked in what it was shown of a cell: pictures side by side, uint8 RGB."""
    seen = middle(cell.pixels, cell.share)
    return stream_pictures(seen, attention, cell.streams) if cell.streams else attention_pair(seen, attention)


def middle(rgb: np.ndarray, share: float) -> np.ndarray:
    """The middle of a picture, `share` of its side: what a network of a narrower window was shown."""
    cut = max(0, round(len(rgb) * (1 - share) / 2))
    return np.ascontiguousarray(rgb[cut : len(rgb) - cut, cut : rgb.shape[1] - cut])


def stream_pictures(rgb: np.ndarray, attention: np.ndarray, streams: Streams) -> np.ndarray:
    """Four pictures of what a WT-DFN was shown: (2H + gap, 2W + gap, 3) uint8 RGB.

    The cell and its class map; below them the streams' attention with a frame around what they zoom into, and the cell
    less what they black out.
    """
    import cv2

    erased = cv2.resize(streams.erased.astype(np.uint8), rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    kept = cv2.bitwise_and(rgb, rgb, mask=1 - erased)
    own = _framed(overlay_attention(rgb, streams.attention), streams)
    return _joined(attention_pair(rgb, attention), _joined(own, kept, axis=1), axis=0)


def _framed(rgb: np.ndarray, streams: Streams) -> np.ndarray:
    """The crop's frame, white in black: seen on any stain and any map."""
    import cv2

    scale, width = np.divide(rgb.shape[:2], streams.attention.shape)[::-1], max(1, len(rgb) // 150)
    corners = [(streams.crop.x, streams.crop.y), (streams.crop.right, streams.crop.bottom)]
    first, last = (np.round(corner * scale).astype(int) for corner in corners)
    framed = rgb.copy()
    for colour, line in ((0, 3 * width), (255, width)):
        cv2.rectangle(framed, first.tolist(), (last - 1).tolist(), (colour, colour, colour), line)
    return framed


def _joined(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
    """Two pictures with a white gap between them, one beside (1) or below (0) the other."""
    shape = list(first.shape)
    shape[axis] = max(1, shape[axis] // 60)
    return np.concatenate([first, np.full(shape, 255, np.uint8), second], axis=axis)


def _heat_colour(strength: np.ndarray) -> np.ndarray:
    """Blue-green to yellow, told apart by the colour-blind and unlike any Romanowsky stain: (N, 3) float32, 0–255."""
    stops = np.array([[20, 110, 130], [40, 165, 120], [160, 205, 50], [253, 231, 37]], dtype=np.float32)
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(strength, at, stops[:, channel]) for channel in range(3)], axis=-1).astype(np.float32)
