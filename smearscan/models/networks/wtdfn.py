"""WT-DFN: attention maps learnt from labels alone crop and erase the image; three streams vote.

Liu et al. 2022 (https://doi.org/10.3390/diagnostics12010016), equations (1) to (5), figures 3 to 5. In training one
of the M maps is drawn at random; at test the mean of the M maps is used, so that a cell's score is always the same, and
the mean probability of the streams that voted with the majority is the score.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from smearscan.models.layers.bap import AttentionMaps, bilinear_attention_pooling
from smearscan.models.networks.backbones import feature_backbone

#: Keeps the logarithm finite where a class is ruled out.
_TINY = 1e-7
#: A map whose relief is below this share of its height is flat: the rest is rounding, not attention.
_FLAT = 1e-5


class AttentionView(NamedTuple):
    """What the attention made of a batch of images.

    `attention` (N, S, S) float 0 to 1; `boxes` (N, 4) float x, y, right, bottom, half-open input px; `crop` and
    `erase` images like the input.
    """

    attention: Tensor
    boxes: Tensor
    crop: Tensor
    erase: Tensor


class WtDfn(nn.Module):
    """A backbone with attention maps, bilinear attention pooling and three streams that share all weights."""

    def __init__(self, backbone: nn.Module, n_classes: int, *, n_maps: int, threshold: float, scale: float) -> None:
        super().__init__()
        self.backbone = backbone
        channels = int(backbone.num_features)  # type: ignore[arg-type]
        self.maps = AttentionMaps(channels, n_maps)
        self.classifier = nn.Linear(channels * n_maps, n_classes)
        self.threshold = threshold
        self.scale = scale

    def classify(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """One stream: logits (N, C) and attention maps (N, M, h, w) of images (N, 3, S, S)."""
        features = self.backbone(x)
        maps = self.maps(features)
        # In float32 whatever surrounds it: oneDNN's bfloat16 product divides by zero for 49152×3 on AMX processors.
        with torch.autocast(x.device.type, enabled=False):
            pooled = bilinear_attention_pooling(features.float(), maps.float())
            return self.classifier(pooled * self.scale), maps

    def look(self, x: Tensor, maps: Tensor, generator: torch.Generator | None = None) -> AttentionView:
        """Crop and erase images by their attention.

        Parameters
        ----------
        x
            Images (N, 3, S, S).
        maps
            Attention maps (N, M, h, w).
        generator
            Draws the map in training; None leaves it to torch's own. Not used in evaluation.
        """
        attention = normalised_attention(self._chosen(maps, generator), (x.shape[2], x.shape[3]))
        hit = attention >= self.threshold
        boxes = bounding_boxes(hit)
        # A flat map says nothing about where: `hit` is then empty and nothing is erased.
        erase = x * (~hit)[:, None].to(x.dtype)
        return AttentionView(attention, boxes, crop_and_resize(x, boxes), erase)

    def streams(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Logits (3, N, C) of the raw, cropped and erased image: a loss is the mean over all three."""
        raw, maps = self.classify(x)
        with torch.no_grad():
            view = self.look(x, maps.detach(), generator)
        crop, _ = self.classify(view.crop)
        erase, _ = self.classify(view.erase)
        return torch.stack([raw, crop, erase])

    def forward(self, x: Tensor) -> Tensor:
        """Logarithm of the voted probability (N, C), whose softmax is that probability."""
        return vote(self.streams(x).float().softmax(-1)).clamp_min(_TINY).log()

    def _chosen(self, maps: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.training:
            return maps.mean(1)
        device = maps.device if generator is None else generator.device
        drawn = torch.randint(maps.shape[1], (maps.shape[0],), generator=generator, device=device)
        return maps[torch.arange(maps.shape[0], device=maps.device), drawn.to(maps.device)]


def normalised_attention(attention: Tensor, size: tuple[int, int]) -> Tensor:
    """Equation (2): one map per image (N, h, w) stretched to 0…1 and to `size`; a flat map becomes 0."""
    attention = functional.interpolate(attention[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    low, high = attention.amin((1, 2), keepdim=True), attention.amax((1, 2), keepdim=True)
    span = high - low
    return torch.where(span > _FLAT * high.abs(), (attention - low) / span.clamp_min(torch.finfo(span.dtype).tiny), 0.0)


def bounding_boxes(hit: Tensor) -> Tensor:
    """Smallest boxes around what is hit.

    Parameters
    ----------
    hit
        (N, H, W) bool.

    Returns
    -------
    Tensor
        (N, 4) float32 x, y, right, bottom, half-open px; the whole image where nothing is hit.
    """
    edges = []
    for along in (hit.any(1), hit.any(2)):  # columns, rows
        n = along.shape[1]
        place = torch.arange(n, device=hit.device)
        first = torch.where(along, place, n).amin(1)
        last = torch.where(along, place + 1, 0).amax(1)
        empty = last == 0
        edges.append((torch.where(empty, 0, first), torch.where(empty, n, last)))
    (x, right), (y, bottom) = edges
    return torch.stack([x, y, right, bottom], dim=1).float()


def crop_and_resize(x: Tensor, boxes: Tensor) -> Tensor:
    """Zoom each image (N, C, H, W) into its box (N, 4), bilinearly, to the size it had."""
    # Not affine_grid: exported runtimes have no such operation.
    left, top, right, bottom = boxes.unbind(1)
    across = _places(left, right, x.shape[3])[:, None, :].expand(-1, x.shape[2], -1)
    down = _places(top, bottom, x.shape[2])[:, :, None].expand(-1, -1, x.shape[3])
    grid = torch.stack([across, down], dim=-1).to(x.dtype)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _places(first: Tensor, last: Tensor, n: int) -> Tensor:
    """Where n pixel centres fall that share out first…last (N,), as (N, n) in -1…1 of an image n px wide."""
    share = (torch.arange(n, device=first.device) + 0.5) / n
    return (first[:, None] + share * (last - first)[:, None]) * (2 / n) - 1


def vote(probabilities: Tensor) -> Tensor:
    """Equation (5): the mean probability (N, C) of the streams (3, N, C) that chose the majority's class.

    Where all three differ there is no plurality; then all three count.
    """
    n_classes = probabilities.shape[-1]
    chosen = functional.one_hot(probabilities.argmax(-1), n_classes)
    counts = chosen.sum(0)
    winner = functional.one_hot(counts.argmax(-1), n_classes)
    with_winner = (chosen * winner).sum(-1).bool() | (counts.amax(-1) == 1)
    weights = with_winner.to(probabilities.dtype)[..., None]
    return (probabilities * weights).sum(0) / weights.sum(0)


def build(
    *,
    n_classes: int,
    pretrained: bool | str | Path,
    backbone: str,
    n_maps: int,
    threshold: float,
    scale: float,
    small_input: bool = False,
) -> WtDfn:
    """Build `wtdfn_<backbone>`."""
    features = feature_backbone(backbone, pretrained, small_input=small_input)
    return WtDfn(features, n_classes, n_maps=n_maps, threshold=threshold, scale=scale)
