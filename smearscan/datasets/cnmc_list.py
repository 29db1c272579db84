"""The files of C-NMC 2019 as its publisher distributes them: names, sizes, digests. Facts, no pixels.

C-NMC 2019: Gupta and Gupta, https://doi.org/10.7937/tcia.2019.dc64i46r (CC BY 3.0). The list holds the first 128
bits of each SHA-256: nobody finds another file with the same.
"""

from __future__ import annotations

import lzma
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from types import MappingProxyType

_LIST = Path(__file__).with_name("cnmc_files.tsv.xz")
#: `UID_11_10_1_all.bmp`, `UID_H11_10_1_hem.bmp`: subject, field, cell, class. One subject is written with a small h.
_NAME = re.compile(r"^UID_([Hh]?\d+)_(\d+)_(\d+)_(all|hem)\.bmp$")
#: Digits of a digest that the list keeps.
DIGEST_DIGITS = 32
LABELS_NAME = "C-NMC_test_prelim_phase_data_labels.csv"


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file of the set: path below `C-NMC_Leukemia`, bytes, first 32 hexadecimal digits of its SHA-256."""

    path: str
    n_bytes: int
    digest: str

    @property
    def name(self) -> str:
        """Its name without folders."""
        return PurePosixPath(self.path).name


@dataclass(frozen=True, slots=True)
class CellName:
    """What a training image's name says."""

    subject: str
    label: str


def parse_name(name: str) -> CellName | None:
    """Subject (`11`, `H11`) and class of a file name; None of a name that says neither."""
    match = _NAME.match(name)
    return CellName(match[1].upper(), match[4]) if match else None


def part_of(path: str) -> str:
    """Part of the set that a file belongs to, by its folders: `train_fold_0`, `phase2`, `phase3`, or ""."""
    folders = PurePosixPath(path.casefold()).parts[:-1]
    for folder in reversed(folders):
        if re.fullmatch(r"fold_[012]", folder):
            return f"train_{folder}"
        if "prelim" in folder or folder == "phase2":
            return "phase2"
        if "final" in folder or folder == "phase3":
            return "phase3"
    return ""


@lru_cache(maxsize=1)
def listed_files() -> tuple[ListedFile, ...]:
    """Every file of the set, in the order of their paths."""
    lines = lzma.decompress(_LIST.read_bytes()).decode("ascii").splitlines()[1:]
    rows = (line.split("\t") for line in lines)
    return tuple(ListedFile(path, int(n_bytes), digest) for path, n_bytes, digest in rows)


@lru_cache(maxsize=1)
def by_key() -> Mapping[tuple[str, str], ListedFile]:
    """Files by part and name; training images by name alone (part ""), since no two folds share one."""
    return MappingProxyType({key_of(file.path): file for file in listed_files()})


def key_of(path: str) -> tuple[str, str]:
    """What a file is known by, wherever the set was unpacked to."""
    name = PurePosixPath(path).name
    return ("", name) if parse_name(name) else (part_of(path), name)


@lru_cache(maxsize=1)
def merged_subjects() -> Mapping[str, str]:
    """Each training subject → the name of all those that share a file with it, directly or through others.

    Identical files stand under 20 and 21, under 51 and 75 and 78, under H2, H4, H5 and H6, and under H10 and h3.
    """
    parent: dict[str, str] = {}

    def top(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    holders: dict[str, list[str]] = defaultdict(list)
    for file in listed_files():
        if said := parse_name(file.name):
            holders[file.digest].append(said.subject)
    for subjects in holders.values():
        for other in subjects:
            parent[top(other)] = top(subjects[0])
    groups: dict[str, list[str]] = defaultdict(list)
    for name in parent:
        groups[top(name)].append(name)
    return MappingProxyType({name: "+".join(sorted(group, key=_rank)) for group in groups.values() for name in group})


def _rank(subject: str) -> tuple[bool, int]:
    return subject.startswith("H"), int(subject.removeprefix("H"))
