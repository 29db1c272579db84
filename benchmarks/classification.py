"""What the shipped classifiers get right: ``python benchmarks/classification.py --data FOLDER --cache FOLDER``.

Home (blocks and files not trained on) and the outside check: the labelled C-NMC crops, which nothing was trained
or tuned on. Every figure stands with the number of cells it was measured on. Blast labels of Taleqani are those of
the field.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR
from smearscan.errors import SlideError
from smearscan.judge import Judge, load_judge
from smearscan.models import infer, load_package
from smearscan.ready_made import make_pictures, read_picture
from smearscan.settings import ClassifySettings, load_settings
from smearscan.train.blast_cells import held_back
from smearscan.train.blast_figures import ensemble_probability, is_one_of, named_types
from smearscan.train.cells import SOURCES, CellTable, load_cells
from smearscan.train.measure_scores import auroc, auroc_interval
from smearscan.train.run_time import run_time_pictures
from smearscan.train.type_figures import measure, type_chances
from smearscan.train.typed_cells import CLASSES, typed_cells


def main() -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--preset", default="default")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = load_settings(given.preset).classify
    judge = load_judge(settings)
    print_cnmc(given.data / "cnmc" / "sample", judge)
    table = load_cells(given.data, given.cache)
    print_types(table, settings)
    print_blasts(table, settings)
    print_speed(table, (*settings.cell_type, *settings.blast))


def print_cnmc(folder: Path, judge: Judge) -> None:
    """AUROC on the labelled crops of another hospital, through the same path as `smearscan classify`."""
    paths = sorted(folder.glob("UID_*.bmp"))
    read = make_pictures(read_picture(path, {}) for path in paths)
    if broken := [str(one) for one in read if isinstance(one, SlideError)]:
        raise SystemExit("\n".join(broken))
    verdicts = judge.judge([r.crop for r in read], [r.mask for r in read])
    labels = np.array(["_all" in p.stem for p in paths])
    scores = np.array([v.blast_probability for v in verdicts])
    sizes = np.array([r.mask.area_um2 for r in read])
    low, high = auroc_interval(scores, labels)
    found = f"AUROC {auroc(scores, labels):.3f} ({low:.3f}-{high:.3f})"
    print(f"C-NMC: {found}, {labels.sum()} blasts, {(~labels).sum()} normal")
    print(f"C-NMC: AUROC of the cell's area alone {auroc(sizes, labels):.3f}")
    called = np.array([v.cell_class == "blast" for v in verdicts])
    print(f"C-NMC: called blast {called[labels].mean():.2f} of the blasts, {called[~labels].mean():.2f} of the normal")


def print_types(table: CellTable, settings: ClassifySettings) -> None:
    """Test split of each laboratory."""
    packages = [load_package(name) for name in settings.cell_type]
    cells = typed_cells(table)
    chances = type_chances(packages, table, cells.rows, settings.cell_type_weights or None)
    for key, value in measure(table, cells, chances).items():
        print(f"types: {key} = {value}")
    tested = (cells.split == 2) & table.is_from("pbc")[cells.rows]
    for truth, label in enumerate(CLASSES):
        row = np.bincount(chances[tested & (cells.labels == truth)].argmax(1), minlength=len(CLASSES))
        if row.any():
            print(f"types: PBC {label:21s}", " ".join(f"{n:4d}" for n in row))
    unsure = chances[tested].max(1) < packages[0].card.thresholds["unidentified"]
    print(f"types: PBC unidentified {unsure.mean():.3f} of {tested.sum()}")


def print_blasts(table: CellTable, settings: ClassifySettings) -> None:
    """AUROC by stain and class, and the fraction read in each block."""
    names = settings.blast
    packages = [load_package(name) for name in names]
    rows = np.flatnonzero(held_back(table) & table.is_whole & (table.types != "artefact"))
    parts = [infer(p, run_time_pictures(table, rows, p.card.input))[:, p.card.classes.index("blast")] for p in packages]
    blast = ensemble_probability(packages, settings, table, rows)
    named = named_types(table, settings)[rows]
    judged = is_one_of(named, MONONUCLEAR)
    is_blast, own = table.is_from("Early", "Pre", "Pro")[rows], table.is_from(*SOURCES[:4])[rows]
    for label, chosen in (("all cells", own), ("mononuclear", own & judged)):
        print(f"blast: Taleqani {label} AUROC {auroc(blast[chosen], is_blast[chosen]):.4f} of {chosen.sum()}")
        for name, part in zip(names, parts, strict=True):
            print(f"blast: Taleqani {label} AUROC of {name} alone {auroc(part[chosen], is_blast[chosen]):.4f}")
    for grade in ("Early", "Pre", "Pro"):
        chosen = judged & table.is_from("Benign", grade)[rows]
        found = auroc(blast[chosen], is_blast[chosen])
        print(f"blast: Taleqani {grade} against benign, mononuclear {found:.4f} of {chosen.sum()}")
    for name in ("pbc", "raabin", "bccd", "seg1"):
        chosen = judged & (table.is_from(name)[rows] | (own & is_blast))
        print(f"blast: Taleqani's blasts against {name} {auroc(blast[chosen], is_blast[chosen]):.4f} of {chosen.sum()}")
    threshold, may_be = packages[0].card.thresholds["blast"], judged | is_one_of(named, LOOK_LIKE_BLASTS)
    for source in range(len(SOURCES)):
        for block in np.unique(table.blocks[rows[table.sources[rows] == source]]):
            group = (table.sources[rows] == source) & (table.blocks[rows] == block)
            called = int((group & may_be & (blast >= threshold)).sum())
            share = f"{called} of {group.sum()} cells read as blast ({called / group.sum():.1%})"
            print(f"blast: {SOURCES[source]} block {block}: {share}")


def print_speed(table: CellTable, names: tuple[str, ...]) -> None:
    """Cells a second and core through all members, pictures made beforehand."""
    packages = [load_package(name) for name in names]
    pictures = [run_time_pictures(table, np.arange(320), p.card.input) for p in packages]
    for package, images in zip(packages, pictures, strict=True):
        infer(package, images[:32])
    began = time.process_time()
    for package, images in zip(packages, pictures, strict=True):
        infer(package, images)
    print(f"speed: {320 / (time.process_time() - began):.0f} cells/s a core through {len(names)} networks")


if __name__ == "__main__":
    main()
