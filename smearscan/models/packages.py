"""Trained packages: a card and the weights it names, read and written together.

Weights are safetensors, so that a file cannot run code; the card holds their SHA-256, so that a changed byte is seen.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Literal

from smearscan.errors import OutputError, SmearscanError, WeightsError
from smearscan.models.cards import Card, ModelCard, WeightsCard, card_names, card_text, read_any_card, read_card
from smearscan.models.registry import create_model
from smearscan.resources import configs_folder, weights_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

Dtype = Literal["float32", "float16", "bfloat16"]


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """A trained network with its card. The network is in evaluation mode, float32, channels last."""

    model: nn.Module
    card: ModelCard

    @property
    def name(self) -> str:
        """Name of the package, as a preset gives it."""
        return self.card.name


def list_packages() -> list[str]:
    """Names of the trained classifiers that are installed, sorted. Architectures are `list_models`."""
    return card_names()


def load_card(name: str) -> Card:
    """Card of any shipped weights by name, or of a path that ends in `.toml`, without loading torch.

    A classifier's is a `ModelCard`; that of a detector or mask network has its digest and whatever else it says.

    Raises
    ------
    WeightsError
        If there is no such card or it is not one.
    """
    return read_any_card(_card_path(name))


def load_package(name: str) -> Package:
    """Load a trained network.

    Parameters
    ----------
    name
        One of `list_packages`, or the path of a card (`.toml`) with its weights beside it under the same stem.

    Raises
    ------
    WeightsError
        If card or weights are absent, altered by as much as a byte, or of another network.
    """
    card = read_card(_card_path(name))
    path = weights_path(name)
    state = _read_state(path, card)
    return Package(_network(card, state, path), card)


def weights_path(name: str) -> Path:
    """Where the weights of a package are."""
    card = _card_path(name)
    return card.with_suffix(".safetensors") if name.endswith(".toml") else weights_folder() / f"{name}.safetensors"


def shipped_card(name: str) -> Path:
    """Where the card of shipped weights is; a name is never taken for a path.

    Raises
    ------
    WeightsError
        If there are no weights of that name.
    """
    path = configs_folder() / "cards" / f"{name}.toml"
    if Path(name).name != name or not path.is_file():
        raise WeightsError(f"there is no package {name!r}", f"choose one of {', '.join(list_shipped())}")
    return path


def list_shipped() -> list[str]:
    """Names of all weights that have a card, sorted: classifiers, and what finds and outlines cells."""
    return sorted(card.stem for card in (configs_folder() / "cards").glob("*.toml"))


def _card_path(name: str) -> Path:
    return Path(name) if name.endswith(".toml") else shipped_card(name)


def _read_state(path: Path, card: ModelCard) -> dict[str, torch.Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(f"the weights {path} are absent", "install the package again or train it") from None
    except OSError as error:
        raise WeightsError(f"the weights {path} cannot be read: {error}", "check the file's permissions") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise WeightsError(
            f"the weights {path} are not those of the card: sha256 {digest}, the card says {card.sha256}",
            "install the package again; if you trained it yourself, save card and weights together",
        )
    try:
        state = load(data)
    except SafetensorError as error:
        raise WeightsError(f"the weights {path} are no safetensors file: {error}", "install again") from error
    return {key: tensor.to(torch.float32) if tensor.is_floating_point() else tensor for key, tensor in state.items()}


def _network(card: ModelCard, state: dict[str, torch.Tensor], path: Path) -> nn.Module:
    import torch

    try:
        # On the meta device: no random numbers are drawn and nothing is allocated twice.
        with torch.device("meta"):
            model = create_model(card.network, len(card.classes), **card.options)
        model.load_state_dict(state, assign=True)
    except SmearscanError as error:
        raise WeightsError(f"the card of {card.name!r}: {error.what}", "mend the card's network and options") from error
    except RuntimeError as error:
        first = shorten(str(error).splitlines()[min(1, str(error).count("\n"))], 160, placeholder=" …")
        raise WeightsError(
            f"the weights {path} are of another network than the card's {card.network!r}: {first}",
            "give the card the network and options it was trained with",
        ) from error
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def save_package(
    model: nn.Module, card: ModelCard, *, dtype: Dtype = "float16", folder: Path | None = None
) -> tuple[Path, ModelCard]:
    """Write weights and card.

    Matrices and kernels are stored as `dtype`; vectors (norms, biases) and buffers keep float32: they are few, and
    their range may not fit 16 bits. Measure a package after loading it: 16 bits round.

    Parameters
    ----------
    model
        The trained network, built from the card's network and options.
    card
        Its card; `weights` is filled in here.
    dtype
        What the kernels are stored as.
    folder
        Where both files go, named after the card; None installs them with the package.

    Returns
    -------
    tuple
        Path of the card, and the card with its digest.

    Raises
    ------
    WeightsError
        If a weight is not finite, or does not fit the dtype.
    OutputError
        If the files cannot be written.
    """
    data = _encode(model, card, dtype)
    n_parameters = sum(p.numel() for p in model.parameters())
    weights = WeightsCard(sha256=hashlib.sha256(data).hexdigest(), dtype=dtype, n_parameters=n_parameters)
    card = card.model_copy(update={"weights": weights})
    weights_to = (folder or weights_folder()) / f"{card.name}.safetensors"
    card_to = (folder or configs_folder() / "cards") / f"{card.name}.toml"
    _write(weights_to, data)
    _write(card_to, card_text(card).encode())
    return card_to, card


def save_card(path: Path, card: ModelCard) -> ModelCard:
    """Write the card of a package anew, such as with what was measured of it; its weights stay. The card as read back.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    _write(path, card_text(card).encode())
    return read_card(path)


def _encode(model: nn.Module, card: ModelCard, dtype: Dtype) -> bytes:
    import torch
    from safetensors.torch import save

    kind: torch.dtype = getattr(torch, dtype)
    state = {}
    for key, value in model.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        if tensor.is_floating_point():
            tensor = tensor.to(kind if tensor.ndim >= 2 else torch.float32)
            if not torch.isfinite(tensor).all():
                raise WeightsError(
                    f"package {card.name!r}: {key} has values that are not finite as {dtype}",
                    "train without overflow, or save as float32",
                )
        state[key] = tensor.clone()  # shared storage cannot be written
    # One entry only: the writer's order of several is not fixed, and the digest must be.
    return save(state, metadata={"network": card.network})


def _write(path: Path, data: bytes) -> None:
    """Write beside and rename: a half-written file never carries the name."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            file.write(data)
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)  # noqa: PTH105
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error}", "check the folder's permissions and free space"
        ) from error
