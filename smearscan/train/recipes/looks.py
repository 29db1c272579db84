"""Random changes of training images: a recipe's own, and the seven rivals that Liu et al. 2022 compare.

torchvision's transforms where it has one; GridMask stands here. All draw from torch's generator; the caller seeds it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2

from smearscan.train.recipes.recipe import AugmentPart, Rival

#: Share of images that an erasing rival changes, and side of CutOut's square: DeVries and Taylor 2017 erase half.
_ERASED, _CUTOUT_AREA = 0.5, 0.25


def image_changes(augment: AugmentPart, rival: Rival) -> v2.Transform:
    """Changes of one image (3, S, S) uint8, which stays one."""
    steps: list[nn.Module] = []
    if augment.flip:
        steps += [v2.RandomHorizontalFlip(), v2.RandomVerticalFlip()]
    if augment.shift or augment.scale or augment.shear_deg or augment.rotate_deg:
        steps.append(
            v2.RandomAffine(
                augment.rotate_deg,
                (augment.shift, augment.shift),
                (1 - augment.scale, 1 + augment.scale),
                augment.shear_deg or None,
                InterpolationMode.BILINEAR,
            )
        )
    if augment.grey:
        steps.append(v2.RandomGrayscale(augment.grey))
    if augment.brightness or augment.contrast or augment.saturation or augment.hue:
        steps.append(v2.ColorJitter(augment.brightness, augment.contrast, augment.saturation, augment.hue))
    if rival == "randaugment":
        steps.append(v2.RandAugment())
    if rival == "augmix":
        steps.append(v2.AugMix())
    return v2.Compose(steps) if steps else v2.Identity()


def standardised_changes(rival: Rival) -> v2.Transform:
    """Changes of one standardised image (3, S, S) float: rivals that take something out; what they take becomes 0."""
    if rival == "random_erasing":
        return v2.RandomErasing(_ERASED, value=0)
    if rival == "cutout":
        return v2.RandomErasing(1.0, scale=(_CUTOUT_AREA, _CUTOUT_AREA), ratio=(1, 1), value=0)
    if rival == "gridmask":
        return GridMask()
    return v2.Identity()


def batch_changes(rival: Rival, n_classes: int) -> v2.Transform | None:
    """Changes of a batch and its labels: rivals that mix two images; None where there is nothing to mix."""
    if rival == "mixup":
        return v2.MixUp(alpha=1.0, num_classes=n_classes)
    if rival == "cutmix":
        return v2.CutMix(alpha=1.0, num_classes=n_classes)
    return None


class GridMask(v2.Transform):
    """Deletes a turned grid of squares (Chen et al. 2020, https://doi.org/10.48550/arXiv.2001.04086).

    Parameters
    ----------
    share
        Share of images that are changed.
    keep
        Side of what stays between squares, share of the grid's unit; the paper's ratio r.
    units
        Smallest and largest unit of the grid, shares of the image's side; the paper's d.
    """

    def __init__(self, share: float = 0.7, keep: float = 0.6, units: tuple[float, float] = (0.2, 0.6)) -> None:
        super().__init__()
        self.share, self.keep, self.units = share, keep, units

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw unit, offset and turn of the grid."""
        low, high = self.units
        drawn = torch.rand(5).tolist()
        return {"hit": drawn[0] < self.share, "unit": low + (high - low) * drawn[1], "at": drawn[2:4], "turn": drawn[4]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Set the squares of one image to 0."""
        return inpt * grid(inpt.shape[-1], self.keep, params).to(inpt.dtype) if params["hit"] else inpt


def grid(side: int, keep: float, params: dict[str, Any]) -> Tensor:
    """What GridMask keeps: (side, side) bool."""
    place = (torch.arange(side) + 0.5) / side - 0.5
    angle = torch.tensor(params["turn"] * torch.pi / 2)
    x = place[None] * angle.cos() - place[:, None] * angle.sin()
    y = place[None] * angle.sin() + place[:, None] * angle.cos()
    deleted = [((axis / params["unit"] + at) % 1) >= keep for axis, at in zip((x, y), params["at"], strict=True)]
    return ~(deleted[0] & deleted[1])
