"""Names of artefacts: each says all that decides its bytes, so that a changed setting remakes what lies below it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import smearscan
from smearscan.aggregate import Validation
from smearscan.cut_cells import asked_inputs, picture_key
from smearscan.models import load_card
from smearscan.models.runtime import cpu_runtime, runtime
from smearscan.pipeline import Chunk, SlidePlan
from smearscan.provenance import package_names
from smearscan.records import SlideSource
from smearscan.settings import ClassifySettings, Settings
from smearscan.store.artefacts import artefact_key

#: Parts of the package that no result passes through.
_NO_RESULTS = {"cli", "train", "synth", "evaluate", "datasets", "store"}
#: Endings of source: a page is made by its templates as much as by Python.
_SOURCE = {".py", ".j2", ".css", ".js"}


@cache
def code_digest() -> str:
    """SHA-256 over the source that results pass through: another version of it makes other artefacts."""
    root = Path(smearscan.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in root.rglob("*") if path.suffix in _SOURCE):
        parts = path.relative_to(root).parts
        if parts[0] not in _NO_RESULTS:
            digest.update("/".join(parts).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def identity(settings: Settings) -> str:
    """Code, cards and weights that decide a run's results: a worker with another identity must not touch it.

    A card counts in full, not by the digest of its weights alone: a threshold that was edited on one host decides too.

    Raises
    ------
    WeightsError
        If a package that the settings name is not there.
    """
    return _digest([code_digest(), {name: load_card(name).model_dump(mode="json") for name in package_names(settings)}])


def runtimes() -> dict[str, str]:
    """Queue → what its networks run on in this process: detector and masks on the CPU, all others where there is one on
    the GPU.
    """
    return {"cpu": cpu_runtime(), "gpu": runtime(), "io": runtime()}


def survey_key(source: SlideSource, files: dict[str, str], settings: Settings) -> str:
    """Of a slide's plan: whose it is does not matter."""
    parts = [part.model_dump(mode="json") for part in (settings.scale, settings.regions, settings.stain)]
    return artefact_key(
        "survey",
        code_digest(),
        source.path,
        [source.mpp_given, repr(source.shared_scale), source.repeated],
        files,
        parts,
    )


def search_key(chunk: Chunk, content: str) -> str:
    """Of the detections on some tiles of an image of that content."""
    tiles = [[*_box(tile.core), *_box(tile.halo)] for tile in chunk.tiles]
    scale = chunk.field.scale.mpp
    weights = load_card("detector").sha256
    named = [
        content,
        chunk.field.name,
        [scale.x, scale.y],
        tiles,
        chunk.settings.detect.model_dump(mode="json"),
        weights,
    ]
    return artefact_key("search", code_digest(), cpu_runtime(), named)


def gather_key(survey: str, searched: Sequence[str], settings: Settings) -> str:
    """Of a slide's cells in sets."""
    knobs = [settings.detect.merge_iou, settings.classify.chunk_cells]
    return artefact_key("gather", code_digest(), survey, list(searched), knobs)


def crop_key(chunk: Chunk, content: str, normaliser: dict[str, Any]) -> str:
    """Of cells cut from an image of that content: without the networks, but with the pictures they ask for."""
    cells = [[*_box(detection.box), detection.score] for detection in chunk.detections]
    scale = chunk.field.scale.mpp
    inputs = asked_inputs(chunk.settings.classify)
    asked = sorted(picture_key(card) for card in inputs)
    # Cards that take each cell's own stain out, or none, never see the slide's.
    stain = normaliser if any(card.stain == "slide" for card in inputs) else None
    named = [content, chunk.field.name, [scale.x, scale.y], cells, stain, asked, load_card("cellmask").sha256]
    return artefact_key("crop", code_digest(), cpu_runtime(), named)


def classify_key(crop: str, settings: ClassifySettings) -> str:
    """Of the verdicts on cut cells."""
    return artefact_key("classify", code_digest(), runtime(), crop, judge_digest(settings))


@cache
def judge_digest(settings: ClassifySettings) -> str:
    """Networks, their weights and how they are put together: cells of one digest may be judged together.

    The cards are read once a process, as for `identity`: whoever changes them makes it another worker.
    """
    cards = {name: load_card(name).model_dump(mode="json") for name in (*settings.cell_type, *settings.blast)}
    # How many cells come at a time never changes a verdict.
    return _digest([settings.model_dump(mode="json", exclude={"chunk_cells"}), cards])


def finish_key(survey: str, plan: SlidePlan, searched: Sequence[str], judged: Sequence[str]) -> str:
    """Of a slide's record."""
    return artefact_key("finish", code_digest(), survey, list(searched), list(judged), plan.source.slide_id)


def aggregate_key(patient_id: str, slides: Sequence[object], settings: Settings, validation: Validation) -> str:
    """Of a patient's number: from its slides' records, or the reasons why they have none."""
    return artefact_key(
        "aggregate",
        code_digest(),
        patient_id,
        list(slides),
        settings.aggregate.model_dump(mode="json"),
        repr(validation),
    )


def report_key(aggregate: str, settings: Settings, preset: str) -> str:
    """Of a patient's page."""
    return artefact_key(
        "report", code_digest(), runtime(), aggregate, settings.model_dump(mode="json"), identity(settings), preset
    )


def _box(box: Any) -> tuple[int, int, int, int]:
    return box.x, box.y, box.width, box.height


def _digest(parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]
