"""The sample smears are what their script draws, and enough to judge a patient by."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample_data", SAMPLES / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["anna_1.tif", "cleo/field_3.jpg"])
def test_a_sample_drawn_again_has_the_same_bytes(make: ModuleType, tmp_path: Path, name: str) -> None:
    again = make.draw(name, tmp_path)
    for path in (again, again.with_suffix(".truth.csv"), again.with_suffix(".truth.json")):
        stored = SAMPLES / path.relative_to(tmp_path)
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(stored.read_bytes()).digest(), stored.name


def test_the_samples_are_small_and_each_has_its_truth(make: ModuleType) -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 15_000_000
    for name in make.SMEARS:
        path = SAMPLES / name
        assert path.is_file() and path.with_suffix(".truth.csv").is_file()


def test_every_patient_of_the_worksheet_has_leukocytes_enough() -> None:
    counted: dict[str, int] = {}
    for row in csv.DictReader((SAMPLES / "worksheet.csv").read_text().splitlines()):
        path = SAMPLES / row["path"]
        truths = sorted(path.glob("*.truth.json")) if path.is_dir() else [path.with_suffix(".truth.json")]
        n = sum(json.loads(truth.read_text())["n_leukocytes"] for truth in truths)
        counted[row["patient_id"]] = counted.get(row["patient_id"], 0) + n
    assert len(counted) == 3
    assert min(counted.values()) >= 220
