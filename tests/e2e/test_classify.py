"""Ready-made pictures of single cells: a line for each, a probability for each that can be read."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner

from smearscan.cli.main import cli


def _cell(side: int) -> np.ndarray:
    image = np.full((side, side, 3), (225, 215, 230), np.uint8)
    cv2.circle(image, (side // 2, side // 2), side // 4, (150, 70, 110), -1)
    return image


def test_every_picture_has_a_line_and_every_readable_one_a_probability(tmp_path: Path) -> None:
    for name, side in (("large", 300), ("small", 40)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), _cell(side))
    (tmp_path / "text.png").write_text("no picture", "utf-8")
    out = tmp_path / "out" / "predictions.csv"
    names = [str(tmp_path / f"{name}.png") for name in ("large", "small", "text")]
    # At 0.9 µm/px the small picture is coarser than any card allows: judged all the same, and said.
    result = CliRunner().invoke(cli, ["classify", *names[1:], "--mpp", "0.9", "--out", str(out)])
    assert result.exit_code == 1, result.output
    with out.open(encoding="utf-8", newline="") as file:
        small, text = csv.DictReader(file)
    assert 0 <= float(small["blast_probability"]) <= 1
    assert "coarser" in small["notes"]
    assert (text["blast_probability"], text["cell_class"]) == ("", "")
    assert "text.png" in text["reason"]
    result = CliRunner().invoke(cli, ["classify", names[0], "--out", str(out)])
    assert result.exit_code == 0, result.output
