"""Cells cut from a slide and made ready for the networks: all that judging them still asks for.

Between cutting, which is bound to a slide, and judging, which is best done for many slides together, a cell is its
measures and the small pictures that the cards ask for; the large picture it was cut from stays behind.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from smearscan.crops.cut import WINDOW_UM
from smearscan.crops.plan import MaskNetPlan
from smearscan.crops.prepare import CardInput, nucleus_picture, prepare_input
from smearscan.crops.whiten import whiten_cell
from smearscan.errors import WeightsError
from smearscan.models import InputCard, ModelCard, load_card
from smearscan.records import CellMask, Crop, Detection
from smearscan.settings import ClassifySettings
from smearscan.stain import Normaliser


@dataclass(frozen=True, slots=True, eq=False)
class CutCells:
    """Cells of one image, in one order throughout; picklable.

    Attributes
    ----------
    field_name
        Image of the slide; empty for a scan or a lone field.
    detections
        Where the cells lie.
    measures
        What `measure_cell` gave of each, µm.
    areas_um2
        Area of each whole cell, µm²; 0 where none was outlined.
    focus
        Sharpness of each, 0 to 1.
    pictures
        For every `picture_key` that the preset's cards ask for, (N, S, S, 3) uint8: RGB, or red, green, nucleus.
    seconds
        Per stage so far.
    """

    field_name: str
    detections: tuple[Detection, ...]
    measures: tuple[dict[str, float], ...]
    areas_um2: tuple[float, ...]
    focus: tuple[float, ...]
    pictures: dict[str, np.ndarray]
    seconds: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.detections)


def picture_key(asked: InputCard) -> str:
    """Sixteen hexadecimal digits, the same for cards that ask for the same picture on any machine.

    Mean and deviation are left out: they are applied to the picture when a network sees it.
    """
    table = asked.model_dump(exclude={"mean", "sd"})
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=4)
def asked_inputs(settings: ClassifySettings) -> tuple[InputCard, ...]:
    """What the cards of a preset's packages ask for, each picture once; read without loading a network.

    Raises
    ------
    WeightsError
        If a card is absent or no classifier's.
    """
    cards = [load_card(name) for name in (*settings.cell_type, *settings.blast)]
    for card in cards:
        if not isinstance(card, ModelCard):
            raise WeightsError(f"{card.name!r} is no classifier", "name another package in the preset")
    return distinct_inputs([card for card in cards if isinstance(card, ModelCard)])


def distinct_inputs(cards: Sequence[ModelCard]) -> tuple[InputCard, ...]:
    """The inputs of cards, of those that ask for the same picture the first."""
    found: dict[str, InputCard] = {}
    for card in cards:
        found.setdefault(picture_key(card.input), card.input)
    return tuple(found.values())


def crop_side_px(asked: Sequence[InputCard]) -> int:
    """Side of the crops that the networks need, px of 29 µm: the mask network's, or more where a card asks for it.

    The classifiers were trained on such crops; the 450 px of a crop for the eye would be averaged down again.
    """
    return max(MaskNetPlan().side_px, *(round(WINDOW_UM / card.um_per_px) for card in asked))


def network_pictures(
    asked: Sequence[InputCard],
    crops: Sequence[Crop],
    masks: Sequence[CellMask],
    normaliser: Normaliser | None = None,
    name: str = "the slide",
    refuses_coarse: bool = True,
) -> dict[str, np.ndarray]:
    """Every picture that is asked for, of every crop: (N, S, S, 3) uint8 under its `picture_key`.

    The channels are red, green and blue; in blue's place stands the share that is nucleus where a card asks for it.

    Parameters
    ----------
    name
        The slide or file, for the error.
    refuses_coarse
        False makes pictures that are coarser than a card allows too; the caller tells.

    Raises
    ------
    UnsupportedImageError
        If the slide is too coarse for a card.
    """
    wanted = [(picture_key(card), card, _card_input(card, refuses_coarse)) for card in asked]
    pictures = {key: np.empty((len(crops), card.side_px, card.side_px, 3), np.uint8) for key, card, _ in wanted}
    windows = {window for *_, window in wanted}
    for i, (crop, mask) in enumerate(zip(crops, masks, strict=True)):
        # Cards that differ in their stain alone begin with one picture.
        plain = {window: prepare_input(crop, mask, window, name) for window in windows}
        for key, card, window in wanted:
            pictures[key][i] = _stained_as(card, plain[window], normaliser)
            if card.third == "nucleus":
                pictures[key][i, ..., 2] = nucleus_picture(crop, mask, window)
    return pictures


def joined(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The pictures of several sets of cells behind one another, key by key."""
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _card_input(card: InputCard, refuses_coarse: bool) -> CardInput:
    asked = CardInput.from_table(card.model_dump())
    return asked if refuses_coarse else replace(asked, coarsest_um_per_px=math.inf)


def _stained_as(card: InputCard, image: np.ndarray, normaliser: Normaliser | None) -> np.ndarray:
    if card.stain == "slide" and normaliser is not None:
        return normaliser.apply(image)
    return whiten_cell(image) if card.stain == "cell" else image
