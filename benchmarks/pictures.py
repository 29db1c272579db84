"""What `smearscan classify` makes of single cells: ``python benchmarks/pictures.py --data FOLDER --cache FOLDER``.

What is lost where nobody says how large a pixel is. Leukocytes of five laboratories, none trained on, are written
as pictures 29 µm wide and judged with their scale given, all of one size together without it, those of one type
together, each on its own without it, and each on its own after shrinking. Printed is the share of cells that get their
own type.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from smearscan.ready_made import classify_pictures
from smearscan.settings import Settings, load_settings
from smearscan.train.cells import SOURCES, CellTable, load_cells
from smearscan.train.typed_cells import CLASSES, typed_cells
from smearscan.train.windows import FINE_UM

#: Cells of one laboratory and type at most; the first of its test fifth.
MOST = 30
#: Side of the shrunk pictures, px.
SMALL_PX = 72


def main() -> None:
    """Print one line a laboratory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--preset", default="default")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    table, settings = load_cells(given.data, given.cache), load_settings(given.preset)
    for source in ("pbc", "raabin", "bccd", "seg1", "seg2"):
        rows, names = tested(table, source)
        with tempfile.TemporaryDirectory() as folder:
            large = write(table.windows[rows], Path(folder) / "large")
            shares = {
                "scale given": right(large, names, settings, FINE_UM),
                "in common": right(large, names, settings, None),
                "a type at a time": right(large, names, settings, None, names),
                "each alone": right(large, names, settings, None, large),
            }
            small = write([shrunk(window) for window in table.windows[rows]], Path(folder) / "small")
            side_um = FINE_UM * table.windows.shape[1]
            shares[f"{SMALL_PX} px, scale given"] = right(small, names, settings, side_um / SMALL_PX)
            shares[f"{SMALL_PX} px, each alone"] = right(small, names, settings, None, small)
        told = ", ".join(f"{way} {share:.3f}" for way, share in shares.items())
        print(f"{source}: {len(rows)} cells of {len(set(names))} types: {told}", flush=True)


def tested(table: CellTable, source: str) -> tuple[np.ndarray, list[str]]:
    """Rows of a laboratory's leukocytes that were not trained on, and their types."""
    cells = typed_cells(table)
    of_source = (table.sources[cells.rows] == SOURCES.index(source)) & (cells.split == 2)
    chosen = [np.flatnonzero(of_source & (cells.labels == label))[:MOST] for label in range(CLASSES.index("platelet"))]
    places = np.concatenate(chosen)
    return cells.rows[places], [CLASSES[label] for label in cells.labels[places]]


def shrunk(window: np.ndarray) -> np.ndarray:
    """A window (S, S, 3) uint8 at `SMALL_PX`."""
    return np.asarray(cv2.resize(window, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA))


def write(windows: Sequence[np.ndarray] | np.ndarray, folder: Path) -> list[Path]:
    """The windows as PNG files."""
    folder.mkdir()
    paths = [folder / f"{i:04d}.png" for i in range(len(windows))]
    for path, window in zip(paths, windows, strict=True):
        cv2.imwrite(str(path), cv2.cvtColor(np.asarray(window), cv2.COLOR_RGB2BGR))
    return paths


def right(
    paths: list[Path],
    names: list[str],
    settings: Settings,
    um_per_px: float | None,
    folders: Sequence[object] | None = None,
) -> float:
    """Share of pictures that are given their type; those of one of `folders` in one call, or all."""
    kept: dict[object, list[int]] = {}
    for place, folder in enumerate(folders or [None] * len(paths)):
        kept.setdefault(folder, []).append(place)
    is_right = [
        line.cell_class == names[place]
        for places in kept.values()
        for place, line in zip(places, classify_pictures([paths[i] for i in places], settings, um_per_px), strict=True)
    ]
    return float(np.mean(is_right))


if __name__ == "__main__":
    main()
