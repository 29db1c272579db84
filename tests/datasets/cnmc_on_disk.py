"""C-NMC under its real names, with no pixels or drawn ones."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from set_on_disk import save

from smearscan.datasets import Sample, SampleSet
from smearscan.datasets.cnmc_list import listed_files, merged_subjects, parse_name, part_of


@lru_cache(maxsize=1)
def whole_first_phase() -> SampleSet:
    """The 10,661 training images as `load_set` would give them, without files."""
    samples = []
    for file in listed_files():
        if said := parse_name(file.name):
            samples.append(Sample(file.path, said.label, merged_subjects()[said.subject], part_of(file.path)))
    return SampleSet("cnmc", Path("nowhere"), ("hem", "all"), tuple(samples), True)


def some_of_it(root: Path, n_subjects: int = 6, a_subject: int = 2) -> Path:
    """A few cells of a few subjects of each class, and of phases II and III, drawn."""
    number = 0
    for fold, label in (("fold_0", "all"), ("fold_1", "all"), ("fold_0", "hem"), ("fold_2", "hem")):
        held: dict[str, int] = {}
        for file in listed_files():
            said = parse_name(file.name)
            if said is None or said.label != label or f"/{fold}/" not in file.path:
                continue
            if held.get(said.subject, 0) == a_subject or (said.subject not in held and len(held) == n_subjects):
                continue
            held[said.subject] = held.get(said.subject, 0) + 1
            number += 1
            save(root / "C-NMC_Leukemia" / file.path, number)
    return root


def second_phase(root: Path, names: dict[str, str]) -> Path:
    """Phase II: file number → name that says subject and class."""
    folder = root / "C-NMC_Leukemia" / "validation_data" / "C-NMC_test_prelim_phase_data"
    for i, number in enumerate(names):
        save(folder / number, 5000 + i)
    lines = [f"{name},{number},{int(name.endswith('_all.bmp'))}" for number, name in names.items()]
    table = folder.parent / "C-NMC_test_prelim_phase_data_labels.csv"
    table.write_text("\n".join(["Patient_ID,new_names,labels", *lines]) + "\n")
    return root
