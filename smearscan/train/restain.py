"""What training does to a batch of masked cells: turn, scale, blur, restain, and whiten as at run time.

Everything is drawn from one seeded generator. The whitening is that of `smearscan.crops.whiten`, in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from smearscan.crops.prepare import NUCLEUS_BLUR_PX
from smearscan.crops.whiten import LEAST_SD, LEVELS_PER_SD

#: Value that black gets when the card subtracts 128 and divides by 40 levels.
_OUTSIDE = -128 / LEVELS_PER_SD
#: Shares of the cells whose nucleus is shown a pixel wider, as much narrower, and not at all.
_WIDER, _NARROWER, _UNSEEN = 0.15, 0.15, 0.1


@dataclass(frozen=True, slots=True)
class Strength:
    """How far training departs from the pictures as they are.

    Attributes
    ----------
    scale
        Standard deviation of the logarithm of size: error of µm per pixel, and people.
    blur_px
        Largest Gaussian blur, px of the network's input.
    mix, gain, offset
        Standard deviations of the off-diagonal of the 3×3 that mixes densities, of log gain a channel, of offset.
    rim
        Share of the cells whose outermost pixel is cut off: whoever cuts out cells draws another outline.
    """

    scale: float
    blur_px: float
    mix: float
    gain: float
    offset: float
    rim: float = 0.0


class Restainer:
    """Draws augmentations; one object a training run.

    Parameters
    ----------
    shows_nucleus
        Whether the network is shown the nucleus instead of blue: pictures then have a fifth channel, which shows it.
    soft_px
        Standard deviation of the blur inside the cell that the card asks for, px of the network's input.
    """

    def __init__(self, seed: int, shows_nucleus: bool = False, soft_px: float = 0.0) -> None:
        self._draw, self._shows_nucleus = torch.Generator().manual_seed(seed), shows_nucleus
        self._soft_px = soft_px

    def __call__(self, pictures: Tensor, strength: Strength, shrinks: Tensor | None = None) -> Tensor:
        """Whitened network input (N, 3, S, S) of (N, 4, S, S) uint8: masked RGB, mask, and the nucleus if it is shown.

        Parameters
        ----------
        shrinks
            (N,) by how much each cell is made smaller on top of what is drawn; None leaves all as they are.
        """
        moved = self._move(pictures.float().div(255), strength.scale, shrinks)
        seen = self._blur(moved[:, :4], strength.blur_px)
        # Noise comes behind the softening and stays sharp: it is drawn for all classes alike, and tells no camera.
        images = whiten(*self._restain(softened(seen, self._soft_px) if self._soft_px else seen, strength))
        return self._with_nucleus(images, moved)

    def coloured(self, pictures: Tensor, strength: Strength) -> Tensor:
        """Masked RGB on black in 0 to 1, restained but not whitened: (N, 3, S, S)."""
        moved = self._blur(self._move(pictures.float().div(255), strength.scale), strength.blur_px)
        density, mask = self._restain(moved, strength)
        return torch.pow(10.0, -density) * mask

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self._draw)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._draw)

    def _move(self, x: Tensor, scale: float, shrinks: Tensor | None = None) -> Tensor:
        n = len(x)
        turn, zoom = self._uniform(n) * 2 * torch.pi, torch.exp(self._normal(n) * scale)
        if shrinks is not None:
            zoom = zoom * shrinks
        flip = torch.where(self._uniform(n) < 0.5, -1.0, 1.0)
        shift, aspect = (self._uniform(n, 2) - 0.5) * 0.12, torch.exp(self._normal(n) * 0.05)
        first = torch.stack([zoom * aspect * turn.cos() * flip, -zoom * turn.sin(), shift[:, 0]], 1)
        second = torch.stack([zoom * turn.sin() * flip, zoom / aspect * turn.cos(), shift[:, 1]], 1)
        grid = functional.affine_grid(torch.stack([first, second], 1), list(x.shape), align_corners=False)
        return functional.grid_sample(x, grid, align_corners=False)

    def _blur(self, x: Tensor, largest: float) -> Tensor:
        if float(self._uniform(1)) >= 0.8 or largest <= 0.2:
            return x
        return blurred(x, 0.2 + float(self._uniform(1)) * (largest - 0.2))

    def _with_nucleus(self, images: Tensor, moved: Tensor) -> Tensor:
        """Network input with the nucleus in blue's place, now and then drawn wider, narrower, or missed."""
        if not self._shows_nucleus:
            return images
        share, drawn = moved[:, 4:5], self._uniform(len(moved), 1, 1, 1)
        wider, narrower = (sign * functional.max_pool2d(sign * share, 3, 1, 1) for sign in (1, -1))
        share = torch.where(drawn < _WIDER, wider, torch.where(drawn > 1 - _NARROWER, narrower, share))
        share = share * (self._uniform(len(moved), 1, 1, 1) >= _UNSEEN)
        return torch.cat([images[:, :2], blurred(share, NUCLEUS_BLUR_PX) * 2 - 1], 1)

    def _restain(self, x: Tensor, strength: Strength) -> tuple[Tensor, Tensor]:
        n, _, height, width = x.shape
        noise = self._normal(n, 3, height, width) * 0.02 * self._uniform(n, 1, 1, 1)
        density, mask = to_density(x, noise)
        mixing = torch.eye(3) + self._normal(n, 3, 3) * strength.mix
        density = torch.einsum("nij,njhw->nihw", mixing, density)
        density = density * torch.exp(self._normal(n, 3, 1, 1) * strength.gain)
        return (density + self._normal(n, 3, 1, 1) * strength.offset).clamp(0, 2.4), self._cut_rim(mask, strength.rim)

    def _cut_rim(self, mask: Tensor, share: float) -> Tensor:
        if share == 0:
            return mask
        inner = -functional.max_pool2d(-mask, 3, stride=1, padding=1)
        return torch.where(self._uniform(len(mask), 1, 1, 1) < share, inner, mask)


