"""Fields mirrored at their sides, as the detector is shown an image: two halves of one red cell are no leukocyte."""

from __future__ import annotations

import cv2
import numpy as np

#: A box that ends this near to an image's side belongs to a cell which the side cuts, px.
_AT_SIDE_PX = 1.5
#: Share of a mirror image's length that must be seen for it to be asked for.
_LEAST_SEEN = 0.3


def mirrored(rgb: np.ndarray, boxes: np.ndarray, rim: int) -> tuple[np.ndarray, np.ndarray]:
    """An image with a mirrored rim, and the boxes on it.

    A cell that a side cuts is one with its mirror image; of any other near a side the mirror image is a cell too.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8.
    boxes
        (N, 4) corners, px.
    rim
        Width of the rim, px.

    Returns
    -------
    (H + 2 rim, W + 2 rim, 3) uint8 and (M, 4) float32 corners in its px, cut at its sides.
    """
    framed = cv2.copyMakeBorder(rgb, rim, rim, rim, rim, cv2.BORDER_REFLECT)
    found = boxes.reshape(-1, 4).astype(np.float32)
    for axis, length in ((0, rgb.shape[1]), (1, rgb.shape[0])):
        found = _with_images(found, axis, length, rim)
    return framed, found + np.float32(rim)


def _with_images(boxes: np.ndarray, axis: int, length: int, rim: int) -> np.ndarray:
    """Boxes and their mirror images on both sides of one axis, as far as the rim shows them."""
    start, end = axis, axis + 2
    whole, images = boxes.copy(), []
    # How far the box is from the side, and on which line it is mirrored there, for both sides.
    for gap, line in ((boxes[:, start], 0), (length - boxes[:, end], length)):
        image = boxes.copy()
        image[:, start], image[:, end] = 2 * line - boxes[:, end], 2 * line - boxes[:, start]
        is_cut = gap < _AT_SIDE_PX
        whole[is_cut, start] = np.minimum(whole, image)[is_cut, start]
        whole[is_cut, end] = np.maximum(whole, image)[is_cut, end]
        seen = np.clip(image[:, [start, end]], -rim, length + rim)
        share = (seen[:, 1] - seen[:, 0]) / (image[:, end] - image[:, start])
        image[:, [start, end]] = seen
        images.append(image[~is_cut & (share >= _LEAST_SEEN)])
    whole[:, [start, end]] = np.clip(whole[:, [start, end]], -rim, length + rim)
    return np.concatenate([whole, *images])
