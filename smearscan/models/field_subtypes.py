"""Sajon's four classes of whole fields, as supporting evidence: what fields around the suspect cells look like.

Sajon et al. 2024 (https://doi.org/10.1007/978-981-99-8937-9_24). The network knows the fields of one laboratory, where
class goes with stain and scale: it supports what was counted, and never changes a number or a flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from smearscan.models.cards import ModelCard
from smearscan.models.infer import infer
from smearscan.models.packages import Package, load_card, load_package
from smearscan.models.whole_image import whole_image

PACKAGE = "subtype"
#: Fields per forward pass: a report has a dozen at most, and those that fill a batch up cost as much as real ones.
_BATCH_SIZE = 4
#: The folders' names in words; the classes themselves keep the folders' names.
TITLES = {"Benign": "benign (hematogones)", "Early": "early pre-B", "Pre": "pre-B", "Pro": "pro-B"}


@dataclass(frozen=True, slots=True)
class FieldSubtypes:
    """What fields look like.

    Attributes
    ----------
    shares
        Mean probability of each class over the fields, by the folders' names; sums to 1.
    n_fields
        Fields that were looked at.
    n_agreeing
        Fields whose likeliest class is the likeliest of all.
    """

    shares: dict[str, float]
    n_fields: int
    n_agreeing: int

    @property
    def likeliest(self) -> str:
        """Class with the largest share."""
        return max(self.shares, key=self.shares.__getitem__)


def field_subtypes(fields: Sequence[np.ndarray]) -> FieldSubtypes:
    """Judge whole fields.

    Parameters
    ----------
    fields
        At least one (H, W, 3) uint8 RGB, each about `subtype_card().input.window_um` wide (106 µm), of any size in px.

    Raises
    ------
    ValueError
        If there is no field.
    WeightsError
        If the package is absent or altered.
    """
    if not fields:
        raise ValueError("no field to judge")
    package = _package()
    pictures = np.stack([whole_image(field, package.card.input) for field in fields])
    probabilities = infer(package, pictures, batch_size=_BATCH_SIZE)
    mean = probabilities.astype(np.float64).mean(0)
    n_agreeing = int((probabilities.argmax(1) == mean.argmax()).sum())
    shares = dict(zip(package.card.classes, (float(share) for share in mean), strict=True))
    return FieldSubtypes(shares, len(fields), n_agreeing)


@cache
def _package() -> Package:
    return load_package(PACKAGE)


@cache
def subtype_card() -> ModelCard:
    """The card of the package, without loading torch."""
    card = load_card(PACKAGE)
    if not isinstance(card, ModelCard):
        raise TypeError(f"{PACKAGE} is no classifier")
    return card
