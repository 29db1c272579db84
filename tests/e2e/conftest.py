"""Small synthetic smears, drawn once, and the command line run as a person runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from finished_run import Run

from smearscan.cli.main import cli
from smearscan.synth import write_smear


@pytest.fixture(scope="session")
def field_png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A field of 1200 × 900 px at 0.2 µm/px with a dozen leukocytes, without a scale in the file."""
    path = tmp_path_factory.mktemp("smears") / "field.png"
    write_smear(path, 1200, 900, 5, mpp=0.2, cells_per_mm2=600.0)
    return path


@pytest.fixture(scope="session")
def scan_tif(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pyramidal scan of 3000 × 2200 px at 0.2 µm/px with its scale."""
    path = tmp_path_factory.mktemp("smears") / "scan.tif"
    write_smear(path, 3000, 2200, 6, mpp=0.2, cells_per_mm2=500.0, blast_fraction=0.3, layout="field")
    return path


@pytest.fixture
def screen(tmp_path: Path) -> Callable[..., Run]:
    """Run `smearscan screen ARGUMENTS --out tmp_path/out --jobs 1` on a state of its own."""

    def run(*arguments: object, out: str = "out", jobs: int = 1) -> Run:
        folder = tmp_path / out
        given = ["screen", *map(str, arguments), "--out", str(folder), "--jobs", str(jobs)]
        if "--state" not in given:
            given += ["--state", str(tmp_path / f"{out}.state")]
        result = CliRunner().invoke(cli, given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Run(result.exit_code, result.output, folder)

    return run
