"""Ready-made pictures of single cells: a line for each, a probability for each that can be read."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner

from smearscan.cli.main import cli
from smearscan.common_scale import LEAST_PICTURES


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


def test_a_grey_picture_stored_in_colour_is_a_line_with_a_reason_as_screening_refuses_it(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "colour.png"), _cell(120))
    grey = cv2.cvtColor(_cell(120), cv2.COLOR_BGR2GRAY)
    for name in ("grey.png", "grey.jpg"):
        cv2.imwrite(str(tmp_path / name), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    out = tmp_path / "out" / "predictions.csv"
    result = CliRunner().invoke(cli, ["classify", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 1 and "3 images, 2 failed" in result.output
    with out.open(encoding="utf-8", newline="") as file:
        colour, *greys = csv.DictReader(file)
    assert colour["cell_class"] and not colour["reason"]
    for row in greys:
        assert (row["cell_class"], row["blast_probability"]) == ("", "")
        assert f"{row['path']} is grey, though stored as RGB. A Romanowsky stain is judged" in row["reason"]


def test_a_picture_is_judged_alike_alone_and_among_broken_ones(tmp_path: Path) -> None:
    for i, side in enumerate((120, 150, 180)):
        cv2.imwrite(str(tmp_path / f"{i}.png"), _cell(side))
    (tmp_path / "1a.png").write_text("no picture", "utf-8")
    cv2.imwrite(str(tmp_path / "2a.png"), _cell(8))

    def judged(*names: str) -> dict[str, dict[str, str]]:
        out = tmp_path / "predictions.csv"
        CliRunner().invoke(cli, ["classify", *(str(tmp_path / name) for name in names), "--out", str(out)])
        with out.open(encoding="utf-8", newline="") as file:
            return {Path(row["path"]).name: row for row in csv.DictReader(file)}

    together = judged("0.png", "1.png", "1a.png", "2.png", "2a.png")
    assert list(together) == ["0.png", "1.png", "1a.png", "2.png", "2a.png"]
    assert [name for name, row in together.items() if row["reason"]] == ["1a.png", "2a.png"]
    for name in ("0.png", "1.png", "2.png"):
        assert judged(name) == {name: together[name]} and together[name]["blast_probability"]


def _drawn_cells(folder: Path, n: int) -> Path:
    """Class folders with drawn cells of one picture size, small ones and large ones, in a film of red cells."""
    rng = np.random.default_rng(3)
    for i in range(n):
        image = np.full((90, 90, 3), (225, 215, 230), np.uint8)
        for x, y in rng.integers(0, 90, (5, 2)):
            cv2.circle(image, (int(x), int(y)), 16, (165, 165, 215), -1)
        radius = 14 + i
        cv2.circle(image, (45, 45), radius, (205, 180, 195), -1)
        chromatin = (130, 50, 100) if i % 2 else (165, 95, 140)
        cv2.circle(image, (45 - i % 4, 45), round(radius * (0.9 - 0.03 * (i % 7))), chromatin, -1)
        if not i % 2:  # a nucleolus: without it the network says much the same of all
            cv2.circle(image, (45, 42), radius // 4, (150, 110, 150), -1)
        name = folder / ("blast" if i % 2 else "other") / f"{i:02d}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(name), cv2.GaussianBlur(image, (0, 0), 1.2))
    return folder


def test_evaluate_judges_the_pictures_that_classify_judges(tmp_path: Path) -> None:
    """A preset of one member and no size evidence: what it says of a picture is what `evaluate` measures."""
    data = _drawn_cells(tmp_path / "data", LEAST_PICTURES + 2)
    preset = tmp_path / "lone.toml"
    preset.write_text(
        '[classify]\nblast = ["blast"]\nblast_weights = [1.0]\nblast_home = ""\nblast_offset = 0.0\nsize_weight = 0.0\n'
    )
    out, measured = tmp_path / "predictions.csv", tmp_path / "measured"
    done = CliRunner().invoke(cli, ["classify", str(data), "--preset", str(preset), "--out", str(out)])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(cli, ["evaluate", "blast", "--data", str(data), "--out", str(measured)])
    assert done.exit_code == 0, done.output
    with out.open(encoding="utf-8", newline="") as file:
        said = {Path(row["path"]).relative_to(data).as_posix(): row for row in csv.DictReader(file)}
    with (measured / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: float(row["blast"]) for row in csv.DictReader(file)}
    assert set(rows) == set(said) and len(rows) == LEAST_PICTURES + 2
    (scale,) = {row["notes"].split("; ")[0] for row in said.values()}
    assert "red cells on pictures of this size" in scale  # a scale in common, found by both
    apart = [abs(rows[path] - float(row["blast_probability"])) for path, row in said.items()]
    assert max(apart) < 1e-5 and np.ptp(list(rows.values())) > 0.1
