"""µm per pixel from what a file says of itself; None where it does not, or not credibly."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from typing import Any

from smearscan.geometry import PLAUSIBLE_UM_PER_PX, Mpp, Size

_UM = {
    "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0,
    "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "å": 1e-4, "pm": 1e-6,
}  # fmt: skip
#: TIFF ResolutionUnit: 2 inch, 3 centimetre; 1 (none) gives only an aspect ratio.
_TIFF_UNIT_UM = {2: 25_400.0, 3: 10_000.0}


def plausible(x: float, y: float) -> Mpp | None:
    """The scale, if both values are those of a microscope."""
    low, high = PLAUSIBLE_UM_PER_PX
    if all(math.isfinite(value) and low <= value <= high for value in (x, y)):
        return Mpp(x, y)
    return None


def aperio_mpp(description: str) -> Mpp | None:
    """From an Aperio description: ``… |MPP = 0.4990| …``."""
    match = re.search(r"\|\s*MPP\s*=\s*([0-9.eE+-]+)", description)
    value = _number(match.group(1)) if match else None
    return None if value is None else plausible(value, value)


def ome_mpp(xml: str, size: Size) -> Mpp | None:
    """From OME-XML: PhysicalSizeX and Y with their units, of the first image of this size."""
    try:
        root = ET.fromstring(xml)
    except ET.ParseError:
        return None
    for pixels in root.iter():
        if pixels.tag.rpartition("}")[2] != "Pixels":
            continue
        if (pixels.get("SizeX"), pixels.get("SizeY")) != (str(size.width), str(size.height)):
            continue
        x, y = (_number(pixels.get(f"PhysicalSize{axis}")) for axis in "XY")
        unit_x, unit_y = (_UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm").lower()) for axis in "XY")
        if x is not None and unit_x is not None:
            return plausible(x * unit_x, y * unit_y if y is not None and unit_y is not None else x * unit_x)
    return None


def imagej_mpp(description: str, x_per_unit: float, y_per_unit: float) -> Mpp | None:
    """From an ImageJ description (``unit=micron``); its resolution tags count pixels per that unit."""
    match = re.search(r"^unit=(.+)$", description, re.MULTILINE)
    if match is None or not (x_per_unit > 0 and y_per_unit > 0):
        return None
    unit = _UM.get(match.group(1).strip().replace("\\u00B5", "µ").replace("\\u00b5", "µ").lower())
    return None if unit is None else plausible(unit / x_per_unit, unit / y_per_unit)


def resolution_mpp(x_per_unit: float, y_per_unit: float, unit: int) -> Mpp | None:
    """From TIFF resolution tags: pixels per inch (unit 2) or centimetre (unit 3)."""
    um = _TIFF_UNIT_UM.get(unit)
    if um is None or not (x_per_unit > 0 and y_per_unit > 0):
        return None
    return plausible(um / x_per_unit, um / y_per_unit)


def tiff_mpp(tif: Any, page: Any, size: Size) -> Mpp | None:
    """From a TIFF's metadata; the most specific speaks first: Aperio, OME, ImageJ, then the tags."""
    x_per_unit, y_per_unit = (_rational(page, tag) for tag in (282, 283))
    description = page.description or ""
    found = aperio_mpp(description) if tif.is_svs else None
    if found is None and tif.is_ome:
        found = ome_mpp(tif.ome_metadata or "", size)
    if found is None and tif.is_imagej:
        return imagej_mpp(description, x_per_unit, y_per_unit)
    unit = page.tags.get(296)
    return found or resolution_mpp(x_per_unit, y_per_unit, 2 if unit is None else int(unit.value))


def _rational(page: Any, tag: int) -> float:
    entry = page.tags.get(tag)
    if entry is None:
        return 0.0
    numerator, denominator = entry.value
    return numerator / denominator if denominator else 0.0


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
