"""Records as bytes and back: JSON for records, safetensors for pixels; nothing that could run code."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter

from smearscan.cut_cells import CutCells
from smearscan.pipeline import SlidePlan
from smearscan.records import Detection, PatientResult, SlideSource
from smearscan.stages.packed import PackedPictures, pack, unpack
from smearscan.stain import Normaliser
from smearscan.survey import Survey

T = TypeVar("T")


#: Building a validator takes milliseconds: once a kind and process.
_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _adapter(kind: type) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def dump(record: Any) -> bytes:
    """A record (dataclass, or tuple of them) as JSON; numbers come back to the last bit, NaN too."""
    # TypeAdapter's own JSON writes NaN as null.
    return json.dumps(_adapter(type(record)).dump_python(record), separators=(",", ":"), default=_plain).encode()


def load(kind: type[T], data: bytes) -> T:
    """What `dump` wrote."""
    found: T = _adapter(kind).validate_python(json.loads(data))
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no part of a record")


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A slide's plan with the content of its files: path → SHA-256."""

    plan: SlidePlan
    files: dict[str, str]


def dump_plan(stored: StoredPlan) -> bytes:
    """A plan as JSON."""
    plan = stored.plan
    table = {
        "source": _adapter(SlideSource).dump_python(plan.source),
        "survey": _adapter(Survey).dump_python(plan.survey),
        "normaliser": normaliser_table(plan.normaliser),
        "seconds": plan.seconds,
        "files": stored.files,
    }
    return json.dumps(table, separators=(",", ":"), default=_plain).encode()


def load_plan(data: bytes) -> StoredPlan:
    """What `dump_plan` wrote."""
    table = json.loads(data)
    plan = SlidePlan(
        _adapter(SlideSource).validate_python(table["source"]),
        _adapter(Survey).validate_python(table["survey"]),
        _normaliser(table["normaliser"]),
        table["seconds"],
    )
    return StoredPlan(plan, table["files"])


def normaliser_table(normaliser: Normaliser) -> dict[str, Any]:
    arrays = {"white": normaliser.white, "table": normaliser.table, "matrix": normaliser.matrix}
    return {
        "method": normaliser.method,
        "flags": list(normaliser.flags),
        "distance": None if normaliser.distance is None else float(normaliser.distance),
        **{name: None if array is None else array.tolist() for name, array in arrays.items()},
    }


def _normaliser(table: dict[str, Any]) -> Normaliser:
    return Normaliser(
        table["method"],
        np.array(table["white"], np.float64),
        None if table["table"] is None else np.array(table["table"], np.uint8),
        None if table["matrix"] is None else np.array(table["matrix"], np.float64),
        tuple(table["flags"]),
        table["distance"],
    )


@dataclass(frozen=True, slots=True)
class _CellsHeader:
    """All of `CutCells` but the pixels; of those the side of each kind of picture, px."""

    field_name: str
    detections: tuple[Detection, ...]
    measures: tuple[dict[str, float], ...]
    areas_um2: tuple[float, ...]
    focus: tuple[float, ...]
    seconds: dict[str, float]
    sides_px: dict[str, int]


def dump_cells(cut: CutCells) -> bytes:
    """Cut cells as safetensors: the pictures, and all else as JSON in the header."""
    from safetensors.numpy import save

    packed = {key: pack(images) for key, images in cut.pictures.items()}
    sides = {key: images.side_px for key, images in packed.items()}
    header = _CellsHeader(cut.field_name, cut.detections, cut.measures, cut.areas_um2, cut.focus, cut.seconds, sides)
    tensors = {f"{key}.pixels": images.pixels for key, images in packed.items()}
    tensors |= {f"{key}.rectangles": images.rectangles for key, images in packed.items()}
    return bytes(save(tensors, {"cells": dump(header).decode()}))


def load_cells(data: bytes) -> CutCells:
    """What `dump_cells` wrote."""
    from safetensors.numpy import load as load_tensors

    length = int.from_bytes(data[:8], "little")
    text = json.loads(data[8 : 8 + length])["__metadata__"]["cells"]
    header = load(_CellsHeader, text.encode())
    tensors = load_tensors(data)
    packed = {
        key: PackedPictures(tensors[f"{key}.pixels"], tensors[f"{key}.rectangles"], side)
        for key, side in header.sides_px.items()
    }
    return CutCells(
        header.field_name,
        header.detections,
        header.measures,
        header.areas_um2,
        header.focus,
        {key: unpack(images) for key, images in packed.items()},
        header.seconds,
    )


def dump_patient(patient: PatientResult) -> bytes:
    """A patient's number without its slides, which are records of their own."""
    return dump(replace(patient, slides=()))
