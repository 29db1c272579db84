"""VGG16, plain and with ECA after each of its five blocks.

Ullah et al. 2021 (https://doi.org/10.3390/app112210662), tables 3 and figure 4; VGG16 by Simonyan and Zisserman
(https://arxiv.org/abs/1409.1556). The printed table lists two convolutions in every block; the network they name and
count, VGG16, has 2-2-3-3-3, and that is what stands here.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from smearscan.models.layers.eca import EcaKernel, eca

#: Channels and convolutions of each block at width 1.
_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
#: Side of the map the dense layers see: 224 px after five halvings.
_FC_SIDE = 7


class Vgg16(nn.Module):
    """VGG16 with an optional ECA layer after each block. See `smearscan.models.specs` for the options."""

    def __init__(
        self,
        n_classes: int,
        *,
        width: float,
        head: str,
        hidden: int,
        dropout: float,
        batch_norm: bool,
        eca_kernel: EcaKernel | None,
    ) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        in_channels = 3
        for base, convs in _BLOCKS:
            channels = max(8, round(base * width))
            blocks.append(_block(in_channels, channels, convs, batch_norm=batch_norm, eca_kernel=eca_kernel))
            in_channels = channels
        self.blocks = nn.Sequential(*blocks)
        self.head = _head(head, in_channels, hidden, dropout, n_classes)
        for module in self.blocks.modules():
            # On the meta device there is nothing to draw, and trying to loads torch's compiler.
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, n_classes) of images (N, 3, S, S), S at least 32."""
        logits: Tensor = self.head(self.blocks(x))
        return logits


def _block(
    in_channels: int, channels: int, convs: int, *, batch_norm: bool, eca_kernel: EcaKernel | None
) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convs):
        layers.append(nn.Conv2d(in_channels if i == 0 else channels, channels, 3, padding=1, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.ReLU())
    layers.append(nn.MaxPool2d(2))
    if eca_kernel is not None:
        layers.append(eca(channels, eca_kernel))
    return nn.Sequential(*layers)


def _head(head: str, channels: int, hidden: int, dropout: float, n_classes: int) -> nn.Sequential:
    if head == "gap":
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, n_classes))
    if head != "fc":
        raise ValueError(f"head is 'fc' or 'gap', not {head!r}")
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(_FC_SIDE),
        nn.Flatten(),
        nn.Linear(channels * _FC_SIDE**2, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, n_classes),
    )


def build(
    *,
    n_classes: int,
    pretrained: bool | str | Path,
    width: float,
    head: str,
    hidden: int,
    dropout: float,
    batch_norm: bool,
    eca_kernel: EcaKernel | None = None,
) -> Vgg16:
    """Build `vgg16` or, with an `eca_kernel`, `vgg16_eca`."""
    model = Vgg16(
        n_classes,
        width=width,
        head=head,
        hidden=hidden,
        dropout=dropout,
        batch_norm=batch_norm,
        eca_kernel=eca_kernel,
    )
    if pretrained:
        _copy_convolutions(model, pretrained, standard=width == 1.0 and not batch_norm)
    return model


def _copy_convolutions(model: Vgg16, pretrained: bool | str | Path, *, standard: bool) -> None:
    from smearscan.models.networks.backbones import timm_backbone

    if not standard:
        raise ValueError("ImageNet weights fit width 1 without batch norm only")
    source = [m for m in timm_backbone("vgg16", pretrained).modules() if isinstance(m, nn.Conv2d)]
    target = [m for m in model.blocks.modules() if isinstance(m, nn.Conv2d)]
    for mine, theirs in zip(target, source, strict=False):  # timm's dense layers are convolutions too, and last
        mine.load_state_dict(theirs.state_dict())
