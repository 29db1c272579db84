"""Which slides of which patients were handed in: inputs on a command line, or a worksheet.

A line of a worksheet that cannot be used becomes a rejected slide with its reason; the others go on.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smearscan.records import SlideSource
from smearscan.slide.discover import is_folder, list_images, why_unlistable
from smearscan.worksheet import WorksheetRow, read_worksheet, why_no_patient


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
        µm per pixel of slides for which the worksheet does not say; it beats what the files say of themselves.

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

    A folder without images stays in the list, and so does what cannot be looked at, so that it fails by name instead
    of vanishing.
    """
    found: dict[Path, Path] = {}
    for given in inputs:
        path = Path(given)
        for file in _images(path) or [path]:
            found.setdefault(_real(file), file)
    return list(found.values())


def _images(path: Path) -> list[Path]:
    """Of a folder; of anything else, itself."""
    return list_images(path) if is_folder(path) else [path]


def _real(path: Path) -> Path:
    """The file that a path leads to; of one that is not there, where it would be: two such are not the same."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle, before Python 3.13
        pass
    try:
        return path.parent.resolve() / path.name
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def _from_files(files: Sequence[Path], patient: str | None) -> Submission:
    sources, rejected = [], []
    for file, name in zip(files, tell_apart(files), strict=True):
        source = SlideSource(name, patient or name, str(file), (str(file),))
        reason = _why_unusable(file)
        if is_folder(file) and not reason:
            reason = f"{file}: no image in this folder. Name a folder of slides, or the slides themselves"
        rejected.append(Rejected(source, reason)) if reason else sources.append(source)
    return Submission(tuple(sources), tuple(rejected))


def _from_rows(rows: Sequence[WorksheetRow], files: Sequence[Path]) -> Submission:
    images = {row.path: _images(row.path) for row in rows}
    real = {path: _real(path) for row in rows for path in (row.path, *images[row.path])}
    listed = set(real.values())
    strangers = [file for file in files if _real(file) not in listed]
    reasons = [row.problem or _why_unusable(row.path) or _why_empty(row.path, images[row.path]) for row in rows]
    # A line that cannot be used does not say that its slide is there already, and leaves it its name. Whose the slide
    # is it says all the same: a slip in another cell makes its patient no less somebody's claim.
    order = sorted(range(len(rows)), key=lambda place: bool(reasons[place]))
    names = tell_apart([rows[place].path for place in order] + strangers)
    name_of = dict(zip(order, names, strict=False))
    patients: dict[Path, set[str]] = defaultdict(set)
    for row in rows:
        patients[real[row.path]] |= set() if why_no_patient(row.patient_id) else {row.patient_id}
    seen: Counter[Path] = Counter()
    sources, rejected = [], []
    for place, (row, reason) in enumerate(zip(rows, reasons, strict=True)):
        source = SlideSource(name_of[place], row.patient_id or "(no patient)", str(row.path), (str(row.path),),
                             row.specimen, row.collected, row.mpp, row.wbc_10e9_per_l)  # fmt: skip
        is_repeated = False
        if not reason and len(patients[real[row.path]]) > 1:
            reason = f"{row.path}: listed under several patients. Keep the one it belongs to"
        elif not reason:
            seen[real[row.path]] += 1
            is_repeated = seen[real[row.path]] > 1
        if is_repeated:
            reason = f"{row.path}: listed twice (line {row.line}), counted once. Remove the second line"
        if reason:
            rejected.append(Rejected(source, reason, is_repeated))
        else:
            sources.append(replace(source, paths=tuple(str(image) for image in images[row.path])))
    for file, name in zip(strangers, names[len(rows) :], strict=True):
        source = SlideSource(name, name, str(file), (str(file),))
        rejected.append(Rejected(source, f"{file}: not in the worksheet. Add a line that names its patient"))
    return Submission(tuple(sources), tuple(rejected))


def _why_unusable(path: Path) -> str:
    """Why there is nothing at a path that could be opened; empty where there is."""
    try:
        if not path.exists() and path.is_symlink():
            return f"{path}: a link that leads nowhere. Mend the link"
        if not path.exists():
            return f"{path}: no such file. Mend the path"
    except OSError as error:  # a name too long for the file system, a folder that may not be entered
        return f"{path}: {error.strerror}. Mend the path or its permissions"
    why = why_unlistable(path) if is_folder(path) else ""
    return f"{path}: a folder that cannot be listed ({why}). Mend its permissions" if why else ""


def _why_empty(path: Path, images: Sequence[Path]) -> str:
    return "" if images else f"{path}: no image in this folder. A folder is one slide made of fields"


def tell_apart(paths: Sequence[Path]) -> list[str]:
    """A name for each path: its stem, or as much more as tells it from all others.

    A name never depends on the order, and no two entries share one; the same path listed twice gets a number behind it.
    """
    counted: Counter[Path] = Counter()
    entries = []
    for path in paths:
        counted[path] += 1
        entries.append((path, counted[path]))
    end = 2 * max((len(path.absolute().parts) for path in counted), default=0)
    groups = defaultdict(list)
    for path in counted:
        groups[_name(path, 0, end)].append(path)
    depth = {path: _depth_that_differs(group, end) for group in groups.values() for path in group}
    names = _never_shared({entry: depth[entry[0]] for entry in entries}, end)
    return [names[entry] for entry in entries]


def _depth_that_differs(paths: Sequence[Path], end: int) -> int:
    """The least depth at which the names of all these paths differ."""
    return next(depth for depth in range(end + 1) if len({_name(path, depth, end) for path in paths}) == len(paths))


def _never_shared(depths: dict[tuple[Path, int], int], end: int) -> dict[tuple[Path, int], str]:
    """Names of paths with how often each was listed until then, deeper where those of other stems are the same.

    `a.tif` is the name of a.tif beside a.png, and the stem of a.tif.png.
    """
    names = {entry: _numbered(*entry, depth, end) for entry, depth in depths.items()}
    while True:
        sharers = defaultdict(list)
        for entry, name in names.items():
            sharers[name].append(entry)
        shared = [entries for entries in sharers.values() if len(entries) > 1]
        if not shared:
            return names
        for entries in shared:
            # Whoever's name says least says more. At the end of all depths no two are the same.
            least = min(depths[entry] for entry in entries)
            for entry in [entry for entry in entries if depths[entry] == least]:
                depths[entry] += 1
                names[entry] = _numbered(*entry, depths[entry], end)


def _numbered(path: Path, n: int, depth: int, end: int) -> str:
    # No path holds two slashes: at the end they tell a number from what another file is called.
    mark = "#" if depth < end else "//#"
    return _name(path, depth, end) + (f"{mark}{n}" if n > 1 else "")


def _name(path: Path, depth: int, end: int) -> str:
    """Stem, name with suffix, folder/stem, folder/name, … to the whole path; at the end the path as it was given."""
    if depth >= end:
        return str(path)
    parts = path.absolute().parts if depth > 1 else (path.name,)
    last = parts[-1] if depth % 2 else Path(parts[-1]).stem
    return "/".join((*parts[:-1], last)[-(depth // 2 + 1) :]) or path.name or str(path)
