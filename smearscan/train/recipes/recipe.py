"""What a recipe says. Each field states its unit; where a paper prints no value the file beside it says "ours"."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from smearscan.models.cards import WIDEST_CELL_UM
from smearscan.models.specs import NETWORKS

Probability = Field(0.0, ge=0, le=1)
Rival = Literal["none", "random_erasing", "randaugment", "mixup", "cutmix", "augmix", "cutout", "gridmask"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitPart(_Part):
    """Who is trained on and who is not."""

    protocol: str = Field(
        "",
        description="as `smearscan.datasets` lists them; '' what is honest on the set; copies-leaky: copies are made "
        "first and parted 8:1:1 afterwards, as Jiang et al. did, to show how far that inflates",
    )
    fold: int | None = Field(None, ge=1, description="train this one of the protocol's folds only; None all of them")
    seed: int = Field(0, ge=0)
    submit_parts: tuple[str, ...] = Field((), description="parts without labels: predicted, never scored")


class InputPart(_Part):
    """What the network is shown."""

    side_px: int = Field(224, ge=32, description="images are resized to this square")
    takes: Literal["cell", "image"] = Field("cell", description="a cut cell, or an image as a whole")
    window_um: float = Field(29.0, gt=0, description="what the side of a cell's image shows, µm")
    background: Literal["black", "kept"] = "black"
    normalise: Literal["unit", "trainset", "imagenet"] = Field(
        "unit", description="0 to 1; by channel mean and sd of the training images; by ImageNet's"
    )


class BalancePart(_Part):
    """How classes of unlike size are made alike. Copies are made of the training images only, except by paper-leaky."""

    kind: Literal["none", "copies", "ders"] = "none"
    copies: dict[str, int] = Field({}, description="images shown of each in an epoch, by class")
    draw: int = Field(20_000, ge=1, description="of ders: images drawn of each class, at most as many as there are")


class AugmentPart(_Part):
    """Random changes of each training image, before a rival's."""

    flip: bool = Field(False, description="both flips, each in half of the images")
    rotate_deg: float = Field(0.0, ge=0, le=180, description="largest turn to either side, degrees")
    shift: float = Field(0.0, ge=0, le=0.5, description="largest shift, share of the side")
    scale: float = Field(0.0, ge=0, lt=1, description="largest change of size, share")
    shear_deg: float = Field(0.0, ge=0, le=45, description="largest shear, degrees")
    grey: float = Probability
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, le=1)
    saturation: float = Field(0.0, ge=0, le=1)
    hue: float = Field(0.0, ge=0, le=0.5)


class OptimiserPart(_Part):
    """Steps and their size."""

    name: Literal["sgd", "adam", "radam", "ranger"] = "adam"
    rate: float = Field(1e-4, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(0.0, ge=0)


class SchedulePart(_Part):
    """How the rate falls."""

    kind: Literal["constant", "plateau", "step", "polynomial"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0, description="linear, from nothing")
    every_epochs: float = Field(2.0, gt=0, description="of step")
    factor: float = Field(0.95, gt=0, lt=1, description="of step and of plateau")
    patience: int = Field(5, ge=1, description="of plateau: epochs without a lower validation loss")
    power: float = Field(0.9, gt=0, description="of polynomial")


class LossPart(_Part):
    """What is made small."""

    name: Literal["cross_entropy", "symmetric"] = "cross_entropy"
    forward: float = Field(1.0, ge=0, description="weight of the cross entropy of the symmetric loss")
    reverse: float = Field(1.0, ge=0, description="weight of its reverse")
    log_zero: float = Field(-4.0, lt=0, description="stands for log 0 in the reverse, as Wang et al. 2019")


class FixResPart(_Part):
    """Fine-tuning of the last layers at the resolution of the test (Touvron et al. 2019)."""

    side_px: int = Field(384, ge=32)
    epochs: int = Field(5, ge=1)
    rate: float = Field(1e-3, gt=0)
    layers: tuple[str, ...] = Field(("classifier", "fc", "head"), description="names that trained layers begin with")


class Recipe(_Part):
    """One row of a paper's table: everything but the images."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    summary: str
    paper: str = Field(description="who, when, DOI")
    row: str = Field(description="the row of the paper's table this trains")
    printed: str = Field("", description="the figure the paper prints for it; never copied into a result")
    network: str = "resnet50"
    options: dict[str, Any] = {}
    pretrained: bool | str = Field(False, description="ImageNet weights: by timm's hub, or from this file")
    set: str = Field("folder", description="name of a labelled set, as `smearscan data` lists them")
    split: SplitPart = SplitPart()
    input: InputPart = InputPart()
    balance: BalancePart = BalancePart()
    augment: AugmentPart = AugmentPart()
    rival: Rival = "none"
    optimiser: OptimiserPart = OptimiserPart()
    schedule: SchedulePart = SchedulePart()
    loss: LossPart = LossPart()
    batch: int = Field(32, ge=2)
    epochs: int = Field(30, ge=1)
    patience: int | None = Field(None, ge=1, description="epochs without better validation before it stops; None never")
    keep: Literal["accuracy", "loss", "last"] = Field("accuracy", description="which epoch's weights are kept")
    seed: int = Field(0, ge=0)
    fixres: FixResPart | None = None
    members: tuple[str, ...] = Field((), description="recipes that train the parts of a joint network on their own")

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        spec = NETWORKS.get(self.network)
        if spec is None:
            raise ValueError(f"there is no network {self.network!r}; `smearscan models list` shows all")
        if unknown := sorted(set(self.options) - set(spec.options)):
            raise ValueError(f"network {self.network!r} has no option {', '.join(unknown)}")
        if self.input.side_px < spec.min_px:
            raise ValueError(f"network {self.network!r} takes images of at least {spec.min_px} px")
        if self.input.takes == "cell" and self.input.window_um > WIDEST_CELL_UM:
            raise ValueError(
                f"cells of slides are cut {WIDEST_CELL_UM:.0f} µm wide, input.window_um is {self.input.window_um:g}: "
                "crop the images to that, or show them whole with input.takes = 'image'"
            )
        if self.members and NETWORKS[self.network].family != "vit_cnn":
            raise ValueError(f"network {self.network!r} has no parts that members could train")
        return self
