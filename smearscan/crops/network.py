"""The network that outlines the central cell of a 29 µm window: a small U-Net at a quarter of the resolution.

Every hyper-parameter stands in `smearscan.crops.plan`. The first convolution steps over four pixels at a time, and the
last maps hold a channel for each of the 4×4 places of a pixel of theirs, which are unfolded (Shi 2016): outlines are as
fine as the picture, and no layer in between pays for it. A channel that holds the distance from the centre tells the
network which of several touching cells is meant. On the way up maps are added, not laid side by side (Lin 2017): half
the sums.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from smearscan.crops.plan import MaskNetPlan

#: Order of the output channels.
CLASSES = ("background", "cytoplasm", "nucleus")


class _Unit(nn.Sequential):
    """A convolution with batch norm and ReLU."""

    def __init__(self, n_in: int, n_out: int, side: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(n_in, n_out, side, stride, (side - stride + 1) // 2, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class CellMaskNet(nn.Module):
    """(N, 3, S, S) float RGB in 0..1 to (N, 3, S, S) logits of background, cytoplasm and nucleus.

    S is the plan's side, or that of the middle.

    References
    ----------
    Ronneberger et al. 2015, U-Net, doi:10.1007/978-3-319-24574-4_28.
    Shi et al. 2016, sub-pixel convolution, doi:10.1109/CVPR.2016.207.
    Lin et al. 2017, adding on the way up, doi:10.1109/CVPR.2017.106.
    """

    centre: Tensor

    def __init__(self, plan: MaskNetPlan | None = None) -> None:
        super().__init__()
        self.plan = plan or MaskNetPlan()
        widths, fold = self.plan.widths, self.plan.fold
        self.stem = _Unit(4, widths[0], 2 * fold, fold)
        self.down = nn.ModuleList([nn.Sequential(_Unit(widths[0], widths[0]))])
        for n_in, n_out in pairwise(widths):
            self.down.append(nn.Sequential(_Unit(n_in, n_out), _Unit(n_out, n_out)))
        steps = range(len(widths) - 2, -1, -1)
        self.narrow = nn.ModuleList(nn.Conv2d(widths[i + 1], widths[i], 1) for i in steps)
        self.up = nn.ModuleList(_Unit(widths[i], widths[i]) for i in steps)
        self.head = nn.Conv2d(widths[0], fold**2 * len(CLASSES), 1)
        axis = torch.linspace(-1, 1, self.plan.side_px)
        self.register_buffer("centre", torch.hypot(axis[None, :], axis[:, None])[None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        centre = self.centre_of(images.shape[-1]).to(images.dtype).expand(len(images), -1, -1, -1)
        x = self.stem(torch.cat((images - 0.5, centre), dim=1))
        skips: list[Tensor] = []
        for depth, block in enumerate(self.down):
            x = block(functional.max_pool2d(x, 2) if depth else x)
            skips.append(x)
        for narrow, unit, skip in zip(self.narrow, self.up, reversed(skips[:-1]), strict=True):
            x = unit(functional.interpolate(narrow(x), scale_factor=2.0) + skip)
        return functional.pixel_shuffle(self.head(x), self.plan.fold)

    def centre_of(self, side_px: int) -> Tensor:
        """Distances from the centre over the middle `side_px` of the window, (1, 1, side, side)."""
        inside = self.plan.middle(side_px)
        return self.centre[..., inside, inside]


def folded(network: CellMaskNet) -> CellMaskNet:
    """A copy for inference whose batch norms are folded into the convolutions before them: same results, faster."""
    network = copy.deepcopy(network).eval()
    for unit in [module for module in network.modules() if isinstance(module, _Unit)]:
        convolution, norm = unit[0], unit[1]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            unit[0], unit[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return network
