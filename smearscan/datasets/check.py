"""Whether a set on disk is whole: everything that is wrong with it, named, not only the first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smearscan.datasets import cnmc_list
from smearscan.datasets.all_idb import N_IMAGES
from smearscan.datasets.duplicates import find_duplicates
from smearscan.datasets.files import natural_key, read_image, sha256_of
from smearscan.datasets.layouts import CLASS_FOLDERS
from smearscan.datasets.registry import load_set
from smearscan.datasets.samples import SampleSet
from smearscan.errors import DatasetError, UnreadableSlideError

#: So many files are named of each kind of problem; the rest is counted.
MOST_NAMED = 20
_LABELS_KEY = ("", cnmc_list.LABELS_NAME)

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found.

    Attributes
    ----------
    problems
        What is missing, altered, corrupt, or a class without image; empty for a whole set.
    notes
        What is no fault but must be known.
    counts
        Images by class, subject (or block) and part.
    """

    name: str
    root: Path
    n_samples: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was refused."""
        return not self.problems


def check_set(
    name: str, root: Path, *, quick: bool = False, duplicates: bool = True, progress: Progress | None = None
) -> CheckReport:
    """Check a set on disk against what is known of it.

    Parameters
    ----------
    name, root
        As `load_set`.
    quick
        Only names and sizes; else every image is hashed where its digest is known, and decoded where not.
    duplicates
        Whether images that show the same are looked for.

    Raises
    ------
    SettingsError
        If there is no such set. A set that cannot be loaded at all is a report with that one problem.
    """
    try:
        sample_set = load_set(name, root)
    except DatasetError as error:
        return CheckReport(name, root, 0, (str(error),), (), {})
    groups: dict[str, list[str]] = {"missing": list(_missing(sample_set)), "altered": [], "corrupt": []}
    paths = [*dict.fromkeys(sample.path for sample in sample_set.samples), *_labels_of_cnmc(sample_set)]
    for i, path in enumerate(paths):
        kind, what = _verdict(sample_set, path, quick)
        if kind:
            groups[kind].append(what)
        if progress:
            progress(i + 1, len(paths), "reading")
    problems = [line for kind, lines in groups.items() for line in _shortened(kind, lines)]
    notes = list(sample_set.notes)
    if duplicates and not quick:
        _compare(sample_set, problems, notes, progress)
    return CheckReport(name, root, len(sample_set.samples), tuple(problems), tuple(notes), _counts(sample_set))


def _verdict(sample_set: SampleSet, path: str, quick: bool) -> tuple[str, str]:
    """Kind of problem and what to say; empty for a good file."""
    file = sample_set.root / path
    key = _LABELS_KEY if file.name == cnmc_list.LABELS_NAME else cnmc_list.key_of(path)
    known = cnmc_list.by_key().get(key) if sample_set.name == "cnmc" else None
    try:
        if known is not None:
            return _against_list(file, path, known, quick)
        if not quick:
            read_image(file)
        elif file.stat().st_size == 0:
            return "corrupt", f"{path}: empty"
    except (UnreadableSlideError, OSError) as error:
        return "corrupt", f"{path}: {error}"
    return "", ""


def _against_list(file: Path, path: str, known: cnmc_list.ListedFile, quick: bool) -> tuple[str, str]:
    n_bytes = file.stat().st_size
    if n_bytes != known.n_bytes:
        return "altered", f"{path}: {n_bytes} bytes, the publisher's has {known.n_bytes}"
    if not quick and sha256_of(file)[: cnmc_list.DIGEST_DIGITS] != known.digest:
        return "altered", f"{path}: its SHA-256 is not the publisher's"
    return "", ""


def _missing(sample_set: SampleSet) -> Iterator[str]:
    """Files, or images of a class, that the complete set has."""
    if sample_set.name == "cnmc":
        yield from _missing_of_cnmc(sample_set)
    elif sample_set.name == "csv":
        yield from (sample.path for sample in sample_set.samples if not sample_set.file(sample).is_file())
    layout = CLASS_FOLDERS.get(sample_set.name)
    whole = layout.n_images if layout else N_IMAGES.get(sample_set.name, {})
    n_images = Counter(sample.label for sample in sample_set.samples)
    for label, n in whole.items():
        if n_images[label] < n:
            yield f"{n - n_images[label]} of {n} images of class {label}"


def _missing_of_cnmc(sample_set: SampleSet) -> Iterator[str]:
    """By name; a part of which nothing is here in one line."""
    have = {cnmc_list.key_of(sample.path) for sample in sample_set.samples}
    if any(sample_set.root.rglob(cnmc_list.LABELS_NAME)):
        have.add(_LABELS_KEY)
    lacking: dict[str, list[str]] = defaultdict(list)
    whole: Counter[str] = Counter()
    for key, file in cnmc_list.by_key().items():
        part = cnmc_list.part_of(file.path) or "labels of phase2"
        whole[part] += 1
        if key not in have:
            lacking[part].append(file.path)
    for part, paths in sorted(lacking.items()):
        if len(paths) == whole[part] > 1:
            yield f"all {len(paths)} images of {part}, such as {paths[0]}"
        else:
            yield from sorted(paths, key=natural_key)


def _labels_of_cnmc(sample_set: SampleSet) -> list[str]:
    if sample_set.name != "cnmc":
        return []
    return [path.relative_to(sample_set.root).as_posix() for path in sample_set.root.rglob(cnmc_list.LABELS_NAME)]


def _shortened(kind: str, lines: list[str]) -> list[str]:
    named = [f"{kind}: {line}" for line in lines[:MOST_NAMED]]
    return [*named, f"{kind}: {len(lines) - MOST_NAMED} more"] if len(lines) > MOST_NAMED else named


def _compare(sample_set: SampleSet, problems: list[str], notes: list[str], progress: Progress | None) -> None:
    """The same image under two classes is a fault; under one it is only told, since splits keep it together."""
    tell = (lambda n, total: progress(n, total, "comparing")) if progress else None
    found = find_duplicates(sample_set, progress=tell)
    # A box has a class, the picture around it none.
    label_of = {sample.path: sample.label for sample in sample_set.samples if sample.box is None}
    torn = [group for group in found.exact if len({label_of.get(path, "") for path in group} - {""}) > 1]
    problems += _shortened("one image under several classes", [", ".join(group) for group in torn])
    if found.near:
        n_files = sum(map(len, found.near))
        example = ", ".join(found.near[0][:3])
        notes.append(
            f"{n_files} images in {len(found.near)} groups show the same ({len(found.exact)} groups byte for byte), "
            f"such as {example}: splits keep them on one side"
        )


def _counts(sample_set: SampleSet) -> dict[str, dict[str, int]]:
    out = {}
    what = "subjects" if sample_set.has_subjects else "blocks"
    for title, field in (("classes", "label"), (what, "subject"), ("parts", "part")):
        found = Counter(str(getattr(sample, field)) for sample in sample_set.samples)
        if set(found) != {""}:
            out[title] = {key: found[key] for key in sorted(found, key=natural_key)}
    return out
