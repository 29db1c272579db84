"""Cells on their way from the slide to the networks."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from smearscan.cut_cells import CutCells, asked_inputs, picture_key
from smearscan.errors import UnsupportedImageError
from smearscan.geometry import Mpp
from smearscan.models import InputCard
from smearscan.pipeline import (
    Chunk,
    classify_cells,
    crop_chunk,
    judge_chunk,
    judge_chunks,
    plan_slide,
    search_chunk,
    search_chunks,
)
from smearscan.records import Scale, SlideSource
from smearscan.settings import Settings
from smearscan.synth import write_smear

SETTINGS = Settings()


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> list[Chunk]:
    """The cells of a small field, five a chunk."""
    path = tmp_path_factory.mktemp("smears") / "field.png"
    write_smear(path, 1000, 800, 5, mpp=0.2, cells_per_mm2=600.0)
    settings = SETTINGS.model_copy(update={"classify": SETTINGS.classify.model_copy(update={"chunk_cells": 5})})
    plan = plan_slide((SlideSource("s", "p", str(path), (str(path),), mpp_given=0.2), settings))
    return judge_chunks(plan, settings, [search_chunk(chunk) for chunk in search_chunks(plan, settings)])


@pytest.fixture(scope="module")
def cut(chunks: list[Chunk]) -> list[CutCells]:
    return [crop_chunk(chunk) for chunk in chunks]


def test_cut_cells_hold_the_pictures_the_cards_ask_for_and_no_larger_ones(cut: list[CutCells]) -> None:
    asked = {picture_key(card): card.side_px for card in asked_inputs(SETTINGS.classify)}
    assert len(cut) > 1
    for cells in cut:
        assert {key: picture.shape for key, picture in cells.pictures.items()} == {
            key: (len(cells), side, side, 3) for key, side in asked.items()
        }
        assert all(picture.dtype == np.uint8 for picture in cells.pictures.values())
        assert len(cells.measures) == len(cells.areas_um2) == len(cells.focus) == len(cells)
        assert len(pickle.dumps(cells)) < 60_000 * len(cells)


def test_cells_of_several_chunks_judged_together_are_as_judged_alone(chunks: list[Chunk], cut: list[CutCells]) -> None:
    sent = pickle.loads(pickle.dumps(cut))
    together = classify_cells(sent, SETTINGS)
    assert [outcome.cells for outcome in together] == [judge_chunk(chunk).cells for chunk in chunks]
    backwards = classify_cells(sent[::-1], SETTINGS)[::-1]
    assert [outcome.cells for outcome in together] == [outcome.cells for outcome in backwards]


def test_a_set_without_cells_gives_an_outcome_without_cells(chunks: list[Chunk], cut: list[CutCells]) -> None:
    nothing = crop_chunk(replace(chunks[0], detections=()))
    assert [len(outcome.cells) for outcome in classify_cells([nothing, cut[0], nothing], SETTINGS)] == [0, 5, 0]
    assert classify_cells([nothing], SETTINGS)[0].cells == ()
    assert classify_cells([], SETTINGS) == []


def test_a_slide_too_coarse_for_a_network_is_refused_by_name_when_its_cells_are_cut(chunks: list[Chunk]) -> None:
    coarse = replace(chunks[0].field, scale=Scale(Mpp(0.8, 0.8), "given"))
    with pytest.raises(UnsupportedImageError, match=r"field\.png has 0\.8"):
        crop_chunk(replace(chunks[0], field=coarse))


def test_pictures_are_shared_by_cards_that_differ_only_in_what_is_done_to_them_later() -> None:
    card = InputCard(window_um=29.0, um_per_px=0.45, side_px=64, background="black", stain="cell")
    assert picture_key(card) == picture_key(card.model_copy(update={"mean": (0.5, 0.5, 0.5)}))
    assert picture_key(card) != picture_key(card.model_copy(update={"stain": "none"}))
    assert picture_key(card) != picture_key(card.model_copy(update={"side_px": 72}))
