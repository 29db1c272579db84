"""The YOLO detector: our own forward pass, decoding and suppression around ultralytics' network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch

from smearscan.detect.base import FloatBox, resize_to_scale
from smearscan.detect.boxes import keep_best
from smearscan.detect.card import load_card, load_into, load_weights
from smearscan.detect.network import N_BINS, OUTPUT_STRIDES_PX, build_network
from smearscan.resources import has_native_bfloat16

#: Sides of the square input, px. An image is padded to the smallest that holds it, and one image makes a
#: forward pass: what is found then depends on the image alone, never on what else was in a batch.
_SIDES_PX = (64, 96, 128, 160, 192, 256, 320, 384, 512, 768)
#: The image is mirrored this far at its sides, px: a cell that the side cuts looks whole, and is found.
RIM_PX = 16
#: A box of which less than this lies on the image belongs to the mirrored rim; a cell cut at a corner has a quarter.
_MIN_ON_IMAGE = 0.2
#: Levels of 255 below which no light came, and the share of a box that may be so dark. Around an eyepiece's disc, as a
#: phone takes it, the corners are black and look like cells that the side cuts. A round cell on black has a fifth.
_BLACK, _MOST_BLACK = 12, 0.5
#: Windows into which larger images are cut overlap by this, px: more than the largest leukocyte at 0.5 µm/px.
_OVERLAP_PX = 96
#: Outside an image is clear glass, as outside a slide.
_GLASS = 255
#: Boxes of one window that overlap more are one cell; touching cells overlap less.
_WINDOW_IOU = 0.5
#: Most candidates of a window that are compared.
_MAX_CANDIDATES = 3000


class YoloDetector:
    """Finds leukocytes with the shipped network.

    Parameters
    ----------
    um_per_px
        Scale it works at; the network was trained at 0.5 µm/px and 0.6 to 1.7 times that.
    min_score
        Detections below it are not reported.
    card
        Name of the card under `configs/cards`.

    Raises
    ------
    WeightsError
        If the weights are absent, altered or of another network.
    """

    name = "yolo"

    def __init__(self, um_per_px: float, min_score: float, card: str = "detector") -> None:
        self._um_per_px = um_per_px
        self._min_score = min_score
        self._network, self._dtype = _loaded(load_weights(load_card(card)), card)

    @classmethod
    def of_weights(cls, weights: dict[str, torch.Tensor], um_per_px: float, min_score: float) -> YoloDetector:
        """A detector in training: weights that no card describes yet."""
        detector = cls.__new__(cls)
        detector._um_per_px, detector._min_score = um_per_px, min_score
        detector._network, detector._dtype = _loaded(weights, "of a training")
        return detector

    def detect(self, rgb: np.ndarray, um_per_px: float) -> list[tuple[FloatBox, float]]:
        """Leukocytes of one image of known scale; (H, W, 3) uint8 RGB. Sorted by top, then left."""
        image, ratio = resize_to_scale(rgb, um_per_px, self._um_per_px)
        framed = cv2.copyMakeBorder(image, RIM_PX, RIM_PX, RIM_PX, RIM_PX, cv2.BORDER_REFLECT)
        found = [self._search(framed, window) for window in _windows(*framed.shape[:2])]
        corners, scores = np.concatenate([c for c, _ in found]), np.concatenate([s for _, s in found])
        corners, scores = _without_rim(corners, scores, *image.shape[:2])
        is_lit = np.array([_black_share(image, box) <= _MOST_BLACK for box in corners], bool)
        corners, scores = corners[is_lit], scores[is_lit]
        kept = keep_best(corners, scores, _WINDOW_IOU)
        cells = [
            (
                FloatBox(
                    float(corners[i, 0] * ratio[0]),
                    float(corners[i, 1] * ratio[1]),
                    float((corners[i, 2] - corners[i, 0]) * ratio[0]),
                    float((corners[i, 3] - corners[i, 1]) * ratio[1]),
                ),
                float(scores[i]),
            )
            for i in kept
        ]
        return sorted(cells, key=lambda cell: (cell[0].y, cell[0].x))

    def _search(self, image: np.ndarray, window: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Boxes (N, 4) float64 in px of the image and scores (N,) float64 of one window (left, top, right, bottom)."""
        left, top, right, bottom = window
        side = next(s for s in _SIDES_PX if s >= max(right - left, bottom - top))
        padded = np.full((side, side, 3), _GLASS, np.uint8)
        padded[: bottom - top, : right - left] = image[top:bottom, left:right]
        corners, scores = self._forward(padded)
        corners = np.clip(corners, 0, [right - left, bottom - top] * 2)
        size = corners[:, 2:] - corners[:, :2]
        sound = size.min(1, initial=np.inf) >= 2
        corners, scores = corners[sound], scores[sound]
        best = np.argsort(-scores, kind="stable")[:_MAX_CANDIDATES]
        corners, scores = corners[best], scores[best]
        kept = keep_best(corners, scores, _WINDOW_IOU)
        kept = [i for i in kept if not _is_cut(corners[i], window, image.shape[:2])]
        return corners[kept] + np.array([left, top, left, top], np.float64), scores[kept]

    def _forward(self, padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Corners (N, 4) and scores (N,) float64 of whatever scores `min_score` and more."""
        x = torch.from_numpy(padded).permute(2, 0, 1)[None].to(self._dtype).div_(255)
        with torch.inference_mode():
            raw = self._network(x.contiguous(memory_format=torch.channels_last))
            raw = raw[1] if isinstance(raw, tuple) else raw
            sizes = [feature.shape[2:] for feature in raw["feats"]]
            scores = raw["scores"].float().sigmoid()[0, 0]
            likely = scores.ge(self._min_score).nonzero()[:, 0]  # a handful of ten thousand: only their boxes are made
            corners = decode(raw["boxes"].float(), sizes, OUTPUT_STRIDES_PX, N_BINS, likely)
            return corners[0].double().numpy(), scores[likely].double().numpy()


def _without_rim(corners: np.ndarray, scores: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Boxes in px of the image, cut at its sides, without those that lie on the mirrored rim."""
    corners = corners - RIM_PX
    cut = np.clip(corners, 0, np.array([width, height] * 2, np.float64))
    area, seen = (corners[:, 2:] - corners[:, :2]).prod(1), cut[:, 2:] - cut[:, :2]
    is_kept = (seen.min(1, initial=np.inf) >= 2) & (seen.prod(1) >= _MIN_ON_IMAGE * area)
    return cut[is_kept], scores[is_kept]


def _black_share(image: np.ndarray, box: np.ndarray) -> float:
    """Share of a box, in px of the image, that no light reaches."""
    left, top, right, bottom = (round(v) for v in box.tolist())
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    return float((part < _BLACK).all(2).mean()) if part.size else 0.0


def _loaded(weights: dict[str, torch.Tensor], name: str) -> tuple[torch.nn.Module, torch.dtype]:
    network = build_network()
    load_into(network, weights, name)
    return prepare(network)


def prepare(network: torch.nn.Module) -> tuple[torch.nn.Module, torch.dtype]:
    """Fold batch norms into convolutions and take the fastest number format the processor has."""
    network = network.eval().fuse(verbose=False)  # type: ignore[operator]
    dtype = torch.bfloat16 if has_native_bfloat16() else torch.float32
    network = network.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.requires_grad_(False), dtype


def decode(
    distribution: torch.Tensor,
    sizes: list[torch.Size],
    strides: Sequence[float],
    n_bins: int,
    chosen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Boxes from the head's raw output.

    Each side's distance from the grid point is the mean of a distribution over `n_bins` steps of the stride.

    Parameters
    ----------
    distribution
        (B, 4 · n_bins, N) float32 logits.
    sizes
        Rows and columns of each output grid, together N points.
    strides
        px of each grid's step.
    chosen
        Indices of the grid points whose boxes are wanted; None is all.

    Returns
    -------
    (B, N, 4) float32 corners in px.

    References
    ----------
    Li et al. 2020, Generalized Focal Loss, https://doi.org/10.48550/arXiv.2006.04388
    """
    points, steps = [], []
    for (rows, columns), stride in zip(sizes, strides, strict=True):
        v, u = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        points.append(torch.stack((u, v), -1).reshape(-1, 2))
        steps.append(torch.full((rows * columns, 1), stride))
    point, step = torch.cat(points), torch.cat(steps)
    if chosen is not None:
        point, step, distribution = point[chosen], step[chosen], distribution[:, :, chosen]
    bins = torch.arange(n_bins, dtype=torch.float32)
    shape = (len(distribution), 4, n_bins, -1)
    distance = (distribution.reshape(shape).softmax(2) * bins[None, None, :, None]).sum(2).transpose(1, 2)
    return torch.cat((point - distance[..., :2], point + distance[..., 2:]), -1) * step


def _windows(height: int, width: int) -> Iterator[tuple[int, int, int, int]]:
    """Cut an image into windows of at most the largest side, evenly spread, that overlap; one where it fits."""
    for top, bottom in _spans(height):
        for left, right in _spans(width):
            yield left, top, right, bottom


def _spans(length: int) -> list[tuple[int, int]]:
    side = _SIDES_PX[-1]
    if length <= side:
        return [(0, length)]
    n = -(-(length - _OVERLAP_PX) // (side - _OVERLAP_PX))
    starts = [round(i * (length - side) / (n - 1)) for i in range(n)]
    return [(start, start + side) for start in starts]


def _is_cut(corners: np.ndarray, window: tuple[int, int, int, int], shape: tuple[int, ...]) -> bool:
    """Whether a box ends at a window's side that is not the image's: the neighbour shows that cell whole."""
    left, top, right, bottom = window
    return bool(
        (left > 0 and corners[0] < 2)
        or (top > 0 and corners[1] < 2)
        or (right < shape[1] and corners[2] > right - left - 2)
        or (bottom < shape[0] and corners[3] > bottom - top - 2)
    )
