"""A submission put into the state."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from smearscan import __version__
from smearscan.errors import SlideError
from smearscan.records import SlideSource
from smearscan.settings import Settings
from smearscan.slide.content import Stamp
from smearscan.stages.copies import Copies, find_copies
from smearscan.stages.keys import identity
from smearscan.stages.stamps import stamp_images
from smearscan.stages.table import STAGES
from smearscan.store.claims import ROUTINE
from smearscan.store.submit import NewRun, NewSlide
from smearscan.store.text import storable
from smearscan.submission import Submission


def new_run(
    submission: Submission,
    settings: Settings,
    preset: str,
    *,
    laboratory: str = "laboratory",
    priority: int = ROUTINE,
    is_embedded: bool = False,
    out: str = "",
) -> NewRun:
    """What `store.submit` writes down: slides in order, those refused at once behind the others.

    Raises
    ------
    WeightsError
        If the preset names a package that is not there.
    """
    sources = submission.sources
    copies = find_copies(sources)
    counted = [_without_copies(source, place, copies) for place, source in enumerate(sources)]
    slides = [_slide(source, _stamp(source)) for place, source in enumerate(counted) if place not in copies.refused]
    slides += [_slide(sources[place], _stamp(sources[place]), reason) for place, reason in copies.refused.items()]
    slides += [_slide(r.source, reason=r.reason) for r in submission.rejected]
    mine = identity(settings)
    table = settings.model_dump(mode="json")
    stamps = [slide.stamp for slide in slides]
    reasons = [slide.reason for slide in slides]
    parts = [[slide.source for slide in slides], reasons, stamps, table, preset, mine, laboratory]
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return NewRun(
        digest=digest,
        laboratory=laboratory,
        priority=priority,
        preset=preset,
        settings=table,
        identity=mine,
        version=__version__,
        slides=slides,
        first_chunk=STAGES["survey"].chunk(),
        patient_chunk=STAGES["aggregate"].chunk(),
        is_embedded=is_embedded,
        out=out,
    )


def _without_copies(source: SlideSource, place: int, copies: Copies) -> SlideSource:
    """A slide without the images that are counted elsewhere, told whose it was given as besides."""
    again = copies.repeated.get(place, {})
    paths = tuple(path for path in source.paths if path not in again)
    return replace(source, paths=paths, repeated=tuple(again.values()), given_for_too=copies.given_for.get(place, ""))


def _slide(source: SlideSource, stamp: Stamp | None = None, reason: str = "") -> NewSlide:
    # A file name that is no valid UTF-8 carries lone surrogates.
    names = (storable(source.slide_id), storable(source.patient_id), storable(source.path))
    return NewSlide(*names, _plain(source), storable(reason), stamp)


def _plain(source: SlideSource) -> dict[str, Any]:
    table = asdict(source)
    return {**table, "paths": list(source.paths), "repeated": list(source.repeated)}


def _stamp(source: SlideSource) -> Stamp | None:
    try:
        return stamp_images(source.paths)
    except SlideError:
        return None  # the survey says by name what is wrong with it
