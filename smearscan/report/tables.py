"""The tables beside the report: patients.csv, slides.csv, cells.csv, cells.parquet, run.json.

Columns and their order are a contract (docs/outputs.md): new ones are added at the end. The same
records give the same bytes; wall-clock times stand in slides.csv and run.json only.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smearscan.records import PatientResult, SlideResult
from smearscan.report.atomic import write_bytes
from smearscan.report.content import RunInfo
from smearscan.report.identity import NumberedCell, is_called_blast, number_cells


def _columns(header: str) -> tuple[str, ...]:
    return tuple(header.split(","))


PATIENT_COLUMNS = _columns(
    "patient_id,n_slides,n_leukocytes,n_blasts,blast_fraction,blast_fraction_low,blast_fraction_high,"
    "corrected_fraction,corrected_low,corrected_high,flag,reasons,"
    "n_slides_done,limit_of_blank,limit_of_detection,is_transferable,heterogeneity_p,blasts_10e9_per_l"
)
SLIDE_COLUMNS = _columns(
    "slide_id,path,patient_id,status,reason,mpp,mpp_source,n_detections,n_leukocytes,n_blasts,seconds,"
    "mpp_x,mpp_y,mpp_relative_sd,notes,n_images,left_out"
)
CELL_COLUMNS = _columns(
    "slide_id,cell_id,x_px,y_px,width_px,height_px,detection_score,cell_class,class_probability,blast_probability,"
    "counted,field,spread,in_focus,cell_diameter_um,nucleus_to_cytoplasm,patient_id"
)

#: Decimals kept: a probability's sixth is far below what another machine's rounding changes.
_PROBABILITY, _FRACTION, _MICRONS, _SECONDS = 6, 8, 4, 3
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Value = str | int | float | bool | None


def write_tables(folder: Path, patients: Sequence[PatientResult], slides: Sequence[SlideResult], run: RunInfo) -> None:
    """Write patients.csv, slides.csv, cells.csv, cells.parquet and run.json into a folder.

    Raises
    ------
    OutputError, TransientError
        If a file cannot be written.
    """
    write_patients(folder / "patients.csv", patients)
    write_slides(folder / "slides.csv", slides)
    write_cells(folder / "cells.csv", folder / "cells.parquet", slides)
    write_run(folder / "run.json", run)


def write_patients(path: Path, patients: Iterable[PatientResult]) -> None:
    """Write patients.csv, one row for every patient in the order given.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    write_bytes(path, _csv(PATIENT_COLUMNS, (_patient_row(p) for p in patients)))


