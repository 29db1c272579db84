"""The README's first command gives what sample_data/expected.toml says."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from finished_run import Run

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data"


@pytest.mark.slow
def test_the_sample_smears_read_as_they_must(screen: Callable[..., Run]) -> None:
    run = screen("--worksheet", SAMPLES / "worksheet.csv", jobs=2)
    assert run.code == 0, run.said
    expected = tomllib.loads((SAMPLES / "expected.toml").read_text("utf-8"))
    read = {row["patient_id"]: row for row in run.rows("patients.csv")}
    assert set(read) == set(expected)
    for patient, must in expected.items():
        low, high = must["n_leukocytes"]
        assert low <= int(read[patient]["n_leukocytes"]) <= high, patient
        assert read[patient]["flag"] in must["flags"], patient
        assert (run.out / "report" / f"{patient}.html").stat().st_size < 10_000_000
