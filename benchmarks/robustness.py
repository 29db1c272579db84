"""What another camera, lamp, focus, stain or a wrong scale does to blasts and to cell types.

    python benchmarks/robustness.py --data FOLDER --cache FOLDER [--only types|blasts]

Cells that no network was trained on, each changed in one way and outlined anew, through the networks as they run. A
line a change. Types: the share given their own type in each laboratory. Blasts (whole cells): the share called blast in
each group, and the AUROC of Taleqani's malignant test blocks against its benign ones, and against lymphocytes and
monocytes of other laboratories. `benchmarks/cameras.py` asks the detector the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from smearscan.classes import LOOK_LIKE_BLASTS, MONONUCLEAR
from smearscan.crops.mask import load_segmenter
from smearscan.models.packages import load_package
from smearscan.settings import ClassifySettings, load_settings
from smearscan.train.blast_cells import held_back, usable
from smearscan.train.blast_figures import ensemble_probability, is_one_of
from smearscan.train.cells import CellTable, is_outlined, load_cells, measure_row
from smearscan.train.measure_scores import auroc
from smearscan.train.type_figures import cells_at, type_chances
from smearscan.train.typed_cells import CLASSES, typed_cells
from smearscan.train.windows import FINE_UM, WINDOW_PX, WINDOW_UM, outline
from smearscan.verdict import name_type

#: So many cells of a group, of the malignant one twice as many; of a type and laboratory.
_MOST, _MOST_OF_TYPE = 200, 25
_LABORATORIES = ("pbc", "raabin", "bccd", "seg1", "seg2")
Change = Callable[[np.ndarray], np.ndarray]


def blurred(um: float) -> Change:
    """Gaussian blur of that standard deviation."""
    return lambda window: cv2.GaussianBlur(window, (0, 0), um / FINE_UM)


def coarse(um_per_px: float) -> Change:
    """Kept at that scale."""
    side = round(WINDOW_UM / um_per_px)
    return lambda window: _sized(_sized(window, side, cv2.INTER_AREA), WINDOW_PX, cv2.INTER_CUBIC)


def _sized(window: np.ndarray, side: int, how: int) -> np.ndarray:
    return cv2.resize(window, (side, side), interpolation=how)


def as_jpeg(quality: int) -> Change:
    """Kept as JPEG of the window's own pixels."""
    code = [cv2.IMWRITE_JPEG_QUALITY, quality]
    return lambda window: np.asarray(
        cv2.imdecode(cv2.imencode(".jpg", window[..., ::-1], code)[1], cv2.IMREAD_COLOR)[..., ::-1]
    )


def sharpened(window: np.ndarray) -> np.ndarray:
    """Edges doubled, as some cameras do."""
    edges = window.astype(np.float32) - cv2.GaussianBlur(window, (0, 0), 1.2)
    return (window + edges).clip(0, 255).astype(np.uint8)


def scaled(times: float) -> Change:
    """As many times larger as a wrong scale shows it."""
    shift = (WINDOW_PX - 1) / 2 * (1 - times)
    matrix = np.array([[times, 0, shift], [0, times, shift]])
    return lambda window: cv2.warpAffine(
        window, matrix, (WINDOW_PX, WINDOW_PX), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )


def denser(*exponents: float) -> Change:
    """Optical density of red, green and blue times so much."""
    return lambda window: (255 * (window / 255) ** np.array(exponents)).clip(0, 255).astype(np.uint8)


def lit(*white: float) -> Change:
    """Under a lamp that is not balanced, too weak or too strong: what white comes out as, 1 being white."""
    return lambda window: (window * np.array(white)).clip(0, 255).astype(np.uint8)


def noisy(window: np.ndarray) -> np.ndarray:
    """Grain of 15 of 255 grey levels, the same for every cell."""
    return (window + np.random.default_rng(0).normal(0, 15, window.shape)).clip(0, 255).astype(np.uint8)


def grey(window: np.ndarray) -> np.ndarray:
    """Without colour."""
    return np.repeat(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)


CHANGES: dict[str, Change] = {
    "as it is": lambda window: window,
    "blur 0.2 µm": blurred(0.2),
    "blur 0.35 µm": blurred(0.35),
    "blur 0.5 µm": blurred(0.5),
    "blur 1 µm": blurred(1.0),
    "0.5 µm/px": coarse(0.5),
    "JPEG 40": as_jpeg(40),
    "JPEG 20": as_jpeg(20),
    "noise": noisy,
    "sharpened": sharpened,
    "scale off: 0.85": scaled(0.85),
    "scale off: 1.15": scaled(1.15),
    "scale off: 1.3": scaled(1.3),
    "stained 1.3 times": denser(1.3, 1.3, 1.3),
    "stained 0.7 times": denser(0.7, 0.7, 0.7),
    "pinker": denser(0.75, 1.1, 1.0),
    "bluer": denser(1.25, 1.05, 0.75),
    "stained twice": denser(2, 2, 2),
    "stained half": denser(0.5, 0.5, 0.5),
    "yellow lamp": lit(1, 0.85, 0.6),
    "blue lamp": lit(0.7, 0.85, 1),
    "half the light": lit(0.5, 0.5, 0.5),
    "too much light": lit(1.3, 1.3, 1.3),
    "haze": lambda window: (115 + window / 2).astype(np.uint8),
    "grey": grey,
}


