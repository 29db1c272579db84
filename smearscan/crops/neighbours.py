"""Cells in an order that decodes each part of a slide once: bands of the film, each from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smearscan.records import Detection

#: Height of a band in level-0 pixels: two rows of the usual tiles.
_BAND_PX = 1024


def batches_of_neighbours(detections: Sequence[Detection], n: int) -> Iterator[tuple[Detection, ...]]:
    """Cut detections into batches of at most `n` that lie close together.

    The order depends on the detections alone, so it is the same for any number of workers; bands are
    read back and forth, so that a batch that ends one band begins the next where it stands.
    """
    ordered = sorted(detections, key=in_bands)
    for first in range(0, len(ordered), n):
        yield tuple(ordered[first : first + n])


def in_bands(detection: Detection) -> tuple[int, float, float, int, int, float]:
    """Where a cell comes in an order that passes over a slide once; a total order."""
    box = detection.box
    band = int(box.centre.y // _BAND_PX)
    forward = box.centre.x if band % 2 == 0 else -box.centre.x
    return band, forward, box.centre.y, box.width, box.height, -detection.score
