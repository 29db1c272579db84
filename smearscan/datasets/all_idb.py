"""ALL-IDB1 (fields) and ALL-IDB2 (single cells): the class is the last digit of a file's name.

Labati, Piuri and Scotti 2011, https://doi.org/10.1109/ICIP.2011.6115881. The images come from the authors on request.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from smearscan.datasets.files import images_below, natural_key
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError

CLASSES = ("healthy", "all")
#: Images of the complete sets.
N_IMAGES: Mapping[str, Mapping[str, int]] = MappingProxyType(
    {"all_idb1": {"healthy": 59, "all": 49}, "all_idb2": {"healthy": 130, "all": 130}}
)
#: `Im001_1.jpg`: 1 with lymphoblasts, 0 of a healthy person.
_NAME = re.compile(r"^im(\d+)_([01])$", re.IGNORECASE)
#: Neighbouring numbers are pictures of one smear.
_BLOCK = 10


def load_all_idb(name: str, root: Path) -> SampleSet:
    """Samples of `all_idb1` or `all_idb2`.

    Raises
    ------
    DatasetError
        If no image is named as the set's are, or a class has none.
    """
    samples, n_strange = [], 0
    for path in images_below(root):
        match = _NAME.match(path.stem)
        if match is None:
            n_strange += 1
            continue
        label = CLASSES[int(match[2])]
        subject = f"{label}:{int(match[1]) // _BLOCK * _BLOCK:04d}"
        samples.append(Sample(path.relative_to(root).as_posix(), label, subject))
    n_images = Counter(sample.label for sample in samples)
    if empty := [label for label in CLASSES if not n_images[label]]:
        raise DatasetError(f"{root}: no image of class {', '.join(empty)}", "give the folder of Im001_1.jpg and so on")
    samples.sort(key=lambda sample: natural_key(sample.path))
    notes = [f"no subjects: blocks of {_BLOCK} file numbers stand in"]
    short = [f"{k} {n_images[k]} of {n}" for k, n in N_IMAGES[name].items() if n_images[k] != n]
    notes += [f"not the complete set: {', '.join(short)}"] if short else []
    notes += [f"{n_strange} images left out: not named as the set's are"] if n_strange else []
    return SampleSet(name, root, CLASSES, tuple(samples), False, tuple(notes))
