"""Splits by protocol. All but the leaky ones keep a subject, and what shows the same, on one side.

The papers' own protocols that part images of one subject exist under `paper-leaky`, to show how far they inflate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from smearscan.datasets.blocks import SIDES, TALEQANI_TEST, sides_by_blocks
from smearscan.datasets.folds import deal
from smearscan.datasets.groups import group_ids
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError, SettingsError

LEAKY_NOTE = "LEAKY: images of one subject stand on both sides, figures are inflated"
#: Table 1 of Ullah et al. 2021: subjects and images of folds 1 to 7, for (hem, all).
ULLAH_SUBJECTS = ((3, 8), (4, 7), (4, 4), (3, 7), (3, 8), (3, 7), (6, 6))
ULLAH_IMAGES = ((562, 1119), (473, 1100), (538, 1200), (541, 1218), (524, 1203), (538, 1209), (213, 223))
_VALIDATION_SHARE = 0.2

Alike = Iterable[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Split:
    """Who trains, chooses and tests. Every labelled sample stands on one side, or in `left_out` with gaps.

    `name` is the fold's; `is_leaky` marks splits whose figures must not be believed.
    """

    protocol: str
    name: str
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    left_out: tuple[Sample, ...] = ()
    is_leaky: bool = False
    note: str = ""


def list_protocols() -> list[str]:
    """Names of the protocols."""
    return list(_PROTOCOLS)


def default_protocol(sample_set: SampleSet) -> str:
    """What is honest on this set: `ullah-7` for C-NMC, `subjects-5` with subjects, else `blocks`."""
    if sample_set.name == "cnmc":
        return "ullah-7"
    return "subjects-5" if sample_set.has_subjects else "blocks"


def make_splits(sample_set: SampleSet, protocol: str, *, seed: int = 0, alike: Alike = ()) -> tuple[Split, ...]:
    """The splits of a protocol, the same for the same set and seed.

    Parameters
    ----------
    sample_set
        From `load_set`. Samples without label are on no side but the test's of `phase3`.
    protocol
        One of `list_protocols`.
    alike
        Groups of paths that show the same, from `find_duplicates`: kept on one side.

    Raises
    ------
    SettingsError
        If there is no such protocol.
    DatasetError
        If the set does not have what the protocol needs.
    """
    if protocol not in _PROTOCOLS:
        raise SettingsError(f"there is no protocol {protocol!r}", f"choose one of {', '.join(_PROTOCOLS)}")
    splits = _PROTOCOLS[protocol](sample_set, seed, tuple(alike))
    for split in splits:
        for side in ("train", "validation", "test"):
            if protocol != "all" and not getattr(split, side):
                what = "validate" if side == "validation" else side
                raise DatasetError(
                    f"{sample_set.root}: {protocol}, {split.name}: nothing to {what} on", "give more images"
                )
    return tuple(replace(split, protocol=protocol) for split in splits)


def split_validation(
    samples: Sequence[Sample],
    classes: Sequence[str],
    share: float = _VALIDATION_SHARE,
    alike: Alike = (),
    seed: int = 0,
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Training and validation samples, parted by whole groups, each class as near to `share` as they allow."""
    folds = _dealt(samples, classes, np.array([[1 - share], [share]]), alike, seed)
    return _taken(samples, folds == 0), _taken(samples, folds == 1)


def _dealt(
    samples: Sequence[Sample],
    classes: Sequence[str],
    targets: np.ndarray,
    alike: Alike,
    seed: int,
    wanted: np.ndarray | None = None,
) -> np.ndarray:
    """Fold of each sample, whole groups together."""
    groups = group_ids(samples, alike)
    column = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((int(groups.max(initial=-1)) + 1, len(classes)))
    held: list[set[tuple[str, int]]] = [set() for _ in counts]
    for sample, group in zip(samples, groups.tolist(), strict=True):
        counts[group, column[sample.label]] += 1
        held[group] |= {(name, column[sample.label]) for name in sample.subject.split("+")}
    subjects = np.zeros_like(counts)
    for group, pairs in enumerate(held):
        for _, c in pairs:
            subjects[group, c] += 1
    targets = np.broadcast_to(targets, (len(targets), len(classes)))
    return deal(counts, targets, subjects, wanted, seed)[groups]


def _taken(samples: Sequence[Sample], keep: np.ndarray) -> tuple[Sample, ...]:
    return tuple(sample for sample, is_in in zip(samples, keep.tolist(), strict=True) if is_in)


def _labelled(sample_set: SampleSet, first_phase: bool = False) -> tuple[Sample, ...]:
    parts = first_phase and any(sample.part.startswith("train") for sample in sample_set.samples)
    return tuple(s for s in sample_set.samples if s.label and (not parts or s.part.startswith("train")))


