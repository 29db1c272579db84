"""The network that outlines the central cell of a 29 µm window: a small U-Net on pixel-unshuffled input.

Every hyper-parameter stands in `smearscan.crops.plan`. The picture is folded 2×2 into channels first (Shi 2016), so
that all convolutions run at half resolution, and unfolded again at the end; a channel that holds the distance from the
centre tells the network which of several touching cells is meant.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from smearscan.crops.plan import MaskNetPlan

#: Order of the output channels.
CLASSES = ("background", "cytoplasm", "nucleus")


class _Block(nn.Sequential):
    """Two 3×3 convolutions, each with batch norm and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class CellMaskNet(nn.Module):
    """(N, 3, S, S) float RGB in 0..1 to (N, 3, S, S) logits of background, cytoplasm and nucleus.

    References
    ----------
    Ronneberger et al. 2015, U-Net, doi:10.1007/978-3-319-24574-4_28.
    Shi et al. 2016, sub-pixel convolution, doi:10.1109/CVPR.2016.207.
    """

    centre: Tensor

    def __init__(self, plan: MaskNetPlan | None = None) -> None:
        super().__init__()
        self.plan = plan or MaskNetPlan()
        widths = self.plan.widths
        inputs = (16, *widths[:-1])
        self.down = nn.ModuleList(_Block(n_in, n_out) for n_in, n_out in zip(inputs, widths, strict=True))
        steps = range(len(widths) - 2, -1, -1)
        self.up = nn.ModuleList(_Block(widths[i + 1] + widths[i], widths[i]) for i in steps)
        self.head = nn.Conv2d(widths[0], 4 * len(CLASSES), 1)
        axis = torch.linspace(-1, 1, self.plan.side_px)
        self.register_buffer("centre", torch.hypot(axis[None, :], axis[:, None])[None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        centre = self.centre.to(images.dtype).expand(len(images), -1, -1, -1)
        x = functional.pixel_unshuffle(torch.cat((images - 0.5, centre), dim=1), 2)
        skips: list[Tensor] = []
        for depth, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if depth else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1]), strict=True):
            x = block(torch.cat((functional.interpolate(x, scale_factor=2.0), skip), dim=1))
        return functional.pixel_shuffle(self.head(x), 2)


def folded(network: CellMaskNet) -> CellMaskNet:
    """A copy for inference whose batch norms are folded into the convolutions before them: same results, faster."""
    network = copy.deepcopy(network).eval()
    for block in [module for module in network.modules() if isinstance(module, _Block)]:
        for first in (0, 3):
            convolution, norm = block[first], block[first + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[first], block[first + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network
