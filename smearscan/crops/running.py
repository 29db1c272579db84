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
            x = torch.cat((functional.interpolate(x, scale_factor=2.0), skip), dim=1)
            for convolution in block:
                x = _convolved(x, convolution)
        return _unfold(functional.conv2d(x, *self._head))


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


def _unfold(logits: Tensor) -> Tensor:
    """Chances (N, S, S, 2) of logits (N, 4 × classes, S/2, S/2): a softmax over three, and the places folded out."""
    n, _, height, width = logits.shape
    planes = logits.to(torch.float32, memory_format=torch.contiguous_format).view(n, len(CLASSES), 4, height, width)
    # Beyond ±60 a chance is 0 or 1 to the last digit; exponentials of 60 still add up.
    against = (planes[:, 1:] - planes[:, :1]).clamp_(-60, 60).exp_()
    share = (against.sum(1) + 1).reciprocal_()
    both = torch.stack((1 - share, against[:, 1] * share), dim=1)
    places = both.view(n, 2, 2, 2, height, width).permute(0, 4, 2, 5, 3, 1)
    return places.reshape(n, 2 * height, 2 * width, 2)
