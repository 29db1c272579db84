"""Pictures of a set made what networks are shown: read once, outlined once, however many networks ask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from smearscan.crops.readymade import ReadyMade, read_ready_made
from smearscan.cut_cells import network_pictures, picture_key
from smearscan.datasets.files import read_sample
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import SlideError
from smearscan.models.cards import InputCard
from smearscan.models.whole_image import whole_image

Made = np.ndarray | SlideError


def make_inputs(
    cards: Iterable[InputCard], sample_set: SampleSet, samples: Sequence[Sample]
) -> Mapping[str, list[Made]]:
    """Network inputs of samples.

    Parameters
    ----------
    cards
        What networks ask for; those that ask for the same share it.

    Returns
    -------
    Mapping
        `picture_key` of each card → for each sample (S, S, 3) uint8, or why there is none.
    """
    read = [_read(sample_set, sample) for sample in samples]
    asked = {picture_key(card): card for card in cards}
    of_images = {key: card for key, card in asked.items() if card.takes == "image"}
    made: dict[str, list[Made]] = {
        key: [whole_image(rgb, card) if isinstance(rgb, np.ndarray) else rgb for rgb in read]
        for key, card in of_images.items()
    }
    of_cells = [card for key, card in asked.items() if key not in of_images]
    return {**made, **_of_cells(of_cells, read, samples)} if of_cells else made


def _read(sample_set: SampleSet, sample: Sample) -> Made:
    try:
        return read_sample(sample_set, sample)
    except SlideError as error:
        return error


def _of_cells(cards: Sequence[InputCard], read: Sequence[Made], samples: Sequence[Sample]) -> dict[str, list[Made]]:
    """Ready-made crops as `smearscan classify` takes them: scaled, masked, restained as each card says."""
    cells = [_as_cell(rgb, sample.path) for rgb, sample in zip(read, samples, strict=True)]
    good = [cell for cell in cells if isinstance(cell, ReadyMade)]
    crops, masks = [cell.crop for cell in good], [cell.mask for cell in good]
    pictures = network_pictures(cards, crops, masks, name="the set", refuses_coarse=False)
    out: dict[str, list[Made]] = {}
    for key, stack in pictures.items():
        made = iter(stack)
        out[key] = [next(made) if isinstance(cell, ReadyMade) else cell for cell in cells]
    return out


def _as_cell(rgb: Made, name: str) -> ReadyMade | SlideError:
    from smearscan.crops import shipped_segmenter

    if isinstance(rgb, SlideError):
        return rgb
    try:
        return read_ready_made(rgb, shipped_segmenter(), name=name)
    except SlideError as error:
        return error
