"""`smearscan doctor`."""

from __future__ import annotations

import importlib
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from typing import Literal

import click

_LIBRARIES = ("numpy", "scipy", "cv2", "skimage", "PIL", "tifffile", "imagecodecs", "openslide", "torch", "torchvision",
              "timm", "safetensors", "pyarrow", "jinja2")  # fmt: skip
#: Free space under which a night's reports may not fit, GB.
_LEAST_FREE_GB = 5.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    verdict: Literal["PASS", "WARN", "FAIL"]
    what: str
    remedy: str = ""


@click.command("doctor")
def command() -> None:
    """Say what is installed, which weights there are, GPU and disk; exit 1 if something must be mended."""
    failed = False
    for check in (_python, _libraries, _ultralytics, _weights, _preset, _processor, _gpu, _disk, _redis):
        for finding in check():
            failed |= finding.verdict == "FAIL"
            click.echo(f"{finding.verdict}  {finding.what}" + (f". {finding.remedy}" if finding.remedy else ""))
    sys.exit(1 if failed else 0)


def _python() -> Iterator[Finding]:
    is_supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
    verdict: Literal["PASS", "WARN"] = "PASS" if is_supported else "WARN"
    yield Finding(verdict, f"Python {platform.python_version()}", "" if is_supported else "3.11 and 3.12 are tested")


def _libraries() -> Iterator[Finding]:
    missing = []
    for name in _LIBRARIES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a shared library is absent
            missing.append(name)
            yield Finding(
                "FAIL", f"{name} cannot be imported: {error}", "install smearscan again, and libgl1 for OpenCV"
            )
    if not missing:
        yield Finding("PASS", f"{len(_LIBRARIES)} libraries import; torch {metadata.version('torch')}")


def _ultralytics() -> Iterator[Finding]:
    try:
        yield Finding("PASS", f"ultralytics {metadata.version('ultralytics')} (AGPL-3.0)")
    except metadata.PackageNotFoundError:
        yield Finding("FAIL", "ultralytics is absent", 'install it, or choose detector = "classical" in the preset')


def _weights() -> Iterator[Finding]:
    from smearscan.crops import load_segmenter
    from smearscan.detect import create_detector
    from smearscan.models import list_packages, load_package
    from smearscan.settings import DetectSettings

    loaders: dict[str, Callable[[], object]] = {
        "detector": lambda: create_detector("yolo", DetectSettings()),
        "cellmask": load_segmenter,
    }
    loaders |= {name: partial(load_package, name) for name in list_packages()}
    yield from (_try_weights(name, load) for name, load in loaders.items())


def _try_weights(name: str, load: Callable[[], object]) -> Finding:
    from smearscan.errors import WeightsError

    try:
        load()
    except WeightsError as error:
        return Finding("FAIL", error.what, error.remedy)
    return Finding("PASS", f"weights {name}: digest agrees with the card, network loads")


def _preset() -> Iterator[Finding]:
    from smearscan.errors import SettingsError
    from smearscan.models import list_packages
    from smearscan.settings import list_presets, load_settings

    for name in list_presets():
        try:
            classify = load_settings(name).classify
        except SettingsError as error:
            yield Finding("FAIL", error.what, error.remedy)
            continue
        absent = sorted({*classify.cell_type, *classify.blast} - set(list_packages()))
        if absent:
            yield Finding(
                "FAIL", f"preset {name} asks for packages that are absent: {', '.join(absent)}", "install again"
            )
        else:
            yield Finding("PASS", f"preset {name}")


def _processor() -> Iterator[Finding]:
    from smearscan.resources import has_native_bfloat16, n_processors

    native = has_native_bfloat16()
    remedy = "" if native else "Networks run in float32, about half as fast"
    yield Finding(
        "PASS" if native else "WARN", f"{n_processors()} cores, bfloat16 {'native' if native else 'absent'}", remedy
    )


def _gpu() -> Iterator[Finding]:
    import torch

    if torch.cuda.is_available():
        yield Finding("PASS", f"GPU: {torch.cuda.get_device_name()}")
    else:
        yield Finding("WARN", "no GPU", "Everything runs on the CPU, slower")


def _disk() -> Iterator[Finding]:
    free = shutil.disk_usage(".").free / 1e9
    enough = free >= _LEAST_FREE_GB
    yield Finding(
        "PASS" if enough else "WARN", f"{free:.0f} GB free here", "" if enough else "Make room before a night's run"
    )


def _redis() -> Iterator[Finding]:
    where = shutil.which("redis-server")
    yield (
        Finding("PASS", f"Redis server {where}")
        if where
        else Finding("WARN", "no redis-server on PATH", "Only the queue needs it; `smearscan screen` does not")
    )
