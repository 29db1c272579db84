"""Sets whose classes are folders: Taleqani, PBC, Munich AML, and any folder of class folders."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

from smearscan.classes import blasts_last
from smearscan.datasets.files import SUFFIXES, check_folder, images_below, natural_key
from smearscan.datasets.layouts import Layout, plain_name
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError

#: `Pro/WBC-Malignant-Pro-012` → 12; `Sap_013 (4)` → 4.
_LAST_NUMBER = re.compile(r"^(.*?)[\s_\-]*\(?(\d+)\)?$")
#: Numbers that span this many times as many as there are files are no file numbers.
_SPARSE = 4


def load_class_folders(layout: Layout, root: Path) -> SampleSet:
    """Samples of a folder of class folders.

    A class folder whose images all lie one folder deeper has subjects: the names of those folders. Otherwise blocks
    of `layout.block` neighbouring file numbers stand in for them.

    Raises
    ------
    DatasetError
        If no class folders are found, they are found twice, one is unknown, or a class has no image.
    """
    base, folders = _find(layout, root)
    images = {folder: images_below(folder) for folder in folders}
    classes = layout.classes or blasts_last([folder.name for folder in folders])
    class_of = {folder: _class_of(layout, folder) or folder.name for folder in folders}
    n_images = Counter(dict.fromkeys(classes, 0))
    for folder, paths in images.items():
        n_images[class_of[folder]] += len(paths)
    if empty := [name for name in classes if n_images[name] == 0]:
        raise DatasetError(f"{base}: no image of class {', '.join(empty)}", "add its folder of images, or leave it out")
    has_subjects = all(len(path.relative_to(base).parts) == 3 for paths in images.values() for path in paths)
    samples = [
        Sample(path.relative_to(base).as_posix(), class_of[folder], subject)
        for folder, paths in images.items()
        for path, subject in zip(paths, _subjects(paths, class_of[folder], layout, has_subjects), strict=True)
    ]
    samples.sort(key=lambda sample: natural_key(sample.path))
    notes: tuple[str, ...] = ()
    if not has_subjects:
        notes = (f"no subjects: blocks of {layout.block} file numbers stand in",)
    notes += _incomplete(layout, n_images) + _strangers(base, folders)
    return SampleSet(layout.name, base, classes, tuple(samples), has_subjects, notes)


def _strangers(base: Path, folders: list[Path]) -> tuple[str, ...]:
    others = [folder.name for folder in _sub_folders(base) if folder not in folders]
    return (f"left out, no class of this set: {', '.join(others)}",) if others else ()


def _incomplete(layout: Layout, n_images: Counter[str]) -> tuple[str, ...]:
    short = [
        f"{name} {n_images[name]} of {whole}" for name, whole in layout.n_images.items() if n_images[name] != whole
    ]
    return (f"not the complete set: {', '.join(short)}",) if short else ()


def _subjects(paths: list[Path], label: str, layout: Layout, has_subjects: bool) -> list[str]:
    if has_subjects:
        return [path.parent.name for path in paths]
    numbered = file_numbers(paths)
    places, block = _places(numbered, layout.is_numbered), layout.block
    return [
        f"{label}:{prefix}{place // block * block:04d}" for (prefix, _), place in zip(numbered, places, strict=True)
    ]


def places_of(paths: list[Path], is_numbered: bool = False) -> list[int]:
    """Place of each file in the line of its class: file number or rank; beginnings of names one after the other.

    `is_numbered` takes the numbers as they are, whatever holes they have.
    """
    numbered = file_numbers(paths)
    places = _places(numbered, is_numbered)
    start, offset = {}, 0
    for prefix in sorted({prefix for prefix, _ in numbered}, key=natural_key):
        start[prefix] = offset
        offset += max(place for place, (p, _) in zip(places, numbered, strict=True) if p == prefix) + 1
    return [start[prefix] + place for place, (prefix, _) in zip(places, numbered, strict=True)]


def _places(numbered: list[tuple[str, int]], is_numbered: bool) -> list[int]:
    """The file numbers, or their ranks where they are an analyser's running numbers with holes of thousands."""
    if is_numbered:
        return [number for _, number in numbered]
    groups: dict[str, list[int]] = defaultdict(list)
    for prefix, number in numbered:
        groups[prefix].append(number)
    sparse = {name for name, numbers in groups.items() if max(numbers) - min(numbers) > _SPARSE * len(numbers)}
    ranks = {name: {number: rank for rank, number in enumerate(sorted(set(groups[name])))} for name in sparse}
    return [ranks[prefix][number] if prefix in sparse else number for prefix, number in numbered]


def file_numbers(paths: list[Path]) -> list[tuple[str, int]]:
    """What a file's name says of its place in line: what stands before its number, and the number.

    The commonest beginning of a folder's names is left out; a name without number counts by its place in the list.
    """
    found = [_LAST_NUMBER.match(path.stem) for path in paths]
    beginnings = Counter(match[1] for match in found if match)
    common = max(beginnings, key=lambda name: (beginnings[name], name)) if beginnings else ""
    return [
        ("" if match[1] == common else f"{match[1]}:", int(match[2])) if match else ("#", place)
        for place, match in enumerate(found)
    ]


def _class_of(layout: Layout, folder: Path) -> str | None:
    return layout.folders.get(plain_name(folder.name)) if layout.folders else folder.name


def _find(layout: Layout, root: Path) -> tuple[Path, list[Path]]:
    """The folder that the class folders lie in, at most two below `root`, and the class folders."""
    check_folder(root)
    candidates = [root, *_sub_folders(root), *(deep for sub in _sub_folders(root) for deep in _sub_folders(sub))]
    fitting = [(base, found) for base in candidates if (found := _class_folders(layout, base))]
    # What lies inside a fitting folder is part of it.
    bases = {base for base, _ in fitting}
    outer = [(base, found) for base, found in fitting if bases.isdisjoint(base.parents)]
    if len(outer) > 1:
        names = ", ".join(str(base.relative_to(root)) for base, _ in outer)
        raise DatasetError(f"{root} holds several sets of class folders: {names}", "give the path of one of them")
    if not outer:
        what = f"the folders {', '.join(layout.classes)}" if layout.classes else "folders of images, one a class"
        raise DatasetError(f"{root}: {what} are not here", "give the folder that the class folders lie in")
    return outer[0]


def _class_folders(layout: Layout, base: Path) -> list[Path]:
    subs = _sub_folders(base)
    if layout.folders:
        known = [sub for sub in subs if _class_of(layout, sub)]
        return known if len({_class_of(layout, sub) for sub in known}) >= 2 else []
    return subs if any(map(_holds_images, subs)) or _are_folders_of_subjects(subs) else []


def _are_folders_of_subjects(subs: list[Path]) -> bool:
    """Whether these hold folders of images under names that no other of them has: persons, not classes again."""
    inner = [[deep.name for deep in _sub_folders(sub) if _holds_images(deep)] for sub in subs]
    names = [name for group in inner for name in group]
    return len(subs) >= 2 and all(inner) and len(set(names)) == len(names)


def _holds_images(folder: Path) -> bool:
    return any(path.suffix.lower() in SUFFIXES and path.is_file() for path in folder.iterdir())


def _sub_folders(folder: Path) -> list[Path]:
    subs = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__MACOSX")))
    return sorted(subs, key=lambda path: natural_key(path.name))
