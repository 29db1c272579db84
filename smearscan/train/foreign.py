"""What other laboratories' cameras and stains would have made of a cell: stronger than `Restainer` alone.

PBC, most of the training, is sharpened by its camera; Raabin, BCCD and segmentation_WBC are soft, and each stain leaves
another hue after whitening. Networks trained near PBC's look read the sharpness and the hue. So a cell is softened or
sharpened, sampled down and up again, carried into another laboratory's stain, and nucleus and cytoplasm are stained
apart; some lose all hue. Round cells are given coarser chromatin as well: clumps and pale spots, which lymphocytes and
blasts of other films show, and which a network that knows them from granules alone takes for a basophil.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from smearscan.train.restain import Restainer, to_density, whiten

#: So many pictures share one sharpness.
_CHUNK = 8
#: Clumps of chromatin are so many px of the network's input wide, at least and at most.
_CLUMPS_PX = (2.0, 5.0)
#: Logarithm of the coarsest sampling: a picture keeps at least 1 px in 2.4.
_LOG_COARSEST = math.log(2.4)


@dataclass(frozen=True, slots=True)
class ForeignLook:
    """How far a picture is carried from its laboratory.

    Attributes
    ----------
    scale
        Standard deviation of the logarithm of size.
    blur_px
        Largest Gaussian blur, px of the network's input.
    coarse, sharpened
        Shares of the chunks that are sampled down and up again; of the others, sharpened.
    mix, gain, region, offset
        Standard deviations of the 3×3 that mixes densities, of log gain a channel, of the nucleus' density against the
        cytoplasm's, of offset.
    spread
        Median factor on mix, gain and region: log-normal from cell to cell.
    grey
        Share of the cells without hue.
    rim
        Share of the cells whose outermost pixel is cut off.
    clumps
        Largest share of a round cell's nuclear density that clumps and pale spots add or take.
    """

    scale: float = 0.08
    blur_px: float = 2.6
    coarse: float = 0.3
    sharpened: float = 0.15
    mix: float = 0.08
    gain: float = 0.12
    region: float = 0.07
    offset: float = 0.03
    spread: float = 0.7
    grey: float = 0.2
    rim: float = 0.3
    clumps: float = 0.35


class Foreigner(Restainer):
    """Draws foreign looks; one object a training run."""

    def abroad(self, pictures: Tensor, look: ForeignLook, shrinks: Tensor, maps: Tensor, is_round: Tensor) -> Tensor:
        """Whitened network input (N, 3, S, S) of (N, 5, S, S) uint8: masked RGB, mask, nucleus.

        Parameters
        ----------
        shrinks
            (N,) by how much each cell is made smaller on top of what is drawn.
        maps
            (N, 3, 3) stain maps, from `StainMaps.draw`.
        is_round
            (N,) bool: cells whose chromatin may be clumped and stay what they are.
        """
        moved = self._move(pictures.float().div(255), look.scale, shrinks)
        soft = torch.cat([self._focused(chunk, look) for chunk in moved[:, :4].split(_CHUNK)])
        density, mask = to_density(soft, self._noise(soft))
        amounts = self._uniform(len(moved)) * look.clumps * is_round
        density = torch.cat(
            [
                self._clumped(*part)
                for part in zip(density.split(_CHUNK), moved[:, 4:].split(_CHUNK), amounts.split(_CHUNK), strict=True)
            ]
        )
        density = self._stained(density, moved[:, 4:], look, maps)
        return self._with_nucleus(whiten(density.clamp(-0.1, 2.4), self._cut_rim(mask, look.rim)), moved)

    def _noise(self, x: Tensor) -> Tensor:
        return self._normal(len(x), 3, *x.shape[2:]) * 0.02 * self._uniform(len(x), 1, 1, 1)

    def _focused(self, x: Tensor, look: ForeignLook) -> Tensor:
        x = self._blur(x, look.blur_px)
        if float(self._uniform(1)) < look.coarse:
            return resampled(x, math.exp(float(self._uniform(1)) * _LOG_COARSEST))
        if float(self._uniform(1)) < look.sharpened:
            return sharpened(x, float(self._uniform(1)))
        return x

    def _clumped(self, density: Tensor, nucleus: Tensor, amounts: Tensor) -> Tensor:
        """Density with clumps, or with pale spots, of one size where the nucleus lies."""
        n, side = len(density), density.shape[-1]
        low, high = _CLUMPS_PX
        n_clumps = max(2, int(side / (low + (high - low) * float(self._uniform(1)))))
        noise = functional.interpolate(self._normal(n, 1, n_clumps, n_clumps), size=(side, side), mode="bicubic")
        pale = -2 * (noise - 0.6).clamp_min(0)
        spots = torch.where(self._uniform(n, 1, 1, 1) < 0.5, noise, pale)
        return density * (1 + amounts[:, None, None, None] * spots * nucleus).clamp_min(0)

    def _stained(self, density: Tensor, nucleus: Tensor, look: ForeignLook, maps: Tensor) -> Tensor:
        n = len(density)
        reach = look.spread * torch.exp(self._normal(n, 1, 1) * 0.6)
        mixing = (torch.eye(3) + self._normal(n, 3, 3) * look.mix * reach) @ maps
        reach = reach[..., None]
        density = density + self._normal(n, 3, 1, 1) * look.region * reach * (nucleus - 0.5)
        density = torch.einsum("nij,njhw->nihw", mixing, density)
        density = density * torch.exp(self._normal(n, 3, 1, 1) * look.gain * reach)
        density = density + self._normal(n, 3, 1, 1) * look.offset
        without_hue = self._uniform(n, 1, 1, 1) < look.grey
        return torch.where(without_hue, density.mean(1, keepdim=True), density)


def resampled(x: Tensor, step: float) -> Tensor:
    """Pictures (N, C, S, S) in 0 to 1 kept at 1 px in `step`, then enlarged again: (N, C, S, S)."""
    side = x.shape[-1]
    size = (max(1, int(side / step)),) * 2
    small = functional.interpolate(x, size=size, mode="bilinear", antialias=True)
    return functional.interpolate(small, size=(side, side), mode="bicubic").clamp(0, 1)


def sharpened(x: Tensor, amount: float) -> Tensor:
    """Masked pictures (N, 4, S, S) in 0 to 1 with the edges inside the cell strengthened, as some cameras do."""
    mask = x[:, 3:]
    rgb = x[:, :3] / mask.clamp_min(0.05)
    around = functional.avg_pool2d(x[:, :3], 5, 1, 2) / functional.avg_pool2d(mask, 5, 1, 2).clamp_min(0.05)
    return torch.cat([(rgb + amount * (rgb - around)).clamp(0, 1) * mask, mask], 1)