def groups_of(table: CellTable) -> dict[str, np.ndarray]:
    """Rows by group, drawn once with one seed."""
    rng = np.random.default_rng(5)
    is_cell = usable(table) & table.is_whole
    round_cells = is_cell & held_back(table) & np.isin(table.types, ["lymphocyte", "monocyte"])
    groups = {name: round_cells & table.is_from(name) for name in ("pbc", "raabin", "bccd", "seg1")}
    groups["benign"] = is_cell & table.is_from("Benign") & (table.blocks > 0)
    groups["malignant"] = is_cell & table.is_from("Early", "Pre", "Pro") & (table.blocks > 0)
    rows = {name: np.flatnonzero(chosen) for name, chosen in groups.items()}
    most = {name: _MOST * (1 + (name == "malignant")) for name in rows}
    return {name: np.sort(rng.choice(of, min(most[name], len(of)), replace=False)) for name, of in rows.items()}


def changed(table: CellTable, rows: np.ndarray, change: Change) -> CellTable:
    """A table of these rows alone with every window changed, outlined and measured anew."""
    part = cells_at(table, rows)
    windows = np.stack([change(np.ascontiguousarray(window)) for window in part.windows])
    masks = outline(windows, load_segmenter())
    measures = np.array([measure_row(w, m) for w, m in zip(windows, masks, strict=True)], np.float32)
    return replace(part, windows=windows, masks=masks, measures=measures)


def typed_rows(table: CellTable) -> tuple[np.ndarray, np.ndarray]:
    """Rows of outlined leukocytes not trained on, drawn once with one seed, and the class of each."""
    rng, cells = np.random.default_rng(3), typed_cells(table)
    left_out = [CLASSES.index(name) for name in ("platelet", "smudge", "artefact")]
    is_asked = (cells.split == 2) & ~np.isin(cells.labels, left_out) & is_outlined(table, cells.rows)
    of_type = [
        rng.permutation(np.flatnonzero(is_asked & table.is_from(name)[cells.rows] & (cells.labels == label)))
        for name in _LABORATORIES
        for label in range(len(CLASSES))
    ]
    chosen = np.sort(np.concatenate([places[:_MOST_OF_TYPE] for places in of_type]))
    return cells.rows[chosen], cells.labels[chosen]


def print_types(table: CellTable, settings: ClassifySettings) -> None:
    """Print a line a change: the share of each laboratory's cells that are given their own type."""
    rows, labels = typed_rows(table)
    packages = [load_package(name) for name in settings.cell_type]
    of = {name: table.is_from(name)[rows] for name in _LABORATORIES}
    print(f"{'types':24}", *(f"{name} ({is_of.sum()})" for name, is_of in of.items()), sep="  ")
    for title, change in CHANGES.items():
        seen = changed(table, rows, change)
        chances = type_chances(packages, seen, np.arange(len(rows)), settings.cell_type_weights or None)
        is_right = chances.argmax(1) == labels
        print(f"{title:24}", *(f"{is_right[is_of].mean():.3f}" for is_of in of.values()), sep="  ", flush=True)


def print_blasts(table: CellTable, settings: ClassifySettings) -> None:
    """Print a line a change."""
    groups = groups_of(table)
    rows, names = np.concatenate([*groups.values()]), np.repeat([*groups], [len(of) for of in groups.values()])
    types, members = ([load_package(name) for name in of] for of in (settings.cell_type, settings.blast))
    card = types[0].card
    is_blast = names == "malignant"
    told = {name: f"{name} ({len(of)})" for name, of in groups.items()}
    print(f"{'':18}", *told.values(), "AUROC: benign, others", sep="  ")
    for title, change in CHANGES.items():
        seen = changed(table, rows, change)
        every = np.arange(len(rows))
        chances = type_chances(types, seen, every, settings.cell_type_weights or None)
        kinds = np.array([name_type(row, card.classes, card.thresholds["unidentified"])[0].value for row in chances])
        may_be = is_one_of(kinds, MONONUCLEAR | LOOK_LIKE_BLASTS)
        blast = ensemble_probability(members, settings, seen, every)
        called = may_be & (blast >= members[0].card.thresholds["blast"])
        columns = [f"{called[names == name].mean():.2f}".rjust(len(told[name])) for name in groups]
        others = is_blast | ~np.isin(names, ["benign", "malignant"])
        home = is_blast | (names == "benign")
        columns.append(f"{auroc(blast[home], is_blast[home]):.3f}, {auroc(blast[others], is_blast[others]):.3f}")
        print(f"{title:18}", *columns, sep="  ", flush=True)


def main() -> None:
    """Print a line a change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--only", choices=("types", "blasts"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    table, settings = load_cells(given.data, given.cache), load_settings().classify
    if given.only != "blasts":
        print_types(table, settings)
    if given.only != "types":
        print_blasts(table, settings)


if __name__ == "__main__":
    main()
