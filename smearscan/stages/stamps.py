"""What a slide's files were when it was handed in: one of its images that is not there costs no more than itself."""

from __future__ import annotations

from collections.abc import Sequence

from smearscan.errors import UnreadableSlideError
from smearscan.slide.content import Stamp, stamp_files


def stamp_images(paths: Sequence[str]) -> Stamp:
    """Stamp of the images that are there; when one comes later, or goes, the stamp differs.

    Raises
    ------
    UnreadableSlideError
        If none of them is there.
    """
    stamp: Stamp = []
    errors = []
    for path in paths:
        try:
            stamp += stamp_files([path])
        except UnreadableSlideError as error:  # opening it says so, and it is left out by name
            errors.append(error)
    if errors and not stamp:
        raise errors[0]
    return stamp
