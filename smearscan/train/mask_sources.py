"""Where the mask network's training windows come from: which pictures, which held out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from smearscan.train.mask_data import Field, LabelledCell, make_field, read_labelled

#: Every fifth picture of a set is for testing.
_HELD_OUT = 5
#: Pictures of the second set are drawn this often for one of the first, which has three times as many.
_WEIGHT = 4
#: µm per pixel taken for fields without a scale, from their red cells (7.5 µm); draws vary it by a tenth.
_TALEQANI_UM, _PBC_UM, _TXL_UM = 0.45, 0.105, 0.2
#: Rows of a Taleqani field above its scale bar.
_TALEQANI_ROWS = 205


def split_cells(folder: Path) -> tuple[list[LabelledCell], list[LabelledCell]]:
    """Hand-drawn cells of both laboratories to train with (the second's repeated), and those held out."""
    sets = [read_labelled(folder / name) for name in ("dataset1", "dataset2")]
    kept = [[cell for i, cell in enumerate(cells) if i % _HELD_OUT != _HELD_OUT - 1] for cells in sets]
    held_out = [cell for cells in sets for cell in cells[_HELD_OUT - 1 :: _HELD_OUT]]
    return kept[0] + kept[1] * _WEIGHT, held_out


def read_fields(data: Path, n_a_source: int = 160) -> list[Field]:
    """About `n_a_source` fields each of Taleqani, PBC and TXL-PBC (train), evenly spaced; classes are not read."""
    readers = (
        _taleqani(data / "taleqani", n_a_source),
        _pbc(data / "pbc", n_a_source),
        _txl(data / "txl_pbc", n_a_source),
    )
    return [field for reader in readers for field in reader if field is not None]


def _taleqani(folder: Path, n: int) -> Iterator[Field | None]:
    for path in _spaced(folder.glob("*/*.jpg"), n):
        yield make_field(_read(path)[:_TALEQANI_ROWS], _TALEQANI_UM)


def _pbc(folder: Path, n: int) -> Iterator[Field | None]:
    for path in _spaced(folder.glob("*/*.jpg"), n):
        yield make_field(_shrunk(_read(path), 0.5), _PBC_UM * 2)


def _txl(folder: Path, n: int) -> Iterator[Field | None]:
    for path in _spaced((folder / "images" / "train").glob("*"), n):
        rgb = _read(path)
        height, width = rgb.shape[:2]
        boxes = np.loadtxt(folder / "labels" / "train" / f"{path.stem}.txt", ndmin=2) * (
            1,
            width,
            height,
            width,
            height,
        )
        red = boxes[boxes[:, 0] == 1, 3:].max(axis=1)
        if len(red) < 4:
            continue
        taken = np.zeros((height, width), np.uint8)
        for _, x, y, box_width, box_height in boxes[boxes[:, 0] == 0]:
            left, top = max(0, int(x - box_width / 2)), max(0, int(y - box_height / 2))
            taken[top : int(y + box_height / 2), left : int(x + box_width / 2)] = 1
        factor = 7.5 / float(np.median(red)) / _TXL_UM
        yield make_field(_shrunk(rgb, factor), _TXL_UM, _shrunk(taken, factor) > 0)


def _spaced(paths: Iterator[Path], n: int) -> list[Path]:
    found = sorted(paths)
    return found[:: max(1, len(found) // n)]


def _read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def _shrunk(picture: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
