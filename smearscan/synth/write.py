"""Storing a synthetic smear with its truth: `NAME.truth.csv` and `NAME.truth.json` beside it."""

from __future__ import annotations

import codecs
import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from smearscan.classes import COUNTED, CellClass
from smearscan.errors import OutputError
from smearscan.geometry import Box
from smearscan.report.atomic import writing
from smearscan.synth.paint import TrueCell
from smearscan.synth.pyramid import Progress, encode_jpeg, write_pyramid
from smearscan.synth.smear import Smear, SmearOptions

COLUMNS = ("x_px", "y_px", "width_px", "height_px", "cell_class", "zone")
_PYRAMIDS = (".tif", ".tiff")
_FIELDS = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, slots=True)
class SmearTruth:
    """What was drawn, and where it is written.

    Attributes
    ----------
    path, truth_csv, truth_json
        The image, the cells (columns `COLUMNS`), the parameters with the counts.
    parameters
        Laboratory, mpp, red-cell diameter and the rest.
    counts
        Cells of each class.
    """

    path: Path
    truth_csv: Path
    truth_json: Path
    parameters: dict[str, object]
    counts: dict[CellClass, int]

    @property
    def n_leukocytes(self) -> int:
        """Counted leukocytes drawn."""
        return sum(n for cell_class, n in self.counts.items() if cell_class in COUNTED)

    @property
    def blast_fraction(self) -> float:
        """Blasts per counted leukocyte as drawn, 0 where there is none."""
        return self.counts.get(CellClass.BLAST, 0) / max(1, self.n_leukocytes)

    def cells(self) -> list[TrueCell]:
        """The cells, read back from the CSV."""
        return read_truth(self.truth_csv)


def write_smear(
    path: str | Path,
    width: int,
    height: int,
    seed: int,
    *,
    has_mpp: bool = True,
    progress: Progress | None = None,
    **options: object,
) -> SmearTruth:
    """Draw a smear into a file, streamed: any size, the same bytes for the same arguments.

    Parameters
    ----------
    path
        `.tif` or `.tiff` for a tiled pyramid (JPEG, levels /4 and /16), `.png`, `.jpg` or `.bmp`
        for a lone field, which says nothing of scale.
    width, height
        Pixels at level 0.
    seed
        Decides everything that is left to chance.
    has_mpp
        Whether the TIFF says its scale.
    progress
        Called with (rows done, rows in all).
    **options
        Fields of `SmearOptions`: laboratory, mpp, blast_fraction, cells_per_mm2, layout …

    Raises
    ------
    OutputError
        If the file's ending is none of these or it cannot be written.
    ValueError
        If an option is out of range.
    """
    path = Path(path)
    smear = Smear(width, height, seed, SmearOptions(**options))  # type: ignore[arg-type]
    suffix = path.suffix.lower()
    if suffix not in _PYRAMIDS + _FIELDS:
        raise OutputError(f"{path}: no image format is called {suffix!r}", "end the name in .tif, .png or .jpg")
    truth_csv, truth_json = path.with_suffix(".truth.csv"), path.with_suffix(".truth.json")
    counts: Counter[CellClass] = Counter()
    try:
        with writing(path) as image, writing(truth_csv) as file:
            table = csv.writer(codecs.getwriter("utf-8")(file), lineterminator="\n")
            table.writerow(COLUMNS)

            def take(cells: list[TrueCell]) -> None:
                counts.update(cell.cell_class for cell in cells)
                table.writerows((*_numbers(cell.box), cell.cell_class.value, cell.zone) for cell in cells)

            if suffix in _PYRAMIDS:
                write_pyramid(image, smear, take, has_mpp, progress)
            else:
                _write_field(image, suffix, smear, take, progress)
        truth = SmearTruth(path, truth_csv, truth_json, smear.parameters(), _ordered(counts))
        truth_json.write_text(_as_json(truth), "utf-8")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}", "choose another place") from error
    return truth


def read_truth(path: str | Path) -> list[TrueCell]:
    """The cells of a truth CSV."""
    with Path(path).open(encoding="utf-8", newline="") as stream:
        return [
            TrueCell(
                Box(int(row["x_px"]), int(row["y_px"]), int(row["width_px"]), int(row["height_px"])),
                CellClass(row["cell_class"]),
                row["zone"],  # type: ignore[arg-type]
            )
            for row in csv.DictReader(stream)
        ]


def _numbers(box: Box) -> tuple[int, int, int, int]:
    return box.x, box.y, box.width, box.height


def _ordered(counts: Counter[CellClass]) -> dict[CellClass, int]:
    return {cell_class: counts[cell_class] for cell_class in CellClass if counts[cell_class]}


def _as_json(truth: SmearTruth) -> str:
    table = dict(truth.parameters)
    table["n_leukocytes"] = truth.n_leukocytes
    table["n_blasts"] = truth.counts.get(CellClass.BLAST, 0)
    table["true_blast_fraction"] = round(truth.blast_fraction, 6)
    table["counts"] = {cell_class.value: n for cell_class, n in truth.counts.items()}
    return json.dumps(table, indent=2) + "\n"


def _write_field(
    file: BinaryIO,
    suffix: str,
    smear: Smear,
    take: Callable[[list[TrueCell]], None],
    progress: Progress | None,
) -> None:
    """A lone field as PNG, JPEG or BMP."""
    from PIL import Image

    whole = Box(0, 0, smear.size.width, smear.size.height)
    pixels = smear.paint(whole)
    take(smear.true_cells(whole))
    if suffix in (".jpg", ".jpeg"):
        file.write(encode_jpeg(pixels, smear.laboratory.jpeg_quality))
    else:
        Image.fromarray(pixels).save(file, suffix.removeprefix("."))
    if progress is not None:
        progress(smear.size.height, smear.size.height)
