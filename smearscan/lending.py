"""Fields without a scale that are handed in together lend one another what their red cells agree on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smearscan.geometry import Size
from smearscan.records import SharedScale, SlideSource
from smearscan.settings import Settings
from smearscan.spotting import field_size, shared_scales
from smearscan.submission import Submission

#: Formats of microscope cameras, which say nothing of scale; opening every scan of a batch would take long.
_FIELD_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def lend_scales(submission: Submission, settings: Settings) -> Submission:
    """The submission with `SlideSource.shared_scale` filled in where images of one size agree on a scale.

    A slide whose images differ in size is lent none. The scale stays *estimated*; the slide's notes say whose it is.
    """
    fields = [
        Path(path)
        for source in submission.sources
        if source.mpp_given is None
        for path in source.paths
        if Path(path).suffix.lower() in _FIELD_SUFFIXES
    ]
    shared = shared_scales(fields, settings)
    if not shared:
        return submission
    return replace(submission, sources=tuple(_lent(source, shared) for source in submission.sources))


def _lent(source: SlideSource, shared: dict[Size, SharedScale]) -> SlideSource:
    if source.mpp_given is not None or any(Path(p).suffix.lower() not in _FIELD_SUFFIXES for p in source.paths):
        return source
    sizes = {field_size(Path(path)) for path in source.paths}
    size = sizes.pop() if len(sizes) == 1 else None
    return replace(source, shared_scale=shared.get(size)) if size is not None else source
