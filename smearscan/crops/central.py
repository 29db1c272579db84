"""Which of the pieces the mask network found is the cell in the middle, and what of it is nucleus."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

#: A cell must come this near to the middle of its crop, µm: boxes are rarely off by more.
_REACH_UM = 2.5
#: Smaller holes in a nucleus are closed, µm².
_LEAST_HOLE_UM2 = 2.5


def outline_of_centre(cell: np.ndarray, nucleus: np.ndarray, um_per_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Cell and nucleus in the middle on the network's own pixels, (S, S) bool each; empty where none comes near enough.

    What `central_cell` says above one half, without the shades that enlarging asks for.

    Parameters
    ----------
    cell, nucleus
        (S, S) bool, where the chance of either is above one half.
    """
    piece = _middle_piece(cell, um_per_px)
    if piece is None:
        nothing = np.zeros(cell.shape, bool)
        return nothing, nothing
    closed = _filled(piece)
    nucleus = cv2.bitwise_and(nucleus.view(np.uint8), _grown(closed))
    nucleus |= _small_holes(nucleus, um_per_px)
    return closed.view(bool), cv2.bitwise_and(nucleus, closed).view(bool)


def central_cell(chance: np.ndarray, um_per_px: float) -> np.ndarray:
    """Keep the piece of cell nearest the middle, closed, with its nucleus; all zero where none comes near enough.

    Parameters
    ----------
    chance
        (S, S, 2) float32 chance of cell and nucleus.
    """
    piece = _middle_piece(chance[..., 0] > 0.5, um_per_px)
    if piece is None:
        return np.zeros_like(chance)
    closed = _filled(piece)
    around = _grown(closed)
    whole = np.where((closed > piece), 1.0, chance[..., 0]) * around
    nucleus = chance[..., 1] * around
    nucleus[_small_holes((nucleus > 0.5).view(np.uint8), um_per_px) > 0] = 1.0
    return np.dstack([np.where(around > closed, np.minimum(whole, 0.49), whole), nucleus])


def _middle_piece(cell: np.ndarray, um_per_px: float) -> np.ndarray | None:
    """(S, S) uint8, 1 in the piece of (S, S) bool that fills most of the middle; None where it is empty."""
    _, labels = cv2.connectedComponents(cell.view(np.uint8), connectivity=4)
    counts = np.bincount(labels[_disc(len(cell), _REACH_UM / um_per_px)], minlength=2)
    counts[0] = 0
    if not counts.any():
        return None
    return (labels == counts.argmax()).view(np.uint8)


def _filled(piece: np.ndarray) -> np.ndarray:
    outlines, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(piece), outlines, -1, 1, cv2.FILLED)


def _grown(piece: np.ndarray) -> np.ndarray:
    return cv2.dilate(piece, np.ones((3, 3), np.uint8))


def _small_holes(nucleus: np.ndarray, um_per_px: float) -> np.ndarray:
    """(S, S) uint8, 1 in holes that are pale chromatin or nucleoli rather than the eye of a ring, and on their rims."""
    holes = np.zeros_like(nucleus)
    outlines, order = cv2.findContours(nucleus, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    for number, outline in enumerate(outlines):
        if order[0][number][3] >= 0 and cv2.contourArea(outline) < _LEAST_HOLE_UM2 / um_per_px**2:
            cv2.drawContours(holes, outlines, number, 1, cv2.FILLED)
    return holes


@lru_cache(maxsize=8)
def _disc(side: int, radius: float) -> tuple[np.ndarray, ...]:
    """Indices of the pixels within `radius` of the middle."""
    axis = np.arange(side) - (side - 1) / 2
    return np.nonzero(np.hypot(axis[None, :], axis[:, None]) <= radius)
