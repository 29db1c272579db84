"""Stored smears: pyramids that any reader opens, the same bytes for the same arguments, the truth beside them."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from smearscan.cli.main import cli
from smearscan.errors import OutputError
from smearscan.synth import draw_smear, read_truth, write_smear
from smearscan.synth.laboratories import LABORATORIES

OPTIONS: dict[str, object] = {"laboratory": "meadow", "n_variants": 3, "blast_fraction": 0.2, "cells_per_mm2": 600}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first = write_smear(tmp_path / "a.tif", 1300, 1100, 1, **OPTIONS)
    again = write_smear(tmp_path / "b.tif", 1300, 1100, 1, **OPTIONS)
    assert _digest(first.path) == _digest(again.path)
    assert first.truth_csv.read_bytes() == again.truth_csv.read_bytes()
    assert first.truth_json.read_bytes() == again.truth_json.read_bytes()


def test_a_pyramid_has_three_levels_each_a_quarter_of_the_one_before(tmp_path: Path) -> None:
    path = write_smear(tmp_path / "scan.tif", 1301, 1099, 1, **OPTIONS).path
    with tifffile.TiffFile(path) as tif:
        assert [page.shape for page in tif.pages] == [(1099, 1301, 3), (275, 326, 3), (69, 82, 3)]
        assert all(page.is_tiled for page in tif.pages)
        full, quarter = tif.pages[0].asarray(), tif.pages[1].asarray()
    shrunk = full[:1096, :1300].reshape(274, 4, 325, 4, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - quarter[:274, :325]).mean() < 5


def test_a_stored_pyramid_shows_what_was_painted(tmp_path: Path) -> None:
    path = write_smear(tmp_path / "scan.tif", 600, 400, 2, **OPTIONS).path
    pixels, cells = draw_smear(600, 400, 2, **OPTIONS)
    assert np.abs(tifffile.imread(path, key=0).astype(int) - pixels).mean() < 4
    assert read_truth(tmp_path / "scan.truth.csv") == cells


def test_scale_is_stored_unless_it_is_to_be_left_out(tmp_path: Path) -> None:
    told = write_smear(tmp_path / "told.tif", 300, 200, 1, mpp=0.5, **OPTIONS)
    untold = write_smear(tmp_path / "untold.tif", 300, 200, 1, mpp=0.5, has_mpp=False, **OPTIONS)
    with tifffile.TiffFile(told.path) as tif:
        numerator, denominator = tif.pages[0].tags["XResolution"].value
        assert numerator / denominator == pytest.approx(1e4 / 0.5)
        assert "MPP = 0.5" in tif.pages[0].description
    with tifffile.TiffFile(untold.path) as tif:
        assert tif.pages[0].tags["XResolution"].value == (1, 1)
        assert "MPP" not in tif.pages[0].description
    assert json.loads(untold.truth_json.read_text())["mpp"] == 0.5


def test_the_truth_lists_every_cell_under_its_columns(tmp_path: Path) -> None:
    truth = write_smear(tmp_path / "scan.tif", 800, 1500, 3, **OPTIONS)
    rows = list(csv.DictReader(truth.truth_csv.read_text().splitlines()))
    assert list(rows[0])[:5] == ["x_px", "y_px", "width_px", "height_px", "cell_class"]
    assert len(rows) == sum(truth.counts.values())
    table = json.loads(truth.truth_json.read_text())
    assert table["n_leukocytes"] == truth.n_leukocytes
    assert table["laboratory"] == "meadow"


@pytest.mark.parametrize("name", ["field.png", "field.jpg", "field.bmp"])
def test_a_lone_field_is_stored_as_a_plain_image(tmp_path: Path, name: str) -> None:
    from PIL import Image

    truth = write_smear(tmp_path / name, 320, 240, 4, **OPTIONS)
    pixels, _ = draw_smear(320, 240, 4, **OPTIONS)
    with Image.open(truth.path) as image:
        assert image.size == (320, 240)
        assert np.abs(np.asarray(image).astype(int) - pixels).mean() < 4


def test_progress_ends_at_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_smear(tmp_path / "a.tif", 300, 2200, 1, progress=lambda done, total: seen.append((done, total)), **OPTIONS)
    assert seen == [(1024, 2200), (2048, 2200), (2200, 2200)]


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_drawing_that_is_stopped_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_smear(tmp_path / name, 300, 1200, 1, progress=stop, **OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_a_laboratory_that_is_none_is_refused_with_those_there_are(tmp_path: Path) -> None:
    given = ["synth", "--width", "64", "--height", "64", "--laboratory", "nowhere", "--out", str(tmp_path / "a.png")]
    said = CliRunner().invoke(cli, given)
    assert said.exit_code == 2 and f"choose one of {', '.join(LABORATORIES)}" in " ".join(said.output.split())


def test_an_unknown_ending_and_a_missing_folder_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.webp"):
        write_smear(tmp_path / "a.webp", 10, 10, 1)
    with pytest.raises(OutputError, match=r"a\.tif"):
        write_smear(tmp_path / "none" / "a.tif", 10, 10, 1)
