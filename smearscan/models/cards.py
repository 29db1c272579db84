"""A model card: what a trained package is, what it must be fed, what was measured of it and what it is not for.

A card is TOML under `configs/cards/`; an unknown key is an error, so that a misspelt one is never ignored.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smearscan.error_counts import ValidationGroup
from smearscan.errors import WeightsError
from smearscan.models.specs import NETWORKS
from smearscan.resources import configs_folder

Probability = Annotated[float, Field(ge=0, le=1)]
Triple = tuple[float, float, float]


#: Cells are cut out of slides this wide, µm; a card may ask for their middle, not for what lies outside.
WIDEST_CELL_UM = 29.0
#: A crop that is smaller by rounding to whole pixels alone is taken.
_ROUNDING = 1.03


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputCard(_Part):
    """The crop a network was trained on; the cutter makes a live crop match it."""

    window_um: float = Field(gt=0, description="side of the square window, µm")
    um_per_px: float = Field(gt=0, description="resolution of the training crops, µm/px: sharper ones are low-passed")
    side_px: int = Field(ge=16, description="side of the network's input, px")
    background: Literal["black", "kept"] = Field(description="everything but the cell black, or left as it is")
    coarsest_um_per_px: float = Field(0.6, gt=0, description="a slide of coarser pixels is refused, µm/px")
    stain: str = Field("none", description="normaliser and reference the training crops went through")
    third: Literal["blue", "nucleus"] = Field(
        "blue", description="what the third channel shows: blue, or in its place the share that is the cell's nucleus"
    )
    softened_um: float = Field(
        0.0, ge=0, description="standard deviation of a blur inside the cell, µm: all cameras look equally sharp then"
    )
    takes: Literal["cell", "image"] = Field(
        "cell", description="a cell cut out at that window, or a whole image resized to `side_px` whatever its scale"
    )
    mean: Triple = Field((0.0, 0.0, 0.0), description="subtracted from the channels in 0–1")
    sd: Triple = Field((1.0, 1.0, 1.0), description="divides what is left")

    @model_validator(mode="after")
    def _can_be_made(self) -> InputCard:
        if min(self.sd) <= 0:
            raise ValueError("sd must be positive")
        if self.third == "nucleus" and self.takes != "cell":
            raise ValueError("the nucleus is shown of cells, not of whole images")
        if self.softened_um and (self.takes != "cell" or self.background != "black"):
            raise ValueError("a cell is softened on black")
        if self.takes == "cell" and self.window_um > WIDEST_CELL_UM * _ROUNDING:
            raise ValueError(f"a cell is cut {WIDEST_CELL_UM:.0f} µm wide at most, not {self.window_um:g}")
        return self


class ValidationCard(_Part):
    """The groups a classifier was measured on, none of them trained on."""

    groups: tuple[ValidationGroup, ...] = ()
    note: str = ""
    of: str = Field("", description="digest of packages and settings that were measured; others have other errors")


class WeightsCard(_Part):
    """The weights file: its digest, what its tensors are stored as, how many parameters."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    n_parameters: int | None = Field(None, ge=1)


class Card(_Part):
    """What every shipped weights file has, whichever stage reads it."""

    kind: str
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    weights: WeightsCard | None = None

    @property
    def sha256(self) -> str:
        """Digest of the weights, 64 hexadecimal digits.

        Raises
        ------
        WeightsError
            If the card names no weights yet.
        """
        if self.weights is None:
            raise WeightsError(f"the card of {self.name!r} names no weights", "write it with save_package")
        return self.weights.sha256


class PartWeightsCard(WeightsCard):
    """The digest, and whatever else a stage keeps about its file."""

    model_config = ConfigDict(frozen=True, extra="allow")


class PartCard(Card):
    """The card of a detector or a mask network, which its own stage defines: only the digest is read here."""

    model_config = ConfigDict(frozen=True, extra="allow")
    kind: str = "part"
    weights: PartWeightsCard | None = None


