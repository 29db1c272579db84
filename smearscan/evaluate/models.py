"""What `smearscan evaluate` may be given as MODEL, and how each makes probabilities of pictures."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smearscan.datasets.files import natural_key
from smearscan.datasets.split_files import SPLIT_NAME
from smearscan.errors import SettingsError, WeightsError
from smearscan.models import Package, infer, list_packages, load_package
from smearscan.models.cards import ModelCard
from smearscan.models.registry import create_model

CHECKPOINTS = (".pt", ".pth", ".ckpt")


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A trained network under the name that outputs give it.

    `digest` is of its weights; `split_file` says what it was trained on, None where nothing does. `as_run` is the
    package as `smearscan classify` runs it, where it does: the same but for rounding, and rounding is measured too.
    """

    name: str
    package: Package
    digest: str
    split_file: Path | None = None
    as_run: Package | None = None

    @property
    def card(self) -> ModelCard:
        """Its card."""
        return self.package.card

    @property
    def takes(self) -> str:
        """`cell` or `image`."""
        return self.card.input.takes

    def probabilities(self, inputs: np.ndarray, device: str = "auto") -> np.ndarray:
        """(N, C) float32 of inputs (N, S, S, 3) uint8."""
        return infer(self.as_run or self.package, inputs, device=device)


def load_models(given: str) -> list[Model]:
    """The models that one MODEL stands for: mostly one; several where a folder holds one package a fold.

    Parameters
    ----------
    given
        Name of a shipped package, path of a card, folder with a package or with folders of packages, or a
        checkpoint: `torch.save` of a table with `card` (TOML text) and `model` (state).

    Raises
    ------
    WeightsError, SettingsError
        If there is no such model, or it is damaged or of another network.
    """
    path = Path(given)
    if given in list_packages():
        return [_shipped(given)]
    if path.suffix in CHECKPOINTS:
        return [_of_checkpoint(path)]
    if path.suffix == ".toml":
        return [_of_package(path.stem, given)]
    if path.is_dir():
        cards = _cards(path)
        if not cards:
            raise WeightsError(f"{path} holds no package", "give a folder with a card (.toml) and its .safetensors")
        names = [card.stem if len(cards) == 1 else _tail(card, path) for card in cards]
        return [_of_package(name, str(card)) for name, card in zip(names, cards, strict=True)]
    known = ", ".join(list_packages())
    raise SettingsError(f"there is no model {given!r}", f"choose one of {known}, or give the folder of a package")


def check_device(device: str) -> None:
    """Refuse a device that is not here, before anything is read.

    Raises
    ------
    SettingsError
        With those that are.
    """
    import torch

    here = ["auto", "cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if device not in here and not (device == "cuda" and torch.cuda.is_available()):
        raise SettingsError(f"there is no device {device!r} here", f"choose one of {', '.join(here)}")


def _tail(card: Path, root: Path) -> str:
    folder = card.parent.relative_to(root).as_posix()
    return card.stem if folder == "." else f"{folder}/{card.stem}".replace("/", "_")


def _cards(folder: Path) -> list[Path]:
    """Cards with weights beside them, in the folder or, if it has none, in those below it."""
    for pattern in ("*.toml", "*/*.toml", "*/*/*.toml"):
        found = [card for card in folder.glob(pattern) if card.with_suffix(".safetensors").is_file()]
        if found:
            return sorted(found, key=lambda card: natural_key(card.as_posix()))
    return []


def _shipped(name: str) -> Model:
    from smearscan.models.fused import for_inference

    model = _of_package(name, name)
    return replace(model, as_run=for_inference(model.package)) if model.takes == "cell" else model


def _of_package(name: str, given: str) -> Model:
    package = load_package(given)
    return Model(name, package, package.card.sha256, _split_beside(Path(given)) if given.endswith(".toml") else None)


def _split_beside(path: Path) -> Path | None:
    split = path.with_name(SPLIT_NAME)
    return split if split.is_file() else None


def _of_checkpoint(path: Path) -> Model:
    import pickle

    import torch

    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise WeightsError(f"there is no checkpoint {path}", "check the path") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise WeightsError(
            f"the checkpoint {path} cannot be read: {error}", "train again, or give a package"
        ) from error
    if not isinstance(held, dict) or not isinstance(held.get("card"), str) or not isinstance(held.get("model"), dict):
        raise WeightsError(f"the checkpoint {path} names no card and model", "give the package that training exported")
    card = _card_of(path, held["card"])
    return Model(path.stem, Package(_network(path, card, held["model"]), card), digest, _split_beside(path))


def _card_of(path: Path, text: str) -> ModelCard:
    try:
        return ModelCard.model_validate(tomllib.loads(text))
    except ValueError as error:  # pydantic's and tomllib's errors are ValueErrors
        raise WeightsError(f"the card in {path} is none: {error}", "train again, or give a package") from error


def _network(path: Path, card: ModelCard, state: dict[str, Any]) -> Any:
    import torch

    model = create_model(card.network, len(card.classes), **card.options)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path} holds weights of another network than {card.network!r}", "train again") from error
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def is_named_in(card: ModelCard, set_name: str) -> bool:
    """Whether the card says that the network was trained on this set."""
    shown = set_name.replace("_", " ").replace("cnmc", "c-nmc").casefold()
    return any(shown in line.casefold() for line in card.data)
