"""What made a result: version, settings digest, weights digests. The same three give the same bytes."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from smearscan import __version__
from smearscan.settings import Settings

#: Libraries whose version can change a result in its last digits, or how a file is read.
_LIBRARIES = ("numpy", "opencv-python", "openslide-python", "pillow", "scikit-image", "scipy",
              "tifffile", "imagecodecs", "timm", "torch", "torchvision", "ultralytics")  # fmt: skip


def package_names(settings: Settings) -> list[str]:
    """All trained packages that a run with these settings uses."""
    names = ["detector", "cellmask", *settings.classify.cell_type, *settings.classify.blast]
    return [*names, "subtype"] if settings.report.max_subtype_fields else names


def settings_digest(settings: Settings) -> str:
    """SHA-256 over every setting, in an order that does not depend on the file's."""
    return digest_of(settings.model_dump(mode="json"))


def digest_of(values: Mapping[str, Any]) -> str:
    """SHA-256 over plain values, whatever order they stand in."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of smearscan, Python and the libraries that touch pixels or probabilities."""
    return {"smearscan": __version__, "python": platform.python_version(), **_installed()}


@cache  # looking them up takes as long as a small patient's page
def _installed() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "absent"
    return found
