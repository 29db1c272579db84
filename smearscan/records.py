"""What the stages hand to one another: frozen, plain, picklable.

Stored coordinates are level-0 pixels. Arrays are (H, W, 3) uint8 RGB unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from smearscan.classes import CellClass
from smearscan.geometry import Box, Mpp, Size

#: Raised when a field changes meaning, so that a stored record is never misread.
RECORDS_VERSION = 1

MppSource = Literal["metadata", "given", "estimated"]


@dataclass(frozen=True, slots=True)
class SharedScale:
    """What the red cells of images of one size that came together agree on.

    Attributes
    ----------
    mpp
        µm per pixel.
    relative_sd
        Its error by the measurement; that of red cells' size between patients comes on top.
    spread
        How far single images lie apart, relative.
    """

    mpp: float
    relative_sd: float
    spread: float
    n_images: int
    n_red_cells: int

    @property
    def note(self) -> str:
        """What is to be told with the result."""
        return f"scale measured on {self.n_red_cells} red cells of {self.n_images} images of this size"


@dataclass(frozen=True, slots=True)
class SlideSource:
    """One slide as it was submitted: a scan, or a set of fields of one smear.

    `paths` holds one path for a scan or a lone field, several for a slide made of fields;
    `path` is what the submitter named (a file or a folder); `shared_scale` is what images of the same size that were
    handed in with it agree on, for images that say nothing of scale themselves; `given_for_too` says whose the same
    scan was handed in as besides, empty where nobody's; `repeated` says of images that are no longer among `paths`
    where they are counted instead.
    """

    slide_id: str
    patient_id: str
    path: str
    paths: tuple[str, ...]
    specimen: str = ""
    collected: str = ""
    mpp_given: float | None = None
    wbc_10e9_per_l: float | None = None
    shared_scale: SharedScale | None = None
    given_for_too: str = ""
    repeated: tuple[str, ...] = ()

    @property
    def mix_up(self) -> str:
        """What is to be told where a scan was handed in as several patients'; empty where it was not."""
        if not self.given_for_too:
            return ""
        return f"slide {self.slide_id}: the same scan was given for {self.given_for_too}; it can be of one of them only"


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What a reader knows of one image without decoding it.

    `levels` are sizes from level 0 down; `mpp` is None where the file does not say.
    """

    path: str
    size: Size
    levels: tuple[Size, ...]
    mpp: Mpp | None
    reader: str
    compression: str = ""
    vendor: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """µm per pixel with its source; `relative_sd` is 0 unless it was measured from red cells."""

    mpp: Mpp
    source: MppSource
    relative_sd: float = 0.0
    n_red_cells: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """A grid cell to search: cores partition the region, halos overlap so that no cell is cut."""

    core: Box
    halo: Box


@dataclass(frozen=True, slots=True)
class RegionMap:
    """Where to look on one image, and how much that is.

    `film_mm2` is stained film of any thickness, `searched_mm2` what the tiles' cores cover of it;
    `focus` is 0 (blurred) to 1 (sharp), the median over sampled tiles; `n_thick_tiles` and
    `n_blurred_tiles` were left out and say why.
    """

    tiles: tuple[Tile, ...]
    film_mm2: float
    searched_mm2: float
    focus: float
    n_thick_tiles: int = 0
    n_blurred_tiles: int = 0


@dataclass(frozen=True, slots=True)
class Detection:
    """Where a leukocyte is; `score` is the detector's, 0 to 1."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class CellMask:
    """Nucleus and whole cell inside one crop window, both (H, W) bool, and what they measure.

    Attributes
    ----------
    area_um2, nucleus_area_um2
        Areas in µm².
    """

    cell: np.ndarray
    nucleus: np.ndarray
    area_um2: float
    nucleus_area_um2: float


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """The image of one cell: (450, 450, 3) uint8 RGB, its window in level-0 pixels, its scale.

    `is_padded` says that part of the window lies outside the slide and was filled.
    """

    pixels: np.ndarray
    window: Box
    um_per_px: float
    is_padded: bool


@dataclass(frozen=True, slots=True)
class CellPrediction:
    """What one detection is.

    `class_probability` is that of `cell_class`; `blast_probability` is filled for every cell;
    `spread` is the disagreement of the ensemble's members (standard deviation of their blast
    probabilities). `measures` are physical: cell_diameter_um, nucleus_to_cytoplasm and such.
    """

    detection: Detection
    cell_class: CellClass
    class_probability: float
    blast_probability: float
    is_counted: bool
    field_name: str = ""
    spread: float = 0.0
    is_in_focus: bool = True
    measures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Differential:
    """Counts over a named denominator."""

    counts: dict[CellClass, int]
    denominator: str = "counted leukocytes"

    @property
    def n_leukocytes(self) -> int:
        """The denominator."""
        from smearscan.classes import COUNTED

        return sum(n for cell_class, n in self.counts.items() if cell_class in COUNTED)

    @property
    def n_blasts(self) -> int:
        """Cells called blast."""
        return self.counts.get(CellClass.BLAST, 0)


@dataclass(frozen=True, slots=True)
class FieldResult:
    """One image of a slide as it was searched; `name` is empty for a scan or a lone field."""

    name: str
    path: str
    size: Size
    scale: Scale


def images_lost(n_used: int, left_out: Sequence[str]) -> str:
    """One line on the images that a slide made of several does without, the first by name; "" where there is none."""
    if not left_out:
        return ""
    others = "" if len(left_out) == 1 else "; slides.csv names the others"
    return f"{len(left_out)} of {n_used + len(left_out)} images left out: {left_out[0]}{others}"


@dataclass(frozen=True, slots=True)
class SlideResult:
    """All that was learned of one slide. A failed one has `status` failed, a `reason` and the `error_kind`.

    `error_kind` names the class of `smearscan.errors` that ended it, empty where none did.

    `scale` and `size` are those of the first image, `fields` has them all, `left_out` says which
    images could not be used and why. `quality` holds named numbers (focus, film_mm2, searched_mm2,
    stain_distance), `notes` what else is to be told, `seconds` per stage.
    """

    source: SlideSource
    status: Literal["done", "failed"]
    reason: str = ""
    scale: Scale | None = None
    size: Size | None = None
    fields: tuple[FieldResult, ...] = ()
    left_out: tuple[str, ...] = ()
    cells: tuple[CellPrediction, ...] = ()
    quality: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    error_kind: str = ""

    @property
    def is_partial(self) -> bool:
        """Whether an image of the slide had to be left out."""
        return bool(self.left_out)

    @property
    def loss(self) -> str:
        """What `images_lost` says of it."""
        return images_lost(len(self.fields), self.left_out)

    def field_named(self, name: str) -> FieldResult:
        """The image of that name.

        Raises
        ------
        KeyError
            If the slide has none.
        """
        for image in self.fields:
            if image.name == name:
                return image
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its two-sided 95 % interval, fractions 0 to 1."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PatientResult:
    """A patient's number: raw and corrected, its limits, the verdict and why.

    `flag` is one of insufficient, clear, review, work_up, acute_range; `reasons` are sentences.
    `limit_of_blank` and `limit_of_detection` are fractions of counted leukocytes.
    """

    patient_id: str
    slides: tuple[SlideResult, ...]
    differential: Differential
    raw: Interval
    corrected: Interval
    limit_of_blank: float
    limit_of_detection: float
    flag: Literal["insufficient", "clear", "review", "work_up", "acute_range"]
    reasons: tuple[str, ...]
    is_transferable: bool = False
    heterogeneity_p: float | None = None
    absolute_blasts_10e9_per_l: float | None = None
