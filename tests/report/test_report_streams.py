"""Where the lead member is a WT-DFN, a report shows what its attention crops and erases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_results import fake_cell, fake_patient, fake_run

from smearscan.geometry import Box, Mpp, Size
from smearscan.models import InputCard, ModelCard, create_model, save_package
from smearscan.pictures import PictureJob, take_pictures
from smearscan.records import FieldResult, PatientResult, Scale, SlideResult, SlideSource
from smearscan.report.content import CellImage, ReportImages, Streams
from smearscan.report.html import render_report
from smearscan.report.images import attended, attention_pair, middle, stream_pictures
from smearscan.settings import Settings
from smearscan.synth import write_smear

WINDOW_UM = 22.0
_SAID = "a frame around what it zooms into"


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> PatientResult:
    """Two cells of a small drawn field, both called blasts."""
    path, size = tmp_path_factory.mktemp("smears") / "field.png", Size(300, 240)
    write_smear(path, *size, 5, mpp=0.2, cells_per_mm2=600.0)
    scale = Scale(Mpp(0.2, 0.2), "given")
    cells = tuple(fake_cell(x=x, y=60, blast_probability=0.9) for x in (20, 150))
    source = SlideSource("s", "p", str(path), (str(path),))
    field = FieldResult("", str(path), size, scale)
    return fake_patient("p", [SlideResult(source, "done", scale=scale, fields=(field,), size=size, cells=cells)])


def _preset(folder: Path, network: str, options: dict[str, Any]) -> Settings:
    """A preset whose blasts are called by one untrained network."""
    torch.manual_seed(0)
    card = ModelCard(
        name="lead",
        summary="untrained, for tests",
        network=network,
        options=options,
        classes=("other", "blast"),
        input=InputCard(window_um=WINDOW_UM, um_per_px=WINDOW_UM / 32, side_px=32, background="kept"),
        thresholds={"blast": 0.5},
    )
    path, _ = save_package(create_model(network, 2, **options), card, folder=folder)
    classify = {"blast": (str(path),), "blast_weights": (1.0,), "blast_home": ""}
    return Settings.model_validate({"classify": classify, "report": {"max_subtype_fields": 0}})


def _page(patient: PatientResult, settings: Settings) -> tuple[ReportImages, str]:
    pictures = take_pictures(PictureJob(patient, settings))
    return pictures, render_report(patient, fake_run(), pictures, settings)


def test_the_attention_of_a_wtdfn_that_leads_is_on_the_reports_cells(patient: PatientResult, tmp_path: Path) -> None:
    settings = _preset(tmp_path, "wtdfn_resnet18", {"small_input": True, "n_maps": 2})
    pictures, page = _page(patient, settings)
    assert _SAID in page and len(pictures.gallery) == 2
    for cell in pictures.gallery.values():
        assert cell.attention is not None and cell.streams is not None
        streams = cell.streams
        assert streams.attention.shape == streams.erased.shape == cell.attention.shape == (32, 32)
        assert cell.share == pytest.approx(WINDOW_UM / 29, rel=0.02)
        rows, columns = np.nonzero(streams.erased)
        box = Box(*map(int, (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)))
        assert streams.crop == box  # it zooms into what it blacks out
    assert _page(patient, settings)[1] == page


def test_any_other_network_that_leads_shows_grad_cam_alone(patient: PatientResult, tmp_path: Path) -> None:
    pictures, page = _page(patient, _preset(tmp_path, "cnn_cbam", {"widths": [4], "head": "gap", "hidden": 4}))
    assert "Where the network looked" in page and _SAID not in page
    assert all(c.attention is not None and c.streams is None for c in pictures.gallery.values())
    assert all(c.share == pytest.approx(WINDOW_UM / 29, rel=0.02) for c in pictures.gallery.values())


def test_a_cell_is_shown_no_finer_than_its_slide_but_under_attention(patient: PatientResult, tmp_path: Path) -> None:
    """29 µm of 0.2 µm pixels: drawn larger they would say no more; but on so few no attention can be drawn."""
    settings = _preset(tmp_path, "cnn_cbam", {"widths": [4], "head": "gap", "hidden": 4})
    report = settings.report.model_copy(update={"max_attention_cells": 0})
    for sides, chosen in (({145}, settings.model_copy(update={"report": report})), ({450}, settings)):
        pictures, _ = _page(patient, chosen)
        assert {side for cell in pictures.gallery.values() for side in cell.pixels.shape[:2]} == sides
        assert all(cell.um_per_px == pytest.approx(29 / side) for cell in pictures.gallery.values() for side in sides)


def test_heat_lies_where_the_network_of_a_narrow_window_looked() -> None:
    rgb = np.full((120, 120, 3), 128, np.uint8)
    heat = np.zeros((6, 6))
    heat[0, 0] = 1.0
    drawn = attended(CellImage(rgb, 0.2, share=0.5), heat)
    assert drawn.shape == (60, 121, 3)  # the middle half, twice
    assert drawn[2, 63, 0] > 200 and (drawn[30:, :60] == 128).all()


def test_the_frame_and_what_is_blacked_out_lie_where_the_attention_does() -> None:
    rgb = np.full((120, 120, 3), 128, np.uint8)
    rgb[:30] = 200  # outside the window
    erased = np.zeros((6, 6), bool)
    erased[1:3, 2:5] = True
    streams = Streams(erased.astype(float), Box(2, 1, 3, 2), erased)
    drawn = stream_pictures(middle(rgb, 0.5), np.zeros((6, 6)), streams)
    assert drawn.shape == (121, 121, 3)
    own, kept = drawn[61:, :60].astype(int), drawn[61:, 61:]
    black = np.zeros((60, 60), bool)
    black[10:30, 20:50] = True
    assert np.array_equal((kept == 0).all(2), black) and (kept[~black] == 128).all()
    assert (own[10, 20:50] == 255).all() and (own[10:30, 49] == 255).all() and (own[9, 25:45] == 0).all()
    assert own[20, 35, 0] > 200 > own[20, 35, 2] and (own[45:, :] == 128).all()  # hot inside, untouched outside
    assert np.array_equal(drawn[:60], attention_pair(rgb[30:90, 30:90], np.zeros((6, 6))))
