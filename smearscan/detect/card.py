"""The detector's card and its weights: read, checked against the digest, put into the network."""

from __future__ import annotations

import hashlib
import tomllib
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smearscan.errors import WeightsError
from smearscan.resources import configs_folder, weights_folder

if TYPE_CHECKING:
    import torch

_REMEDY = "install the package again; weights and card travel together"


class _WeightsCard(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class DetectorCard(BaseModel):
    """What the network was trained on and measured to do; only what is needed to run it is typed."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str
    weights: _WeightsCard


def load_card(name: str) -> DetectorCard:
    """Read `configs/cards/<name>.toml`.

    Raises
    ------
    WeightsError
        If there is none, or it is no card.
    """
    path = configs_folder() / "cards" / f"{name}.toml"
    try:
        return DetectorCard.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing", _REMEDY) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError) as error:
        raise WeightsError(f"{path} is no card: {error}", _REMEDY) from error


def load_weights(card: DetectorCard) -> dict[str, torch.Tensor]:
    """The tensors of a card's weights file, float32, after its digest was checked.

    Raises
    ------
    WeightsError
        If the file is missing or not the one the card was written for.
    """
    from safetensors.torch import load

    path = weights_folder() / card.weights.file
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing", _REMEDY) from None
    if hashlib.sha256(content).hexdigest() != card.weights.sha256:
        raise WeightsError(f"{path} is not the file its card describes", _REMEDY)
    return {name: value.float() if value.is_floating_point() else value for name, value in load(content).items()}


def load_into(network: torch.nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Fill a network; every tensor must be there and fit.

    Raises
    ------
    WeightsError
        If they are of another network.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise WeightsError(f"the weights of {name!r} are of another network: {error}", _REMEDY) from error
