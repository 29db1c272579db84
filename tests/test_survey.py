"""A slide before it is searched: which error it fails by, and the scale that its images lend one another."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from smearscan.errors import ScaleError
from smearscan.records import FieldResult, SlideResult, SlideSource
from smearscan.report.content import _scale
from smearscan.settings import Settings
from smearscan.survey import Survey, survey_slide
from smearscan.synth import write_smear


def _source(folder: Path) -> SlideSource:
    return SlideSource("s", "P", str(folder), tuple(str(path) for path in sorted(folder.iterdir())))


def _one_cell(path: Path, width: int = 700, height: int = 500) -> None:
    """A picture with a nucleus and without a red cell, without a scale."""
    image = np.full((height, width, 3), 235, np.uint8)
    cv2.circle(image, (width // 2, height // 2), 40, (150, 50, 90), -1)
    cv2.imwrite(str(path), image)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_how_a_slide_fails_does_not_depend_on_its_files_names(tmp_path: Path, names: tuple[str, str]) -> None:
    junk, without_scale = names
    (tmp_path / f"{junk}.png").write_bytes(b"junk")
    _one_cell(tmp_path / f"{without_scale}.png")
    with pytest.raises(ScaleError):
        survey_slide(_source(tmp_path), Settings())


@pytest.fixture
def lent(tmp_path: Path) -> Survey:
    """Three images of one size: two whose files say a scale, 0.30 and 0.33 µm/px, before them one that says none."""
    _one_cell(tmp_path / "a.png")
    write_smear(tmp_path / "b.tif", 700, 500, 1, mpp=0.30)
    write_smear(tmp_path / "c.tif", 700, 500, 2, mpp=0.33)
    return survey_slide(_source(tmp_path), Settings())


def test_a_scale_that_was_borrowed_is_told_and_as_uncertain_as_the_lenders_differ(lent: Survey) -> None:
    scales = {plan.name: plan.scale for plan in lent.fields}
    assert scales["a.png"].source == "estimated"
    assert scales["a.png"].mpp.mean == pytest.approx(0.315, abs=0.002)
    assert scales["a.png"].relative_sd == pytest.approx(np.log(0.33 / 0.30) / 2, rel=0.05)
    assert "1 image without a scale takes that of the slide's others of their size, 0.3150 µm/px" in lent.notes


def test_a_report_does_not_call_a_borrowed_scale_measured(lent: Survey) -> None:
    first = lent.fields[0]
    fields = tuple(FieldResult(plan.name, plan.path, plan.size, plan.scale) for plan in lent.fields)
    slide = SlideResult(SlideSource("s", "P", "p", ("p",)), "done", scale=first.scale, size=first.size, fields=fields)
    assert "taken from the slide's other images" in _scale(slide)
    assert "0 red cells" not in _scale(slide)