def blurred(x: Tensor, sigma: float) -> Tensor:
    """Pictures (N, C, S, S) under a Gaussian of `sigma` px, seven px wide."""
    line = torch.exp(-(torch.arange(-3, 4).float() ** 2) / 2 / sigma**2)
    line = line / line.sum()
    n = x.shape[1]
    return functional.conv2d(x, (line[:, None] * line[None]).expand(n, 1, 7, 7), padding=3, groups=n)


def softened(x: Tensor, sd_px: float) -> Tensor:
    """As `smearscan.crops.prepare.softened`, of masked pictures (N, 4, S, S) in 0 to 1: RGB and mask, soft at the edge.

    The outermost pixels are left out as well, as `whiten_cell` does.
    """
    soft = blurred(x, sd_px)
    inside = (x[:, 3:] > 0.5).float()
    inside = -functional.max_pool2d(-functional.pad(inside, (1, 1, 1, 1)), 3, stride=1)
    return torch.cat([soft[:, :3] / soft[:, 3:].clamp_min(0.05) * inside, inside], 1)


def to_density(x: Tensor, noise: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Optical density (N, 3, S, S) and mask (N, 1, S, S) of masked pictures in 0 to 1, the black taken out of edges."""
    mask = x[:, 3:]
    rgb = x[:, :3] / mask.clamp_min(0.05) + noise
    return -torch.log10(rgb.clamp(1 / 255, 1)), mask


def whiten(density: Tensor, mask: Tensor) -> Tensor:
    """As `smearscan.crops.whiten.whiten_cell` and the card's standardisation together, but for rounding to a byte."""
    inside = (mask > 0.9).float()
    n_px = inside.sum((2, 3), keepdim=True).clamp_min(1)
    centre = (density * inside).sum((2, 3), keepdim=True) / n_px
    variance = ((density - centre) ** 2 * inside).sum((2, 3), keepdim=True) / n_px
    spread = variance.mean(1, keepdim=True).sqrt() + LEAST_SD
    return ((density - centre) / spread).clamp(-3, 3) * inside + _OUTSIDE * (1 - inside)
