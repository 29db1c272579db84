"""Invented laboratories: how each stains, lights, focuses and stores its smears.

A colour is what the camera shows where one unit of a dye lies on clear glass; Beer and Lambert's
law does the rest. The values are chosen to span what public images of several hospitals look like;
none is a measurement of one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Colour = tuple[int, int, int]

#: The dyes a drawing is made of, in the order of its planes.
DYES = ("nuclear", "basophilic", "eosin", "red_cell")


@dataclass(frozen=True, slots=True)
class Laboratory:
    """How one laboratory's images look.

    Attributes
    ----------
    background
        RGB of clear glass, 0–255: the camera's white balance and exposure.
    nuclear, basophilic, eosin, red_cell
        RGB of one unit of azure on chromatin, azure on cytoplasm, eosin, and of a red cell.
    mpp
        µm per pixel when the caller names none.
    blur_um
        Sigma of the optical blur, µm.
    vignette
        Fall of the light from a field's middle to its corners, 0 to 1.
    tilt
        Fall of the light from a field's left to its right, 0 to 1.
    noise
        Camera noise, standard deviation in grey levels.
    jpeg_quality
        1 to 100.
    pallor
        Depth of a red cell's central pallor, 0 to 1.
    fringe_um
        Shift between red and blue, µm: lateral chromatic aberration.
    """

    name: str
    background: Colour
    nuclear: Colour
    basophilic: Colour
    eosin: Colour
    red_cell: Colour
    mpp: float
    blur_um: float
    vignette: float
    tilt: float
    noise: float
    jpeg_quality: int
    pallor: float
    fringe_um: float

    def densities(self) -> np.ndarray:
        """Optical density (natural logarithm) of one unit of each dye.

        Returns
        -------
        numpy.ndarray
            (4, 3) float64, rows in the order of `DYES`, columns RGB.
        """
        colours = (self.nuclear, self.basophilic, self.eosin, self.red_cell)
        return np.array(
            [[-math.log(c / b) for c, b in zip(colour, self.background, strict=True)] for colour in colours]
        )


_ALL = (
    # An analyser: cream light, crisp, dark blue-violet nuclei.
    Laboratory(
        "northgate", (254, 234, 210), (58, 40, 104), (146, 158, 196), (222, 148, 136), (206, 168, 154),
        mpp=0.10, blur_um=0.13, vignette=0.02, tilt=0.01, noise=1.5, jpeg_quality=92, pallor=0.55, fringe_um=0.0,
    ),
    # An old camera: grey-blue red cells, violet nuclei, over-exposed white.
    Laboratory(
        "riverside", (249, 252, 247), (104, 60, 186), (146, 160, 226), (226, 158, 222), (158, 174, 190),
        mpp=0.40, blur_um=0.32, vignette=0.05, tilt=0.02, noise=2.5, jpeg_quality=80, pallor=0.60, fringe_um=0.10,
    ),
    # Under-exposed and greenish, pale blue nuclei, coarse JPEG.
    Laboratory(
        "hillcrest", (205, 218, 214), (112, 100, 190), (160, 170, 206), (208, 150, 158), (178, 152, 150),
        mpp=0.14, blur_um=0.22, vignette=0.08, tilt=0.04, noise=3.0, jpeg_quality=75, pallor=0.50, fringe_um=0.12,
    ),
    # Eosin-rich and strong: magenta nuclei, purple-brown red cells.
    Laboratory(
        "harbour", (244, 216, 198), (122, 18, 92), (190, 150, 172), (226, 118, 120), (152, 102, 108),
        mpp=0.16, blur_um=0.18, vignette=0.06, tilt=0.02, noise=2.0, jpeg_quality=88, pallor=0.40, fringe_um=0.05,
    ),
    # A yellow lamp, poor focus, slate red cells.
    Laboratory(
        "lakeside", (214, 204, 166), (104, 26, 96), (150, 138, 158), (190, 110, 118), (112, 108, 118),
        mpp=0.20, blur_um=0.38, vignette=0.16, tilt=0.08, noise=3.0, jpeg_quality=82, pallor=0.45, fringe_um=0.15,
    ),
    # A slide scanner: neutral white, balanced stain.
    Laboratory(
        "meadow", (243, 241, 244), (78, 48, 132), (142, 156, 208), (226, 150, 160), (214, 170, 172),
        mpp=0.25, blur_um=0.20, vignette=0.01, tilt=0.00, noise=1.5, jpeg_quality=85, pallor=0.50, fringe_um=0.0,
    ),
)  # fmt: skip

LABORATORIES: dict[str, Laboratory] = {laboratory.name: laboratory for laboratory in _ALL}


def list_laboratories() -> list[str]:
    """Names that `laboratory=` takes."""
    return list(LABORATORIES)


def find_laboratory(name: str) -> Laboratory:
    """The laboratory of this name.

    Raises
    ------
    ValueError
        If there is none; the message lists those there are.
    """
    try:
        return LABORATORIES[name]
    except KeyError:
        raise ValueError(f"there is no laboratory {name!r}; choose one of {', '.join(LABORATORIES)}") from None
