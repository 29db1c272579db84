"""The mask network as it runs: the same sums as `CellMaskNet`, arranged so that a processor core does little else.

All that does not depend on the picture is one constant map, batch norms are folded away, and the activation and the
pooling compare 16-bit patterns as integers, which order positive floating-point numbers alike and are compared four
times as fast.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from smearscan.crops.network import CLASSES, CellMaskNet, folded

#: Subtracted from the bytes: −128 to 127 are exact in bfloat16, 0 to 255 over 255 are not.
_MIDDLE = 128


class RunningMaskNet(nn.Module):
    """Windows (N, S, S, 3) uint8 RGB to the chances of cell and nucleus, (N, S, S, 2) float32. For inference only.

    S is the plan's side, or that of its middle.

    Most cells ask for no more than where the chances are above one half: `outlines` says that without making them.

    Parameters
    ----------
    network
        As trained; it is left alone.
    dtype
        bfloat16 or float32: what is multiplied.
    """

    def __init__(self, network: CellMaskNet, dtype: torch.dtype) -> None:
        super().__init__()
        network = folded(network)
        self.plan, self._dtype = network.plan, dtype
        stem = cast(nn.Conv2d, network.stem[0])
        self._stem = (stem.weight[:, :3].detach() / 255).to(dtype).contiguous(memory_format=torch.channels_last)
        self._stride, self._padding = stem.stride, stem.padding
        sides = (self.plan.side_px, self.plan.middle_px)
        self._constant = {
            side: _constant_map(network, stem, side).to(dtype).permute(0, 2, 3, 1).contiguous() for side in sides
        }
        self._down = [_convolutions(block, dtype) for block in network.down]
        self._narrow = [_of(cast(nn.Conv2d, module), dtype) for module in network.narrow]
        self._up = [_convolutions(unit, dtype) for unit in network.up]
        self._head = _of(network.head, dtype)

    @torch.inference_mode()
    def forward(self, windows: Tensor) -> Tensor:
        return self._places_out(torch.stack(self._chances(windows))).permute(0, 2, 3, 1).contiguous()

    @torch.inference_mode()
    def outlines(self, windows: Tensor) -> Tensor:
        """Where cell and nucleus are likelier than not, (N, 2, S, S) bool: exactly where `forward` says above 0.5."""
        cell, nucleus = self._chances(windows)
        # Pixels are moved about when each is a byte, not four.
        return self._places_out(torch.stack((cell > 0.5, nucleus > 0.5)))

    def _logits(self, windows: Tensor) -> Tensor:
        images = windows.permute(0, 3, 1, 2).to(self._dtype).sub_(_MIDDLE)
        x = functional.conv2d(images, self._stem, stride=self._stride, padding=self._padding)
        x.permute(0, 2, 3, 1).add_(self._constant[windows.shape[1]])
        x = _rectified(x)
        skips: list[Tensor] = []
        for depth, block in enumerate(self._down):
            x = _pooled(x) if depth else x
            for convolution in block:
                x = _convolved(x, convolution)
            skips.append(x)
        for narrow, unit, skip in zip(self._narrow, self._up, reversed(skips[:-1]), strict=True):
            x = _added_to_four(skip, functional.conv2d(x, *narrow))
            for convolution in unit:
                x = _convolved(x, convolution)
        return functional.conv2d(x, *self._head)

    def _chances(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Chance of cell and of nucleus, (N, S/fold, S/fold, fold²) float32 each: all places of every pixel."""
        maps = self._logits(windows).permute(0, 2, 3, 1).float()
        background, *others = maps.unflatten(3, (len(CLASSES), -1)).unbind(3)
        # Beyond ±60 a chance is 0 or 1 to the last digit; exponentials of 60 still add up.
        cytoplasm, nucleus = ((other - background).clamp_(-60, 60).exp_() for other in others)
        whole = cytoplasm.add_(nucleus).add_(1)
        nucleus.div_(whole)
        return 1 - whole.reciprocal_(), nucleus

    def _places_out(self, maps: Tensor) -> Tensor:
        """Two maps (2, N, S/fold, S/fold, fold²) of all places of every pixel as (N, 2, S, S)."""
        fold, side = self.plan.fold, self.plan.fold * maps.shape[2]
        rows = maps.view(2, -1, side // fold, side // fold, fold, fold)
        if fold * maps.element_size() == 4:  # pixels that lie side by side are moved as one number of four bytes
            rows = rows.view(torch.int32)
        return rows.permute(1, 0, 2, 4, 3, 5).contiguous().view(maps.dtype).view(-1, 2, side, side)


Convolution = tuple[Tensor, Tensor]


def _of(module: nn.Conv2d, dtype: torch.dtype) -> Convolution:
    weight = module.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
    return weight, cast(Tensor, module.bias).detach().to(dtype)


def _convolutions(block: nn.Module, dtype: torch.dtype) -> list[Convolution]:
    return [_of(module, dtype) for module in block.modules() if isinstance(module, nn.Conv2d)]


def _constant_map(network: CellMaskNet, stem: nn.Conv2d, side: int) -> Tensor:
    """What the first convolution gives whatever the picture: its bias, the distance from the centre, the offset.

    (1, O, side/fold, side/fold) float32. Computed with the network's own padding, so that the rims are right too.
    """
    centre = network.centre_of(side)
    offset = torch.full_like(centre, _MIDDLE / 255 - 0.5).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        return stem(torch.cat((offset, centre), dim=1))


def _convolved(x: Tensor, convolution: Convolution) -> Tensor:
    return _rectified(functional.conv2d(x, *convolution, padding=1))


def _rectified(x: Tensor) -> Tensor:
    """ReLU in place; a negative number's sign bit makes its pattern a negative integer."""
    x.view(torch.int16 if x.dtype == torch.bfloat16 else torch.int32).clamp_min_(0)
    return x


def _pooled(x: Tensor) -> Tensor:
    """Maximum over 2×2 of what `_rectified` left; channels last in and out."""
    n, channels, height, width = x.shape
    bits = x.permute(0, 2, 3, 1).view(torch.int16 if x.dtype == torch.bfloat16 else torch.int32)
    bits = bits.view(n, height // 2, 2, width // 2, 2, channels)
    rows = torch.maximum(bits[:, :, 0], bits[:, :, 1])
    return torch.maximum(rows[:, :, :, 0], rows[:, :, :, 1]).view(x.dtype).permute(0, 3, 1, 2)


def _added_to_four(skip: Tensor, x: Tensor) -> Tensor:
    """`skip`, nobody else's any more, with every pixel of `x` added to the four that it covers; channels last."""
    n, channels, height, width = x.shape
    whole = skip.permute(0, 2, 3, 1).view(n, height, 2, width, 2, channels)
    whole.add_(x.permute(0, 2, 3, 1)[:, :, None, :, None])
    return skip
