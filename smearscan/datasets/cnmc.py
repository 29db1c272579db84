"""C-NMC 2019, all three phases: single cells on black of patients with leukaemia (`all`) and of others (`hem`)."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from smearscan.datasets import cnmc_list as listed
from smearscan.datasets.files import images_below, natural_key
from smearscan.datasets.samples import Sample, SampleSet
from smearscan.errors import DatasetError

CLASSES = ("hem", "all")
_COLUMNS = ("Patient_ID", "new_names", "labels")
_LAYOUT = "training_data/fold_0/all/UID_11_10_1_all.bmp"


def load_cnmc(root: Path) -> SampleSet:
    """Samples of C-NMC, of as much of it as is there; what lacks is told in the notes.

    Training images are known by their names, those of phases II and III by their folder's name ("prelim", "final")
    and number. Phase II's labels and subjects come from its CSV; phase III's are kept back by the organisers, so its
    label is "" and its subject `phase3`.

    Raises
    ------
    DatasetError
        If no image of the set is found, one stands twice, a class has none, or phase II's labels cannot be read.
    """
    paths = {path: path.relative_to(root).as_posix() for path in images_below(root)}
    answers = _phase2_answers(root)
    samples, strangers, unanswered = [], 0, 0
    for path, name in paths.items():
        sample = _sample(name, path.name, answers)
        strangers += sample is None
        if sample is not None:
            unanswered += sample.part == "phase2" and not sample.label
            samples.append(sample)
    _refuse_twins(samples)
    _refuse_empty(root, samples)
    samples.sort(key=lambda sample: natural_key(sample.path))
    return SampleSet("cnmc", root, CLASSES, tuple(samples), True, _notes(samples, strangers, unanswered))


def _sample(path: str, name: str, answers: dict[str, listed.CellName]) -> Sample | None:
    said, part = listed.parse_name(name), listed.part_of(path)
    if said is not None:
        known = listed.by_key().get(("", name))
        # Loose copies have lost their fold; the list knows it. Phase II under its patients' names is in no list.
        part = listed.part_of(known.path) if known else part or ("phase2" if said in answers.values() else "")
        return Sample(path, said.label, _merged(said.subject), part)
    if part == "phase2":
        answer = answers.get(name)
        return Sample(path, answer.label if answer else "", _merged(answer.subject) if answer else "phase2", part)
    return Sample(path, "", "phase3", part) if part == "phase3" else None


def _merged(subject: str) -> str:
    return listed.merged_subjects().get(subject, subject)


def _phase2_answers(root: Path) -> dict[str, listed.CellName]:
    """File name → subject and class, from the labels of phase II; empty where their file is not here."""
    found = sorted(root.rglob(listed.LABELS_NAME))
    if not found:
        return {}
    path = found[0]
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} cannot be read: {error}", "download it again") from error
    out = {}
    for line, row in enumerate(rows, start=2):
        said = listed.parse_name((row.get(_COLUMNS[0]) or "").strip())
        number, label = ((row.get(column) or "").strip() for column in _COLUMNS[1:])
        if said is None or not number or label != str(CLASSES.index(said.label)):
            raise DatasetError(f"{path}, line {line}: {', '.join(map(str, row.values()))}", "download it again")
        out[number] = said
    return out


def _refuse_twins(samples: list[Sample]) -> None:
    seen: dict[tuple[str, str], str] = {}
    for sample in samples:
        key = listed.key_of(sample.path)
        if key in seen:
            raise DatasetError(f"{sample.path} and {seen[key]} are one image of C-NMC", "keep one of them")
        seen[key] = sample.path


def _refuse_empty(root: Path, samples: list[Sample]) -> None:
    if not samples:
        raise DatasetError(f"{root}: no image of C-NMC 2019 is here", f"give the folder that holds {_LAYOUT}")
    labelled = Counter(sample.label for sample in samples)
    only_unlabelled = set(labelled) == {""}
    if not only_unlabelled and (empty := [name for name in CLASSES if not labelled[name]]):
        raise DatasetError(f"{root}: no image of class {', '.join(empty)}", "unpack the rest of the set")


def _notes(samples: list[Sample], strangers: int, unanswered: int) -> tuple[str, ...]:
    names = sorted({sample.subject for sample in samples if "+" in sample.subject})
    notes = [f"subjects merged, since identical files stand under them: {', '.join(names)}"] if names else []
    have = {listed.key_of(sample.path) for sample in samples}
    lacking = Counter(
        listed.part_of(f.path) for k, f in listed.by_key().items() if k not in have and f.name[-4:] == ".bmp"
    )
    notes += [f"not here: {n} images of {part}" for part, n in sorted(lacking.items())]
    if beyond := len(have - set(listed.by_key())):
        notes.append(f"{beyond} images are not in the publisher's list: subject and class from their names")
    if strangers:
        notes.append(f"{strangers} images left out: neither name nor folder is of C-NMC")
    if unanswered:
        notes.append(
            f"{unanswered} images of phase2 without label: {listed.LABELS_NAME} is absent or does not name them"
        )
    return tuple(notes)
