"""Which slides of which patients were handed in: inputs on a command line, or a worksheet.

A line of a worksheet that cannot be used becomes a rejected slide with its reason; the others go on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smearscan.records import SlideSource
from smearscan.slide.discover import list_images
from smearscan.worksheet import WorksheetRow, read_worksheet


@dataclass(frozen=True, slots=True)
class Rejected:
    """A slide that cannot be screened, and why; `is_repeated` where it is there already, under the same patient."""

    source: SlideSource
    reason: str
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """What to screen, in order, and what was refused before a pixel was read."""

    sources: tuple[SlideSource, ...]
    rejected: tuple[Rejected, ...] = ()


def gather(
    inputs: Sequence[str | Path],
    worksheet: str | Path | None = None,
    patient: str | None = None,
    mpp: float | None = None,
) -> Submission:
    """Name every slide and its patient.

    Parameters
    ----------
    inputs
        Files, or folders of files: each file is a slide. With a worksheet they must stand in it.
    worksheet
        CSV with `path,patient_id[,specimen,collected,mpp,wbc_10e9_per_l]`, paths relative to it.
    patient
        Makes all inputs slides of one patient.
    mpp
        µm per pixel of slides for which neither file nor worksheet says.

    Raises
    ------
    WorksheetError
        If the worksheet as a whole cannot be read.
    """
    files = list_inputs(inputs)
    if worksheet is None:
        submission = _from_files(files, patient)
    else:
        submission = _from_rows(read_worksheet(Path(worksheet)), files)
    sources = tuple(replace(source, mpp_given=source.mpp_given or mpp) for source in submission.sources)
    return replace(submission, sources=sources)


def list_inputs(inputs: Iterable[str | Path]) -> list[Path]:
    """Files named, and the images of folders named; the same file twice counts once.

    A folder without images stays in the list, so that it fails by name instead of vanishing.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        path = Path(given)
        images = list_images(path) if path.is_dir() else []
        for file in images or [path]:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def _from_files(files: Sequence[Path], patient: str | None) -> Submission:
    sources, rejected = [], []
    for file, name in zip(files, tell_apart(files), strict=True):
        source = SlideSource(name, patient or name, str(file), (str(file),))
        reason = _why_absent(file)
        if file.is_dir() and not reason:
            reason = f"{file}: no image in this folder. Name a folder of slides, or the slides themselves"
        rejected.append(Rejected(source, reason)) if reason else sources.append(source)
    return Submission(tuple(sources), tuple(rejected))


def _from_rows(rows: Sequence[WorksheetRow], files: Sequence[Path]) -> Submission:
    listed = {row.path.resolve() for row in rows}
    covered = {image.resolve() for row in rows if row.path.is_dir() for image in list_images(row.path)}
    strangers = [file for file in files if file.resolve() not in listed | covered]
    paths = [row.path for row in rows] + strangers
    names = iter(tell_apart(paths))
    patients = defaultdict(set)
    for row in rows:
        patients[row.path.resolve()].add(row.patient_id)
    seen: Counter[Path] = Counter()
    sources, rejected = [], []
    for row in rows:
        source = SlideSource(next(names), row.patient_id or "(no patient)", str(row.path), (str(row.path),),
                             row.specimen, row.collected, row.mpp, row.wbc_10e9_per_l)  # fmt: skip
        seen[row.path.resolve()] += 1
        reason = row.problem or _why_absent(row.path)
        if not reason and len(patients[row.path.resolve()]) > 1:
            reason = f"{row.path}: listed under several patients. Keep the one it belongs to"
        is_repeated = not reason and seen[row.path.resolve()] > 1
        if is_repeated:
            reason = f"{row.path}: listed twice (line {row.line}), counted once. Remove the second line"
        if not reason and row.path.is_dir():
            images = list_images(row.path)
            source = replace(source, paths=tuple(str(image) for image in images))
            reason = "" if images else f"{row.path}: no image in this folder. A folder is one slide made of fields"
        rejected.append(Rejected(source, reason, is_repeated)) if reason else sources.append(source)
    for file in strangers:
        name = next(names)
        source = SlideSource(name, name, str(file), (str(file),))
        rejected.append(Rejected(source, f"{file}: not in the worksheet. Add a line that names its patient"))
    return Submission(tuple(sources), tuple(rejected))


def _why_absent(path: Path) -> str:
    try:
        return "" if path.exists() else f"{path}: no such file. Mend the path"
    except OSError as error:  # a name too long for the file system, or with a null byte
        return f"{path}: {error.strerror}. Mend the path"


def tell_apart(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its stem, or as much more as tells equal stems apart.

    A name never depends on the order, and two different files never share one; the same path listed
    twice gets a number behind it.
    """
    groups = defaultdict(list)
    for path in dict.fromkeys(paths):
        groups[path.stem or path.name or str(path)].append(path)
    names: dict[Path, str] = {}
    for stem, members in groups.items():
        names |= {members[0]: stem} if len(members) == 1 else _longer_names(members)
    repeated: Counter[Path] = Counter()
    out = []
    for path in paths:
        repeated[path] += 1
        out.append(names[path] if repeated[path] == 1 else f"{names[path]}#{repeated[path]}")
    return out


def _longer_names(paths: Sequence[Path]) -> dict[Path, str]:
    """The shortest of name with suffix, folder/stem, folder/name, … that differs for all of them."""
    whole = {path: path.absolute().parts for path in paths}
    if len({path.name for path in paths}) == len(paths):
        return {path: path.name for path in paths}
    for depth in range(2, max(len(parts) for parts in whole.values()) + 1):
        for cut in (lambda parts: (*parts[:-1], Path(parts[-1]).stem), lambda parts: parts):
            names = {path: "/".join(cut(parts)[-depth:]) for path, parts in whole.items()}
            if len(set(names.values())) == len(paths):
                return names
    return {path: str(path) for path in paths}
