"""The mask network as it runs: the same sums as `CellMaskNet`, arranged so that a processor core does little else.

A third of the plain network's time goes to copying pixels about. Here the unfolding of the picture is part of the first
convolution (3×3 over 2×2 unfolded pixels is 6×6 in steps of two), all that does not depend on the picture is one
constant map, and the activation and the pooling compare 16-bit patterns as integers, which order positive
floating-point numbers alike and are compared four times as fast.
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
        first = cast(nn.Conv2d, cast(nn.Sequential, network.down[0])[0])
        self._stem = _unfolded(first.weight[:, :12] / 255).to(dtype).contiguous(memory_format=torch.channels_last)
        self._constant = _constant_map(network, first).to(dtype).permute(0, 2, 3, 1).contiguous()
        self._down = [_convolutions(cast(nn.Sequential, block), dtype) for block in network.down]
        self._up = [_convolutions(cast(nn.Sequential, block), dtype) for block in network.up]
        self._head = _of(network.head, dtype)

    @torch.inference_mode()
    def forward(self, windows: Tensor) -> Tensor:
        return _unfold(self._logits(windows))

    @torch.inference_mode()
    def outlines(self, windows: Tensor) -> Tensor:
        """Where cell and nucleus are likelier than not, (N, 2, S, S) bool: exactly where `forward` says above 0.5."""
        return _unfold_likely(self._logits(windows))

    def _logits(self, windows: Tensor) -> Tensor:
        images = windows.permute(0, 3, 1, 2).to(self._dtype).sub_(_MIDDLE)
        x = functional.conv2d(images, self._stem, stride=2, padding=2)
        x.permute(0, 2, 3, 1).add_(self._constant)
        x = _rectified(x)
        x = _convolved(x, self._down[0][1])
        skips = [x]
        for block in self._down[1:]:
            x = _pooled(x)
            for convolution in block:
                x = _convolved(x, convolution)
            skips.append(x)
        for block, skip in zip(self._up, reversed(skips[:-1]), strict=True):
            x = _doubled_beside(x, skip)
            for convolution in block:
                x = _convolved(x, convolution)
        return functional.conv2d(x, *self._head)


Convolution = tuple[Tensor, Tensor]


def _of(module: nn.Conv2d, dtype: torch.dtype) -> Convolution:
    weight = module.weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
    return weight, cast(Tensor, module.bias).detach().to(dtype)


def _convolutions(block: nn.Sequential, dtype: torch.dtype) -> list[Convolution]:
    found = [module for module in block if isinstance(module, nn.Conv2d)]
    return [_of(module, dtype) for module in found]


def _unfolded(weight: Tensor) -> Tensor:
    """A 3×3 kernel over pictures folded 2×2 into channels (O, 4 C, 3, 3) as a 6×6 one over the picture (O, C, 6, 6)."""
    n_out, n_in = weight.shape[:2]
    places = weight.detach().reshape(n_out, n_in // 4, 2, 2, 3, 3)
    return places.permute(0, 1, 4, 2, 5, 3).reshape(n_out, n_in // 4, 6, 6)


def _constant_map(network: CellMaskNet, first: nn.Conv2d) -> Tensor:
    """What the first convolution gives whatever the picture: its bias, the distance from the centre, the offset.

    (1, O, S/2, S/2) float32. Computed with the network's own padding, so that the rims are right too.
    """
    offset = torch.full_like(network.centre, _MIDDLE / 255 - 0.5).expand(-1, 3, -1, -1)
    with torch.inference_mode():
        return first(functional.pixel_unshuffle(torch.cat((offset, network.centre), dim=1), 2))


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


def _doubled_beside(x: Tensor, skip: Tensor) -> Tensor:
    """Every pixel of `x` four times, with the channels of `skip` behind its own; written once, channels last."""
    n, channels, height, width = x.shape
    doubled = x.permute(0, 2, 3, 1)[:, :, None, :, None].expand(n, height, 2, width, 2, channels)
    beside = skip.permute(0, 2, 3, 1).view(n, height, 2, width, 2, -1)
    return torch.cat((doubled, beside), dim=5).view(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _unfold(logits: Tensor) -> Tensor:
    """Chances (N, S, S, 2) of logits (N, 4 × classes, S/2, S/2): a softmax over three, and the places folded out."""
    background, nucleus = _shares(logits)
    return _places_out(torch.stack((1 - background, nucleus)), logits).permute(0, 2, 3, 1).contiguous()


def _unfold_likely(logits: Tensor) -> Tensor:
    """Where `_unfold` is above one half, (N, 2, S, S) bool: pixels are moved about when each is a byte, not eight."""
    background, nucleus = _shares(logits)
    return _places_out(torch.stack((1 - background > 0.5, nucleus > 0.5)), logits)


def _shares(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Chance of background and of nucleus, (4 × N × S/2 × S/2,) float32 each, plane after plane."""
    planes = logits.permute(1, 0, 2, 3).contiguous().view(len(CLASSES), -1).float()
    # Beyond ±60 a chance is 0 or 1 to the last digit; exponentials of 60 still add up.
    against = (planes[1:] - planes[:1]).clamp_(-60, 60).exp_()
    background = (against[0] + against[1]).add_(1).reciprocal_()
    return background, against[1].mul_(background)


def _places_out(planes: Tensor, logits: Tensor) -> Tensor:
    """Two maps (2, 4 × N × S/2 × S/2) of the four places of every pixel as (N, 2, S, S)."""
    n, _, height, width = logits.shape
    places = planes.view(2, 2, 2, n, height, width).permute(3, 0, 4, 1, 5, 2)
    return places.reshape(n, 2, 2 * height, 2 * width)