def _subject_folds(k: int) -> Callable[[SampleSet, int, tuple[Sequence[str], ...]], list[Split]]:
    def make(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
        samples = _labelled(sample_set)
        folds = _dealt(samples, sample_set.classes, np.ones((k, 1)), alike, seed)
        return [_fold(sample_set, samples, folds == i, f"fold {i + 1}", alike, seed) for i in range(k)]

    return make


def _fold(
    sample_set: SampleSet, samples: Sequence[Sample], in_test: np.ndarray, name: str, alike: Alike, seed: int
) -> Split:
    rest = _taken(samples, ~in_test)
    if not rest or not in_test.any():
        raise DatasetError(f"{sample_set.root}: {name} stays empty: too few subjects", "give more, or fewer folds")
    train, validation = split_validation(rest, sample_set.classes, alike=alike, seed=seed)
    note = "" if sample_set.has_subjects else "blocks stand in for subjects; neighbouring blocks may share one"
    return Split("", name, train, validation, _taken(samples, in_test), note=note)


def _ullah(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
    """Each of folds 1 to 6 trains one model, a fifth of it chooses the epoch, fold 7 tests."""
    if sample_set.classes != ("hem", "all"):
        raise DatasetError(f"ullah-7 is a protocol of C-NMC, not of {sample_set.name}", "use subjects-5 or blocks")
    samples = _labelled(sample_set, first_phase=True)
    folds = _dealt(samples, sample_set.classes, np.array(ULLAH_IMAGES), alike, seed, np.array(ULLAH_SUBJECTS))
    test = _taken(samples, folds == 6)
    out = []
    for i in range(6):
        train, validation = split_validation(_taken(samples, folds == i), sample_set.classes, alike=alike, seed=seed)
        others = _taken(samples, (folds != i) & (folds != 6))
        out.append(Split("", f"fold {i + 1}", train, validation, test, others))
    return out


def _phases(test_part: str) -> Callable[[SampleSet, int, tuple[Sequence[str], ...]], list[Split]]:
    """Trained on the phases before, tested on this one."""

    def make(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
        before = ("train", "phase2") if test_part == "phase3" else ("train",)
        rest = tuple(s for s in sample_set.samples if s.label and s.part.startswith(before))
        test = tuple(s for s in sample_set.samples if s.part == test_part and (s.label or test_part == "phase3"))
        if not rest or not test:
            raise DatasetError(
                f"{sample_set.root}: {test_part} or what stands before it is not here", "unpack all phases"
            )
        # A copy of a test image, or its subject, does not train.
        groups = group_ids(rest + test, alike)
        in_test = set(groups[len(rest) :].tolist())
        free = np.array([group not in in_test for group in groups[: len(rest)].tolist()])
        train, validation = split_validation(_taken(rest, free), sample_set.classes, alike=alike, seed=seed)
        return [Split("", test_part, train, validation, test, _taken(rest, ~free))]

    return make


def _blocks(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
    if sample_set.has_subjects:
        raise DatasetError(f"{sample_set.name} has subjects: blocks would part them", "use subjects-5")
    samples = _labelled(sample_set)
    known = TALEQANI_TEST if sample_set.name == "taleqani" else None
    sides = _without_twins(samples, sides_by_blocks(samples, known), alike)
    train, validation, test, left_out = (
        tuple(s for s, at in zip(samples, sides, strict=True) if at == side) for side in SIDES
    )
    note = "blocks of file numbers stand in for subjects"
    return [Split("", "blocks", train, validation, test, left_out, note=note)]


def _without_twins(samples: Sequence[Sample], sides: list[str], alike: Alike) -> list[str]:
    """What shows the same as a test image does not train or choose; nor does one of validation train."""
    side_of = {sample.path: side for sample, side in zip(samples, sides, strict=True)}
    rank = {"test": 0, "validation": 1, "train": 2, "left_out": 3}
    for paths in alike:
        held = {side_of[path] for path in paths if path in side_of}
        keep = min(held - {"left_out"}, key=rank.__getitem__, default="left_out")
        for path in paths:
            if path in side_of and side_of[path] != keep:
                side_of[path] = "left_out"
    return [side_of[sample.path] for sample in samples]


def _leaky(ratios: tuple[float, float, float]) -> Callable[[SampleSet, int, tuple[Sequence[str], ...]], list[Split]]:
    """Images drawn at random within each class, whoever they are of."""

    def make(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
        samples, rng = _labelled(sample_set, first_phase=True), np.random.default_rng(seed)
        folds = np.zeros(len(samples), int)
        labels = np.array(sample_set.labels(samples))
        for column in range(len(sample_set.classes)):
            at = rng.permutation(np.flatnonzero(labels == column))
            ends = np.round(np.cumsum(ratios) * len(at)).astype(int)
            folds[at[ends[0] : ends[1]]], folds[at[ends[1] :]] = 1, 2
        train, validation, test = (_taken(samples, folds == i) for i in range(3))
        return [Split("", "random", train, validation, test, is_leaky=True, note=LEAKY_NOTE)]

    return make


def _all(sample_set: SampleSet, seed: int, alike: tuple[Sequence[str], ...]) -> list[Split]:
    # Kept-back labels are predicted too: that is what a submission is.
    return [Split("", "all", (), (), sample_set.samples, note="everything is test: for a model trained elsewhere")]


_PROTOCOLS: Mapping[str, Callable[[SampleSet, int, tuple[Sequence[str], ...]], list[Split]]] = MappingProxyType(
    {
        "all": _all,
        "blocks": _blocks,
        "subjects-5": _subject_folds(5),
        "subjects-7": _subject_folds(7),
        "ullah-7": _ullah,
        "phase2": _phases("phase2"),
        "phase3": _phases("phase3"),
        "paper-leaky": _leaky((0.6, 0.2, 0.2)),
        "paper-leaky-811": _leaky((0.8, 0.1, 0.1)),
    }
)
