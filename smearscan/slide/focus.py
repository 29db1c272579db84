"""How sharp an image is, as the steepness of its edges: independent of stain, light and camera.

At an edge the steepest gradient divided by the difference of brightness across it is the inverse of the
edge's width. Stain strength and illumination scale both and cancel; the pixel size cancels because the
image is brought to a fixed scale first. An edge-width measure of focus in this sense goes back to
Marziliano et al. 2002, "A no-reference perceptual blur metric" (doi:10.1109/ICIP.2002.1038902).
"""

from __future__ import annotations

import numpy as np

#: Scale at which edges are measured. Coarser than most cameras and near the coarsest that still shows
#: nuclear detail, so that a 0.1 and a 0.5 µm/px source are asked the same question.
_UM_PER_PX = 0.5

#: Side of the window in which an edge is sought: less than a red cell, so that it holds one rim.
_WINDOW_UM = 5.5

#: Noise is smoothed by this much, in pixels of the working scale.
_SMOOTH_PX = 0.6

#: Grey levels of 255: with less difference there is nothing to be sharp.
_MIN_CONTRAST = 8.0

#: Steepness per working pixel that counts as wholly blurred and wholly sharp. A ramp across the whole
#: window gives 0.09; fields of several hospitals give 0.33 to 0.46.
_BLURRED, _SHARP = 0.11, 0.40


def focus_score(rgb: np.ndarray, um_per_px: float) -> float:
    """Sharpness of an image's edges; 0 where there is nothing to judge it by.

    Parameters
    ----------
    rgb
        (H, W, 3) uint8 RGB.
    um_per_px
        Its scale; one that is off by a third shifts the score by up to 0.2.

    Returns
    -------
    float
        0 (blurred by more than about 3 µm, or nothing to see) to 1 (edges as steep as the scale shows).
        A blur of 1 µm (standard deviation) gives about 0.3, one of 1.5 µm about 0.15.
    """
    return judge_focus(rgb, um_per_px) or 0.0


def judge_focus(rgb: np.ndarray, um_per_px: float) -> float | None:
    """As `focus_score`, but None where there is nothing to judge it by, as on glass."""
    import cv2

    green = _at_working_scale(cv2.extractChannel(rgb, 1), um_per_px)
    green = cv2.GaussianBlur(green, (0, 0), _SMOOTH_PX)
    slope_x, slope_y = (cv2.Sobel(green, cv2.CV_32F, dx, dy, ksize=1, scale=0.5) for dx, dy in ((1, 0), (0, 1)))
    window = np.ones((_window_px(), _window_px()), np.uint8)
    contrast = cv2.dilate(green, window) - cv2.erode(green, window)
    strong = float(np.partition(contrast, contrast.size * 95 // 100, axis=None)[contrast.size * 95 // 100])
    if strong < _MIN_CONTRAST:
        return None
    # Not cv2.magnitude: its roots differ in the last bit by where in memory they are put.
    steepest = cv2.dilate(np.sqrt(slope_x * slope_x + slope_y * slope_y), window)
    # Only where the window holds a real edge: glass and the inside of cells say nothing of focus.
    has_edge = contrast >= strong / 2
    steepness = float(np.median(steepest[has_edge] / contrast[has_edge]))
    return min(1.0, max(0.0, (steepness - _BLURRED) / (_SHARP - _BLURRED)))


def _window_px() -> int:
    return round(_WINDOW_UM / _UM_PER_PX) | 1


def _at_working_scale(channel: np.ndarray, um_per_px: float) -> np.ndarray:
    import cv2

    channel = channel.astype(np.float32)
    factor = um_per_px / _UM_PER_PX
    size = tuple(max(1, round(side * factor)) for side in channel.shape[::-1])
    if size == channel.shape[::-1]:
        return channel
    return cv2.resize(channel, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