class ModelCard(Card):
    """Everything about one trained classifier. `weights` is filled in by `save_package`."""

    kind: Literal["classifier"] = "classifier"
    summary: str
    network: str
    options: dict[str, Any] = {}
    classes: tuple[str, ...] = Field(min_length=2)
    input: InputCard
    temperature: float = Field(1.0, gt=0, description="divides the logits; fitted on validation")
    frequencies: dict[str, float] = Field(
        {}, description="how often a class is met where cells are judged, by how often it was drawn in training; else 1"
    )
    thresholds: dict[str, Probability] = {}
    validation: ValidationCard = ValidationCard()
    training: dict[str, Any] = Field({}, description="recipe, seed, epochs, how the epoch was chosen")
    data: tuple[str, ...] = Field((), description="what it was trained on, with licence")
    figures: dict[str, float | int | str] = Field({}, description="what was measured, and on how many images")
    not_for: tuple[str, ...] = Field((), description="what it must not be used for")
    licence: str = "AGPL-3.0-or-later"

    @model_validator(mode="after")
    def _network_is_known(self) -> ModelCard:
        spec = NETWORKS.get(self.network)
        if spec is None:
            raise ValueError(f"there is no network {self.network!r}")
        unknown = sorted(set(self.options) - set(spec.options))
        if unknown:
            raise ValueError(f"network {self.network!r} has no option {', '.join(unknown)}")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("a class is named twice")
        if strange := sorted(set(self.frequencies) - set(self.classes)):
            raise ValueError(f"frequencies are given of {', '.join(strange)}, which is no class of this network")
        if not all(0 < frequency < math.inf for frequency in self.frequencies.values()):
            raise ValueError("frequencies are positive")
        return self


C = TypeVar("C", bound=Card)


def read_card(path: Path) -> ModelCard:
    """Read a classifier's card.

    Raises
    ------
    WeightsError
        If the file is absent, not TOML, or no classifier's card.
    """
    return _validated(ModelCard, _table(path), path)


def read_any_card(path: Path) -> Card:
    """Read the card of a classifier in full, of another stage's network as far as all cards agree.

    Raises
    ------
    WeightsError
        If the file is absent, not TOML, or no card.
    """
    try:
        stat = path.stat()
    except OSError:
        return _any_card(path, 0, 0)  # which says what is wrong with it
    return _any_card(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _any_card(path: Path, mtime_ns: int, n_bytes: int) -> Card:
    """Frozen, and read dozens of times in a run: parsed once as long as the file stays as it is."""
    table = _table(path)
    return _validated(ModelCard if table.get("kind") == "classifier" else PartCard, table, path)


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml"))) or "none here"
        raise WeightsError(f"there is no model card {path}", f"choose one of those beside it: {known}") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WeightsError(f"the model card {path} cannot be read: {error}", "install the package again") from error


def _validated(kind: type[C], table: Mapping[str, Any], path: Path) -> C:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "card"
        raise WeightsError(f"the model card {path}: {key}: {first['msg']}", "mend that key of the card") from error


def card_names(folder: Path | None = None) -> list[str]:
    """Names of the classifiers' cards in a folder, sorted; cards of detectors and masks are of another kind."""
    folder = configs_folder() / "cards" if folder is None else folder
    return sorted(p.stem for p in folder.glob("*.toml") if _table(p).get("kind") == "classifier")


def card_text(card: ModelCard) -> str:
    """The card as TOML, the same text for the same card."""
    table = card.model_dump(mode="json", exclude_none=True)
    return "\n".join(_table_lines(table, ())).strip() + "\n"


def _table_lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Lines of one table: its plain values first, then its sub-tables, as TOML wants it."""
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not _is_table(value)]
    for key, value in table.items():
        if not _is_table(value):
            continue
        name = ".".join(_key(part) for part in (*path, key))
        if isinstance(value, Mapping):
            if value:
                lines += ["", f"[{name}]", *_table_lines(value, (*path, key))]
        else:
            for row in value:
                lines += ["", f"[[{name}]]", *_table_lines(row, (*path, key))]
    return lines


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if bare else _value(key)


def _value(value: Any) -> str:
    """One TOML value. JSON's strings, numbers and lists are TOML's, but for DEL and for non-finite numbers."""
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
