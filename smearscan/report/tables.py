"""The tables beside the report: patients.csv, slides.csv, cells.csv, cells.parquet, run.json.

Columns and their order are a contract (docs/outputs.md): new ones are added at the end. The same
records give the same bytes; wall-clock times stand in slides.csv and run.json only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smearscan.records import PatientResult, SlideResult
from smearscan.report.atomic import write_bytes
from smearscan.report.cell_tables import cell_tables
from smearscan.report.content import RunInfo
from smearscan.report.csv_text import (
    FRACTION,
    PROBABILITY,
    SECONDS,
    Value,
    columns,
    csv_header,
    csv_line,
    free_text,
    rounded,
    utf8,
)
from smearscan.report.identity import is_called_blast

PATIENT_COLUMNS = columns(
    "patient_id,n_slides,n_leukocytes,n_blasts,blast_fraction,blast_fraction_low,blast_fraction_high,"
    "corrected_fraction,corrected_low,corrected_high,flag,reasons,"
    "n_slides_done,limit_of_blank,limit_of_detection,is_transferable,heterogeneity_p,blasts_10e9_per_l"
)
SLIDE_COLUMNS = columns(
    "slide_id,path,patient_id,status,reason,mpp,mpp_source,n_detections,n_leukocytes,n_blasts,seconds,"
    "mpp_x,mpp_y,mpp_relative_sd,notes,n_images,left_out"
)


def write_slide_tables(folder: Path, slides: Iterable[SlideResult]) -> None:
    """Write slides.csv, cells.csv and cells.parquet in one go; a slide is let go of before the next is asked for.

    Raises
    ------
    OutputError, TransientError
        If a file cannot be written.
    """
    rows = []
    with cell_tables(folder / "cells.csv", folder / "cells.parquet") as cells:
        for slide in slides:
            rows.append(_slide_row(slide))
            cells.add(slide)
    write_bytes(folder / "slides.csv", _csv(SLIDE_COLUMNS, rows))


def write_patients(path: Path, patients: Iterable[PatientResult]) -> None:
    """Write patients.csv, one row for every patient in the order given.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    write_bytes(path, _csv(PATIENT_COLUMNS, (_patient_row(p) for p in patients)))


def write_run(path: Path, run: RunInfo) -> None:
    """Write run.json: what made these results and how long each stage took, keys sorted.

    Raises
    ------
    OutputError, TransientError
        If the file cannot be written.
    """
    text = json.dumps(_plain(asdict(run)), ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    write_bytes(path, utf8(text + "\n"))


def _patient_row(patient: PatientResult) -> dict[str, Value]:
    raw, corrected = patient.raw, patient.corrected
    return {
        "patient_id": patient.patient_id,
        "n_slides": len(patient.slides),
        "n_leukocytes": patient.differential.n_leukocytes,
        "n_blasts": patient.differential.n_blasts,
        "blast_fraction": rounded(raw.estimate, FRACTION),
        "blast_fraction_low": rounded(raw.low, FRACTION),
        "blast_fraction_high": rounded(raw.high, FRACTION),
        "corrected_fraction": rounded(corrected.estimate, FRACTION),
        "corrected_low": rounded(corrected.low, FRACTION),
        "corrected_high": rounded(corrected.high, FRACTION),
        "flag": patient.flag,
        "reasons": _several(patient.reasons),
        "n_slides_done": sum(s.status == "done" for s in patient.slides),
        "limit_of_blank": rounded(patient.limit_of_blank, FRACTION),
        "limit_of_detection": rounded(patient.limit_of_detection, FRACTION),
        "is_transferable": patient.is_transferable,
        "heterogeneity_p": rounded(patient.heterogeneity_p, FRACTION),
        "blasts_10e9_per_l": rounded(patient.absolute_blasts_10e9_per_l, PROBABILITY),
    }


def _several(texts: Iterable[str]) -> str:
    """Reasons or notes in one cell, such that what stands between two of them stands nowhere else."""
    return free_text("; ".join(text.replace("; ", ", ") for text in texts))


def _slide_row(slide: SlideResult) -> dict[str, Value]:
    scale = slide.scale
    return {
        "slide_id": slide.source.slide_id,
        "path": slide.source.path,
        "patient_id": slide.source.patient_id,
        "status": slide.status,
        "reason": free_text(slide.reason),
        "mpp": rounded(scale.mpp.mean, FRACTION) if scale else None,
        "mpp_source": scale.source if scale else None,
        "n_detections": len(slide.cells),
        "n_leukocytes": sum(cell.is_counted for cell in slide.cells),
        "n_blasts": sum(is_called_blast(cell) for cell in slide.cells),
        "seconds": rounded(math.fsum(slide.seconds.values()), SECONDS),
        "mpp_x": rounded(scale.mpp.x, FRACTION) if scale else None,
        "mpp_y": rounded(scale.mpp.y, FRACTION) if scale else None,
        "mpp_relative_sd": rounded(scale.relative_sd, PROBABILITY) if scale else None,
        "notes": _several(slide.notes),
        "n_images": len(slide.fields) if slide.fields else int(slide.status == "done"),
        "left_out": _several(slide.left_out),
    }


def _csv(names: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> bytes:
    return csv_header(names) + b"".join(csv_line(names, row) for row in rows)


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
