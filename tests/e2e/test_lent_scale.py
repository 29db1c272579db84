"""Fields that say nothing of scale and show few red cells are scaled by the fields that came with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smearscan import spotting
from smearscan.lending import lend_scales
from smearscan.settings import Settings
from smearscan.submission import gather
from smearscan.synth import write_smear

Screen = Callable[..., Any]


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five fields of one camera at 0.2 µm/px, one of them almost without red cells."""
    folder = tmp_path_factory.mktemp("fields")
    for n in range(4):
        write_smear(folder / f"f{n}.png", 700, 600, 60 + n, mpp=0.2, cells_per_mm2=400.0)
    poor = folder / "poor.png"
    write_smear(poor, 700, 600, 70, mpp=0.2, cells_per_mm2=400.0)
    _whiten(poor)
    return folder


def _whiten(path: Path) -> None:
    """Leave a strip of the field, the rest is glass: too few red cells to measure."""
    import cv2

    image = cv2.imread(str(path))
    image[:, 70:] = image.reshape(-1, 3).max(axis=0)
    cv2.imwrite(str(path), image)


def test_fields_of_one_size_are_lent_the_scale_they_agree_on(fields: Path) -> None:
    submission = lend_scales(gather([fields]), Settings())
    scales = [source.shared_scale for source in submission.sources]
    assert all(scale is not None and scale.mpp == pytest.approx(0.2, rel=0.1) for scale in scales)


def test_fields_too_few_to_agree_are_measured_once_when_their_turn_comes(
    fields: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def count(rgb: np.ndarray) -> None:
        measured.append(len(rgb))

    monkeypatch.setattr(spotting, "measure_red_cells", count)
    few = sorted(fields.glob("f*.png"))[:3]
    assert lend_scales(gather(few), Settings()).sources == gather(few).sources
    assert not measured
    lend_scales(gather([fields]), Settings())
    assert len(measured) == 5


def test_a_given_scale_is_not_replaced(fields: Path) -> None:
    submission = lend_scales(gather([fields], mpp=0.25), Settings())
    assert all(source.shared_scale is None for source in submission.sources)


def test_a_field_too_poor_to_be_measured_is_screened_and_says_whose_scale_it_has(screen: Screen, fields: Path) -> None:
    alone = screen(fields / "poor.png", out="alone").rows("slides.csv")
    assert alone[0]["status"] == "failed" and "red cells" in alone[0]["reason"]
    together = {row["slide_id"]: row for row in screen(fields, out="together").rows("slides.csv")}
    assert together["poor"]["status"] == "done", together["poor"]["reason"]
    assert together["poor"]["mpp_source"] == "estimated"
    assert "images of this size" in together["poor"]["notes"]
