"""`smearscan detect` on fields that say nothing of scale and whose red cells cannot be measured."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from smearscan.cli.main import cli
from smearscan.detect.pooled_scale import PooledScale
from smearscan.settings import Settings
from smearscan.spotting import agreed_scales, shared_scales, spot_leukocytes

MPP = 0.2
#: Where leukocytes stand on each field, µm; the fields are 64 × 56 µm.
CELLS_UM = [[(20, 20), (45, 35)], [(30, 28)], [(16, 38), (48, 18)], [(40, 30)], [(24, 24), (50, 42)]]


def _field(cells_um: list[tuple[int, int]], seed: int) -> np.ndarray:
    """Leukocytes 12.5 µm wide on clear glass, (280, 320, 3) uint8 RGB: there is no red cell to measure."""
    import cv2

    rng = np.random.default_rng(seed)
    image = np.full((280, 320, 3), (236, 230, 232), np.uint8)
    for x, y in cells_um:
        centre = (round(x / MPP), round(y / MPP))
        cv2.circle(image, centre, round(6.25 / MPP), (186, 172, 214), -1)
        cv2.ellipse(image, centre, (round(4.4 / MPP), round(3.8 / MPP)), 30, 0, 360, (98, 52, 138), -1)
    image = cv2.GaussianBlur(image, (0, 0), 0.35 / MPP).astype(np.int16)
    return np.clip(image + rng.integers(-4, 5, image.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    import cv2

    folder = tmp_path_factory.mktemp("no_red_cells")
    paths = [folder / f"f{n}.png" for n in range(len(CELLS_UM))]
    for n, path in enumerate(paths):
        cv2.imwrite(str(path), _field(CELLS_UM[n], n)[..., ::-1])
    return paths


@pytest.fixture(scope="module")
def agreed(fields: list[Path]) -> dict:
    return agreed_scales(fields, Settings())


def test_fields_without_red_cells_share_the_scale_their_leukocytes_agree_on(agreed: dict) -> None:
    (scale,) = agreed.values()
    assert isinstance(scale, PooledScale) and scale.n_images == len(CELLS_UM)
    assert MPP / 1.5 < scale.mpp < MPP * 1.5


def test_every_leukocyte_is_found_at_the_shared_scale(fields: list[Path], agreed: dict) -> None:
    for path, cells in zip(fields, CELLS_UM, strict=True):
        spots = spot_leukocytes(path, Settings(), None, agreed)
        middles = [((s.x_px + s.width_px / 2) * MPP, (s.y_px + s.height_px / 2) * MPP) for s in spots]
        assert len(middles) == len(cells)
        assert all(min(np.hypot(x - u, y - v) for u, v in middles) < 3 for x, y in cells)


def test_the_order_in_which_fields_are_named_changes_nothing(fields: list[Path], agreed: dict) -> None:
    assert agreed_scales(fields[::-1], Settings()) == agreed


def test_such_a_guess_is_never_lent_to_a_screening(fields: list[Path]) -> None:
    assert shared_scales(fields, Settings()) == {}


def test_the_guess_is_told_and_screening_still_refuses(fields: list[Path], tmp_path: Path) -> None:
    folder, out = str(fields[0].parent), tmp_path / "boxes.csv"
    done = CliRunner().invoke(cli, ["detect", folder, "--out", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "320×280: no scale and few red cells: guessed from the leukocytes of 5 images" in done.stderr
    with out.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == sum(map(len, CELLS_UM))
    screened = CliRunner().invoke(
        cli, ["screen", folder, "--out", str(tmp_path / "run"), "--state", str(tmp_path / "s"), "--jobs", "1"]
    )
    assert screened.exit_code != 0
    with (tmp_path / "run" / "slides.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and all(row["status"] == "failed" and "red cells" in row["reason"] for row in rows)


def test_a_given_scale_is_taken_without_asking_the_cells(fields: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "boxes.csv"
    done = CliRunner().invoke(cli, ["detect", str(fields[0]), "--mpp", str(MPP), "--out", str(out)])
    assert done.exit_code == 0 and "guessed" not in done.stderr
