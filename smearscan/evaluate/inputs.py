"""Pictures of a set made what networks are shown: outlined once, however many networks ask.

Pictures of single cells become what `smearscan classify` makes of the same files, so that what is measured here is what
is run there: those without a scale share one found from the whole set, whichever of them are judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from smearscan.common_scale import CommonScale, find_common_scales
from smearscan.crops import shipped_segmenter
from smearscan.crops.readymade import ReadyMade
from smearscan.cut_cells import network_pictures, picture_key
from smearscan.datasets.files import read_sample
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import SlideError
from smearscan.models.cards import InputCard
from smearscan.models.whole_image import whole_image
from smearscan.ready_made import Picture, make_pictures, read_picture

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
    asked = {picture_key(card): card for card in cards}
    of_images = {key: card for key, card in asked.items() if card.takes == "image"}
    read = [_read(sample_set, sample) for sample in samples] if of_images else []
    made: dict[str, list[Made]] = {
        key: [whole_image(rgb, card) if isinstance(rgb, np.ndarray) else rgb for rgb in read]
        for key, card in of_images.items()
    }
    of_cells = [card for key, card in asked.items() if key not in of_images]
    return {**made, **_of_cells(of_cells, sample_set, samples)} if of_cells else made


def _read(sample_set: SampleSet, sample: Sample) -> Made:
    try:
        return read_sample(sample_set, sample)
    except SlideError as error:
        return error


def _of_cells(cards: Sequence[InputCard], sample_set: SampleSet, samples: Sequence[Sample]) -> dict[str, list[Made]]:
    common = _common_scales(sample_set)
    cells = make_pictures(_as_picture(sample_set, sample, common) for sample in samples)
    good = [cell for cell in cells if isinstance(cell, ReadyMade)]
    crops, masks = [cell.crop for cell in good], [cell.mask for cell in good]
    pictures = network_pictures(cards, crops, masks, name="the set", refuses_coarse=False)
    out: dict[str, list[Made]] = {}
    for key, stack in pictures.items():
        made = iter(stack)
        out[key] = [next(made) if isinstance(cell, ReadyMade) else cell for cell in cells]
    return out


@lru_cache(maxsize=2)
def _common_scales(sample_set: SampleSet) -> Mapping[Path, CommonScale]:
    """Of all files that are pictures of one cell, by red cells as wide as the settings have them unless told otherwise.

    A box in a picture is scaled by the red cells in it, or by its own cell.
    """
    paths = [sample_set.file(sample) for sample in sample_set.samples if sample.box is None]
    return find_common_scales(paths, shipped_segmenter())


def _as_picture(sample_set: SampleSet, sample: Sample, common: Mapping[Path, CommonScale]) -> Picture | SlideError:
    if sample.box is None:
        return read_picture(sample_set.file(sample), common)
    try:
        return Picture(read_sample(sample_set, sample), sample.path)
    except SlideError as error:
        return error
