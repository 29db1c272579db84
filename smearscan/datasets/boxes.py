"""Sets of boxed cells in fields: BCCD (VOC) and TXL-PBC (YOLO). A sample is a box; all of a picture stay together.

BCCD: https://github.com/Shenggan/BCCD_Dataset (MIT). TXL-PBC: Gan et al. 2024,
https://doi.org/10.48550/arXiv.2407.13214 (MIT).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image

from smearscan.datasets.files import images_below, natural_key
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError, UnreadableSlideError
from smearscan.geometry import Box

CLASSES = ("leukocyte", "red_cell", "platelet")
_VOC_NAMES = {"WBC": "leukocyte", "RBC": "red_cell", "Platelets": "platelet"}
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_Labelled = tuple[str, Box | None]
_Reader = Callable[[Path, Path], Iterator[_Labelled]]


def load_bccd(root: Path) -> SampleSet:
    """Boxes of BCCD: pictures in `JPEGImages`, labels of the same name in `Annotations`.

    Raises
    ------
    DatasetError
        If there are no labels, one is damaged, or a class has no box.
    """
    labels = {path.stem: path for path in root.rglob("*.xml")}
    return _load("bccd", root, {path: labels.get(path.stem) for path in images_below(root)}, _voc)


def load_txl(root: Path) -> SampleSet:
    """Boxes of TXL-PBC: pictures in `images`, labels of the same name in `labels`; `part` is train, val or test.

    Raises
    ------
    DatasetError
        As `load_bccd`.
    """
    labels = {path.stem: path for path in root.rglob("*.txt") if "labels" in path.parts}
    return _load("txl", root, {path: labels.get(path.stem) for path in images_below(root)}, _yolo)


def _load(name: str, root: Path, label_of: dict[Path, Path | None], read: _Reader) -> SampleSet:
    samples: list[Sample] = []
    n_bare = n_flat = 0
    for picture, label in label_of.items():
        n_bare += label is None
        part = picture.parent.name if picture.parent.name in ("train", "val", "test") else ""
        path = picture.relative_to(root).as_posix()
        for kind, box in read(label, picture) if label is not None else ():
            n_flat += box is None
            if box is not None:
                samples.append(Sample(path, kind, f"picture:{picture.stem}", part, box))
    n_boxes = Counter(sample.label for sample in samples)
    if empty := [kind for kind in CLASSES if not n_boxes[kind]]:
        raise DatasetError(
            f"{root}: no box of class {', '.join(empty)}", "give the folder that holds pictures and labels"
        )
    samples.sort(key=lambda sample: natural_key(sample.path))
    notes = ["no subjects: each picture counts as one"]
    notes += [f"{n_bare} pictures without a label file left out"] if n_bare else []
    notes += [f"{n_flat} boxes of no area left out"] if n_flat else []
    return SampleSet(name, root, CLASSES, tuple(samples), False, tuple(notes))


def _voc(label: Path, _: Path) -> Iterator[_Labelled]:
    try:
        # Labels of a published set, read as data; entities are not resolved to files by this parser.
        tree = ElementTree.parse(label)
        for item in tree.iter("object"):
            left, top, right, bottom = (int(float(item.findtext(f"bndbox/{side}", ""))) for side in _SIDES)
            name = item.findtext("name", "")
            yield _VOC_NAMES[name], _box(left, top, right - left, bottom - top)
    except (ElementTree.ParseError, OSError, ValueError, KeyError) as error:
        raise DatasetError(f"{label} is no label: {error}", "download it again") from error


def _yolo(label: Path, picture: Path) -> Iterator[_Labelled]:
    try:
        with Image.open(picture) as image:
            width, height = image.size
    except OSError as error:
        raise UnreadableSlideError(f"{picture} is no readable image ({error})", "copy it again") from error
    try:
        for line in label.read_text("utf-8").splitlines():
            kind, x, y, w, h = line.split()
            left, top = round((float(x) - float(w) / 2) * width), round((float(y) - float(h) / 2) * height)
            yield CLASSES[int(kind)], _box(left, top, round(float(w) * width), round(float(h) * height))
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        raise DatasetError(f"{label} is no label: {error}", "download it again") from error


def _box(x: int, y: int, width: int, height: int) -> Box | None:
    return Box(x, y, width, height) if width > 0 and height > 0 else None
