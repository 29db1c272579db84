"""Every cell the classifiers are trained and measured on, as one table; built once and kept in a cache folder."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np

from smearscan.crops.mask import load_segmenter, make_mask
from smearscan.crops.measure import measure_cell
from smearscan.resources import weights_folder
from smearscan.train.normals import NormalCell, read_pbc, read_segmentation, read_txl
from smearscan.train.taleqani import CLASSES, block_of, read_cells
from smearscan.train.windows import FINE_UM, outline

#: Order of `CellTable.sources`; the first four are one laboratory's fields by class.
SOURCES = (*CLASSES, "pbc", "raabin", "bccd", "seg1", "seg2")


@dataclass(frozen=True, slots=True, eq=False)
class CellTable:
    """One row a cell.

    Attributes
    ----------
    windows
        (N, 128, 128, 3) uint8 RGB, 29 µm.
    masks
        (N, 128, 128) uint8: 0 outside, 1 cytoplasm, 2 nucleus, by the shipped mask network.
    sources
        (N,) index of `SOURCES`.
    types
        (N,) str: cell type, "" where unknown (nearly all of Taleqani's).
    readings
        (N,) in which reading by eye the type was given, 0 where it was not.
    blocks
        (N,) Taleqani: 0 training, -1 gap, else test block; elsewhere 0.
    orders
        (N,) file number or order inside the source.
    stains
        (N,) cluster of the field's stain, Taleqani only, else -1.
    measures
        (N, 5) float: cell and nucleus diameter in µm, nucleus to cytoplasm, solidity of the cell, nuclear density.
    """

    windows: np.ndarray
    masks: np.ndarray
    sources: np.ndarray
    types: np.ndarray
    readings: np.ndarray
    blocks: np.ndarray
    orders: np.ndarray
    stains: np.ndarray
    measures: np.ndarray

    def is_from(self, *names: str) -> np.ndarray:
        """(N,) bool: rows of these sources."""
        return np.isin(self.sources, [SOURCES.index(name) for name in names])

    @property
    def is_whole(self) -> np.ndarray:
        """(N,) bool: the mask shows one whole nucleated cell of a size that leukocytes have."""
        cell, nucleus, _, solidity, _ = self.measures.T
        return (cell > 5.5) & (cell < 24) & (nucleus > 4) & (solidity > 0.8)


def load_cells(data: Path, cache: Path) -> CellTable:
    """Read the cached table, or build it (some minutes) and keep it.

    A table that other mask weights outlined, or that holds other readings, is built anew: what is trained and measured
    on it would not be what the judge is shown.
    """
    names, note, made_of = CellTable.__slots__, cache / "made_of.txt", _made_of()
    if not note.exists() or note.read_text("utf-8") != made_of:
        cache.mkdir(parents=True, exist_ok=True)
        table = build_cells(data)
        for name in names:
            np.save(cache / f"{name}.npy", getattr(table, name))
        note.write_text(made_of, "utf-8")
    return CellTable(
        **{name: np.load(cache / f"{name}.npy", mmap_mode="r" if name == "windows" else None) for name in names}
    )


def _made_of() -> str:
    """Digests of what a table is made with, beside the data."""
    made_with = (weights_folder() / "cellmask.safetensors", Path(__file__).with_name("labels_by_eye.tsv"))
    return "".join(f"{path.name} {sha256(path.read_bytes()).hexdigest()}\n" for path in made_with)


def build_cells(data: Path) -> CellTable:
    """Find, cut, outline and measure all cells of the shared data; the same table every time."""
    fields = read_cells(data / "taleqani")
    normals: list[NormalCell] = [*read_pbc(data / "pbc"), *read_txl(data), *read_segmentation(data)]
    windows = np.concatenate([fields.windows, np.stack([cell.window for cell in normals])])
    masks = outline(windows, load_segmenter())
    blocks = [block_of(CLASSES[g], int(n)) for g, n in zip(fields.grades, fields.numbers, strict=True)]
    n = len(normals)
    labels = [*fields.labels, *(cell.label for cell in normals)]
    return CellTable(
        windows=windows,
        masks=masks,
        sources=np.concatenate([fields.grades, [SOURCES.index(cell.laboratory) for cell in normals]]),
        types=np.array([label.cell_class for label in labels]),
        readings=np.array([label.reading for label in labels]),
        blocks=np.array(blocks + [0] * n),
        orders=np.concatenate([fields.numbers, [cell.order for cell in normals]]),
        stains=np.concatenate([fields.stains, np.full(n, -1)]),
        measures=np.array([measure_row(w, m) for w, m in zip(windows, masks, strict=True)], np.float32),
    )


def measure_row(window: np.ndarray, mask: np.ndarray) -> tuple[float, float, float, float, float]:
    """One row of `CellTable.measures`."""
    record = make_mask(mask > 0, mask == 2, FINE_UM)
    measures = measure_cell(record, FINE_UM)
    pieces, _ = cv2.findContours(record.cell.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    solidity = 0.0
    if pieces:
        piece = max(pieces, key=cv2.contourArea)
        solidity = cv2.contourArea(piece) / (cv2.contourArea(cv2.convexHull(piece)) + 1)
    pixels = window[record.nucleus].astype(np.float32)
    density = float(-np.log10((pixels + 1) / 256).mean()) if len(pixels) > 20 else 0.0
    return (
        measures["cell_diameter_um"],
        measures["nucleus_diameter_um"],
        measures["nucleus_to_cytoplasm"],
        solidity,
        density,
    )


def is_outlined(table: CellTable, rows: np.ndarray) -> np.ndarray:
    """(M,) bool: rows whose mask shows a cell; red cells often have none, and a black picture teaches nothing."""
    return np.array([bool(table.masks[row].any()) for row in rows])


def is_smudge(table: CellTable) -> np.ndarray:
    """(N,) bool: pale, large and frayed among the malignant fields' cells: bare nuclei spread out on the glass."""
    cell, _, _, solidity, density = table.measures.T
    reference = median_of_field(table, density)
    pale = (density < 0.5 * reference) | ((density < 0.62 * reference) & (solidity < 0.93))
    return pale & (cell > 9) & table.is_from("Early", "Pre", "Pro")


def median_of_field(table: CellTable, values: np.ndarray) -> np.ndarray:
    """(N,) the median of `values` over the cells of each one's source and order."""
    fields = np.unique(np.stack([table.sources, table.orders]), axis=1, return_inverse=True)[1].reshape(-1)
    order = np.argsort(fields, kind="stable")
    bounds = np.flatnonzero(np.diff(fields[order])) + 1
    medians = np.array([np.median(values[part]) for part in np.split(order, bounds)])
    return np.asarray(medians[fields])