def write_slides(path: Path, slides: Iterable[SlideResult]) -> None:
    """Write slides.csv, one row for every input in the order given, failed ones too.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    write_bytes(path, _csv(SLIDE_COLUMNS, (_slide_row(s) for s in slides)))


def write_cells(csv_path: Path, parquet_path: Path, slides: Sequence[SlideResult]) -> None:
    """Write cells.csv and cells.parquet: the same rows, slides in the order given, cells by number.

    Raises
    ------
    OutputError, TransientError
        If a file cannot be written.
    """
    write_bytes(csv_path, _csv(CELL_COLUMNS, _cell_rows(slides)))
    write_bytes(parquet_path, _parquet(list(_cell_rows(slides))))


def write_run(path: Path, run: RunInfo) -> None:
    """Write run.json: what made these results and how long each stage took, keys sorted.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    text = json.dumps(_plain(asdict(run)), ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    write_bytes(path, _utf8(text + "\n"))


def _patient_row(patient: PatientResult) -> dict[str, Value]:
    raw, corrected = patient.raw, patient.corrected
    return {
        "patient_id": patient.patient_id,
        "n_slides": len(patient.slides),
        "n_leukocytes": patient.differential.n_leukocytes,
        "n_blasts": patient.differential.n_blasts,
        "blast_fraction": _rounded(raw.estimate, _FRACTION),
        "blast_fraction_low": _rounded(raw.low, _FRACTION),
        "blast_fraction_high": _rounded(raw.high, _FRACTION),
        "corrected_fraction": _rounded(corrected.estimate, _FRACTION),
        "corrected_low": _rounded(corrected.low, _FRACTION),
        "corrected_high": _rounded(corrected.high, _FRACTION),
        "flag": patient.flag,
        "reasons": _free_text("; ".join(patient.reasons)),
        "n_slides_done": sum(s.status == "done" for s in patient.slides),
        "limit_of_blank": _rounded(patient.limit_of_blank, _FRACTION),
        "limit_of_detection": _rounded(patient.limit_of_detection, _FRACTION),
        "is_transferable": patient.is_transferable,
        "heterogeneity_p": _rounded(patient.heterogeneity_p, _FRACTION),
        "blasts_10e9_per_l": _rounded(patient.absolute_blasts_10e9_per_l, _PROBABILITY),
    }


def _slide_row(slide: SlideResult) -> dict[str, Value]:
    scale = slide.scale
    return {
        "slide_id": slide.source.slide_id,
        "path": slide.source.path,
        "patient_id": slide.source.patient_id,
        "status": slide.status,
        "reason": _free_text(slide.reason),
        "mpp": _rounded(scale.mpp.mean, _FRACTION) if scale else None,
        "mpp_source": scale.source if scale else None,
        "n_detections": len(slide.cells),
        "n_leukocytes": sum(cell.is_counted for cell in slide.cells),
        "n_blasts": sum(is_called_blast(cell) for cell in slide.cells),
        "seconds": _rounded(math.fsum(slide.seconds.values()), _SECONDS),
        "mpp_x": _rounded(scale.mpp.x, _FRACTION) if scale else None,
        "mpp_y": _rounded(scale.mpp.y, _FRACTION) if scale else None,
        "mpp_relative_sd": _rounded(scale.relative_sd, _PROBABILITY) if scale else None,
        "notes": _free_text("; ".join(slide.notes)),
        "n_images": len(slide.fields) if slide.fields else int(slide.status == "done"),
        "left_out": _free_text("; ".join(slide.left_out)),
    }


def _cell_rows(slides: Iterable[SlideResult]) -> Iterator[dict[str, Value]]:
    for slide in slides:
        for numbered in number_cells(slide):
            yield _cell_row(numbered, slide.source.patient_id)


def _cell_row(numbered: NumberedCell, patient_id: str) -> dict[str, Value]:
    cell, box = numbered.cell, numbered.cell.detection.box
    return {
        "slide_id": numbered.slide_id,
        "cell_id": numbered.cell_id,
        "x_px": box.x,
        "y_px": box.y,
        "width_px": box.width,
        "height_px": box.height,
        "detection_score": _rounded(cell.detection.score, _PROBABILITY),
        "cell_class": cell.cell_class.value,
        "class_probability": _rounded(cell.class_probability, _PROBABILITY),
        "blast_probability": _rounded(cell.blast_probability, _PROBABILITY),
        "counted": cell.is_counted,
        "field": cell.field_name,
        "spread": _rounded(cell.spread, _PROBABILITY),
        "in_focus": cell.is_in_focus,
        "cell_diameter_um": _rounded(cell.measures.get("cell_diameter_um"), _MICRONS),
        "nucleus_to_cytoplasm": _rounded(cell.measures.get("nucleus_to_cytoplasm"), _MICRONS),
        "patient_id": patient_id,
    }


def _rounded(value: float | None, decimals: int) -> float | None:
    """A finite float of so many decimals, minus zero made zero; None for what is not a number."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), decimals) + 0.0


def _free_text(text: str) -> str:
    # Sentences for people, which may begin with a file's name: the apostrophe keeps a spreadsheet
    # from running it. Ids and paths are never changed: programs join on them (docs/outputs.md).
    line = " ".join(text.split())
    return f"'{line}" if line.startswith(_FORMULA) else line


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> bytes:
    lines = io.StringIO(newline="")
    lines.write(",".join(columns) + "\n")
    for row in rows:
        lines.write(",".join(_csv_field(row[column]) for column in columns) + "\n")
    return _utf8(lines.getvalue())


def _csv_field(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _decimal(value)
    if isinstance(value, int):
        return str(value)
    needs_quotes = value.startswith(_FORMULA) or any(c in value for c in ',"\n\r') or value != value.strip()
    return '"' + value.replace('"', '""') + '"' if needs_quotes else value


def _decimal(value: float) -> str:
    """Plain decimal digits, never an exponent: the same text on every machine."""
    text = f"{value:.8f}".rstrip("0")
    return text + "0" if text.endswith(".") else text


def _parquet(rows: list[dict[str, Value]]) -> bytes:
    """One row group, fixed codec, no pandas metadata: the same rows give the same bytes."""
    import pyarrow
    import pyarrow.parquet

    types: dict[str, Any] = dict.fromkeys(CELL_COLUMNS, pyarrow.string())
    types |= dict.fromkeys(("x_px", "y_px", "width_px", "height_px"), pyarrow.int64())
    types |= dict.fromkeys(("counted", "in_focus"), pyarrow.bool_())
    types |= dict.fromkeys(
        ("detection_score", "class_probability", "blast_probability", "spread"), pyarrow.float64()
    ) | dict.fromkeys(("cell_diameter_um", "nucleus_to_cytoplasm"), pyarrow.float64())
    arrays = [pyarrow.array([_parquet_value(row[c]) for row in rows], type=types[c]) for c in CELL_COLUMNS]
    table = pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema([(c, types[c]) for c in CELL_COLUMNS]))
    sink = io.BytesIO()
    pyarrow.parquet.write_table(table, sink, compression="snappy", row_group_size=max(len(rows), 1))
    return sink.getvalue()


def _parquet_value(value: Value) -> Value:
    return _utf8(value).decode("utf-8") if isinstance(value, str) else value


def _utf8(text: str) -> bytes:
    # A file name that is no valid UTF-8 reaches us with lone surrogates: written as \udcXX.
    return text.encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """Dicts, lists, text and finite numbers only: what JSON can say (NaN becomes null)."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float):
        return round(value, 8) if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)
