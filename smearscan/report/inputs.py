"""What a report is made of besides the patient's result: pictures, and what made the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smearscan.geometry import Box
from smearscan.models.field_subtypes import FieldSubtypes
from smearscan.report.identity import CellKey


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A small image of one scan or field: (H, W, 3) uint8 RGB; a level-0 pixel times `scale` is one of its own."""

    pixels: np.ndarray
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Streams:
    """What a WT-DFN made of one cell: where its attention lies, what it zooms into and what it blacks out.

    Attributes
    ----------
    attention
        (h, w) float, 0 to 1.
    crop
        What it zooms into, px of `attention`.
    erased
        (h, w) bool, what it blacks out.
    """

    attention: np.ndarray
    crop: Box
    erased: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class CellImage:
    """What is shown of one cell.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB, at most 450×450, background kept; no finer than the slide but under attention.
    um_per_px
        Its scale, for the scale bar; None draws none.
    attention
        (h, w) float, 0 to 1, over what the network was shown; None where none was computed.
    streams
        Of a network that has any, over the same.
    share
        Side of what the network was shown, about the picture's middle, of the picture's side; 0 to 1.
    """

    pixels: np.ndarray
    um_per_px: float | None = None
    attention: np.ndarray | None = None
    streams: Streams | None = None
    share: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class ReportImages:
    """Pictures of a report.

    `thumbnails` by (slide_id, field name; "" for a scan), `gallery` by (slide_id, cell_id). What is
    missing is shown as missing. `subtypes` is what the fields around the suspect cells look like; None says nothing.
    """

    thumbnails: Mapping[tuple[str, str], Thumbnail] = field(default_factory=dict)
    gallery: Mapping[CellKey, CellImage] = field(default_factory=dict)
    subtypes: FieldSubtypes | None = None


@dataclass(frozen=True, slots=True)
class RunInfo:
    """What made the results; written whole to run.json.

    Attributes
    ----------
    weights_digests
        Package name to sha256 of its weights.
    stage_seconds
        Wall-clock seconds per stage, summed over slides.
    model_cards
        The cards as read from configs/cards.
    versions
        Of the libraries that decide a result: python, torch, numpy, …
    settings
        Every knob, as plain values.
    """

    version: str
    preset: str
    settings_digest: str
    weights_digests: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    model_cards: tuple[dict[str, Any], ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    n_jobs: int = 1
