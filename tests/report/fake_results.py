"""Invented patients, runs and pictures for every test that needs a result: seeded, no real image.

`fake_patient()`, `fake_images()` and `fake_run()` are what the pipeline hands to the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from smearscan.aggregate.intervals import clopper_pearson
from smearscan.classes import COUNTED, CellClass
from smearscan.geometry import Box, Mpp, Size
from smearscan.records import (
    CellPrediction,
    Detection,
    Differential,
    FieldResult,
    Interval,
    PatientResult,
    Scale,
    SlideResult,
    SlideSource,
)
from smearscan.report.content import CellImage, ReportImages, RunInfo, Thumbnail, choose_gallery
from smearscan.settings import ReportSettings

#: A plausible mix of one slide, cells per class.
COUNTS = {
    CellClass.BLAST: 38,
    CellClass.NEUTROPHIL: 196,
    CellClass.IMMATURE_GRANULOCYTE: 4,
    CellClass.EOSINOPHIL: 9,
    CellClass.BASOPHIL: 2,
    CellClass.LYMPHOCYTE: 121,
    CellClass.MONOCYTE: 27,
    CellClass.UNIDENTIFIED: 11,
    CellClass.ERYTHROBLAST: 3,
    CellClass.PLATELET: 14,
    CellClass.SMUDGE: 22,
    CellClass.ARTEFACT: 8,
}
_DIAMETER_UM = {CellClass.BLAST: 13.0, CellClass.LYMPHOCYTE: 9.5, CellClass.MONOCYTE: 16.0, CellClass.PLATELET: 3.5}
_NUCLEUS = {
    CellClass.BLAST: ((96, 48, 128), 0.86),
    CellClass.LYMPHOCYTE: ((78, 40, 120), 0.8),
    CellClass.MONOCYTE: ((112, 72, 150), 0.62),
    CellClass.NEUTROPHIL: ((88, 44, 130), 0.48),
}


def fake_cell(
    cell_class: CellClass = CellClass.BLAST,
    x: int = 1000,
    y: int = 2000,
    blast_probability: float = 0.9,
    is_in_focus: bool = True,
    field_name: str = "",
    measures: Mapping[str, float] | None = None,
) -> CellPrediction:
    """One cell, 120 px wide."""
    return CellPrediction(
        detection=Detection(Box(x, y, 120, 118), 0.93),
        cell_class=cell_class,
        class_probability=max(blast_probability, 1 - blast_probability),
        blast_probability=blast_probability,
        is_counted=cell_class in COUNTED and is_in_focus,
        field_name=field_name,
        spread=0.04,
        is_in_focus=is_in_focus,
        measures={"cell_diameter_um": 12.3, "nucleus_to_cytoplasm": 0.81} if measures is None else dict(measures),
    )


def fake_cells(
    counts: Mapping[CellClass, int], size: Size, seed: int, fields: Sequence[str] = ("",)
) -> list[CellPrediction]:
    """Cells of these classes strewn over a slide (or over each of its fields), about 1 % of them blurred."""
    rng = np.random.default_rng(seed)
    cells = []
    for cell_class, n in counts.items():
        for _ in range(n):
            is_blast = cell_class is CellClass.BLAST
            probability = rng.beta(9, 1.5) if is_blast else rng.beta(0.6, 9)
            cells.append(
                fake_cell(
                    cell_class,
                    int(rng.integers(0, size.width - 120)),
                    int(rng.integers(0, size.height - 120)),
                    float(np.clip(probability, 0.5 if is_blast else 0.0, 1.0 if is_blast else 0.499)),
                    is_in_focus=bool(rng.random() > 0.01),
                    field_name=str(fields[int(rng.integers(len(fields)))]),
                    measures={
                        "cell_diameter_um": float(_DIAMETER_UM.get(cell_class, 13.5) + rng.normal(0, 0.8)),
                        "nucleus_to_cytoplasm": float(rng.uniform(0.4, 0.9)),
                    },
                )
            )
    return cells


def fake_slide(
    slide_id: str = "S-0417-a",
    patient_id: str = "P-0417",
    cells: Sequence[CellPrediction] | None = None,
    scale: Scale | None = None,
    seed: int = 1,
    fields: Sequence[str] = ("",),
) -> SlideResult:
    """A slide that was screened: a scan, or fields of 2000×1500 px where they are named."""
    size = Size(24_000, 16_000) if fields == ("",) else Size(2000, 1500)
    scale = scale or Scale(Mpp(0.1014, 0.1014), "metadata")
    return SlideResult(
        source=SlideSource(
            slide_id, patient_id, f"scans/{slide_id}.svs", (f"scans/{slide_id}.svs",), "blood", "2026-03-14"
        ),
        status="done",
        scale=scale,
        fields=tuple(FieldResult(name, f"scans/{slide_id}/{name}", size, scale) for name in fields),
        size=size,
        cells=tuple(fake_cells(COUNTS, size, seed, fields) if cells is None else cells),
        quality={"focus": 0.78, "film_mm2": 3.91, "searched_mm2": 2.64, "n_thick_tiles": 17, "n_blurred_tiles": 3},
        notes=("17 tiles left out: the film is too thick", "3 tiles left out: out of focus"),
        seconds={"regions": 1.2, "detect": 14.0, "classify": 9.5},
    )


def failed_slide(slide_id: str = "S-0417-b", patient_id: str = "P-0417") -> SlideResult:
    """A slide that could not be read."""
    path = f"scans/{slide_id}.svs"
    return SlideResult(
        source=SlideSource(slide_id, patient_id, path, (path,)),
        status="failed",
        reason=f"{path} is truncated. Copy it again from the scanner",
    )


def fake_patient(
    patient_id: str = "P-0417",
    slides: Sequence[SlideResult] | None = None,
    flag: str = "work_up",
    reasons: Sequence[str] = ("8.7 % of counted leukocytes look like blasts: at or above 5 %, work-up starts.",),
    corrected: Interval | None = None,
) -> PatientResult:
    """A patient whose counts are those of the slides; the intervals are invented around them."""
    slides = [fake_slide(patient_id=patient_id), failed_slide(patient_id=patient_id)] if slides is None else slides
    cells = [cell for slide in slides for cell in slide.cells]
    counts = {c: sum(x.cell_class is c and (x.is_counted or c not in COUNTED) for x in cells) for c in CellClass}
    differential = Differential(counts)
    total = differential.n_leukocytes
    share = differential.n_blasts / total if total else 0.0
    raw = clopper_pearson(differential.n_blasts, total)
    half = (raw.high - raw.low) / 2
    return PatientResult(
        patient_id=patient_id,
        slides=tuple(slides),
        differential=differential,
        raw=raw,
        corrected=corrected
        or Interval(0.8 * share, max(0.0, 0.8 * share - 1.4 * half), min(1.0, 0.8 * share + 1.4 * half)),
        limit_of_blank=0.012,
        limit_of_detection=0.021,
        flag=flag,  # type: ignore[arg-type]
        reasons=tuple(reasons),
    )


def fake_run() -> RunInfo:
    """What made the invented results."""
    return RunInfo(
        version="0.1.0",
        preset="default",
        settings_digest="5e0c" * 16,
        weights_digests={"blast": "9f3a" * 16, "celltype": "71bd" * 16},
        seed=0,
        stage_seconds={"detect": 14.0, "classify": 9.5},
        model_cards=(
            {
                "name": "blast",
                "purpose": "Blast or not, for mononuclear cells of Romanowsky-stained blood films.",
                "limits": ["Invented figures: this card belongs to a test.", "Another laboratory was not measured."],
                "crop": {"window_um": 29.0, "um_per_px": 0.13, "background": "black"},
            },
            {"name": "celltype", "purpose": "The differential: eleven classes.", "limits": ["Invented."]},
        ),
        versions={"python": "3.11.9", "torch": "2.11.0"},
        started="2026-03-14T20:15:00Z",
    )


def fake_images(patient: PatientResult, settings: ReportSettings | None = None, is_noise: bool = False) -> ReportImages:
    """Drawn crops, attention maps and thumbnails for every cell the report asks for."""
    settings = settings or ReportSettings()
    choice = choose_gallery(patient, settings)
    rng = np.random.default_rng(7)
    gallery = {}
    for cell in choice.cells:
        pixels = rng.integers(0, 256, (450, 450, 3), dtype=np.uint8) if is_noise else draw_cell(cell.cell, rng)
        attention = _blob(rng) if cell.key in choice.attention else None
        gallery[cell.key] = CellImage(pixels, 29 / 450, attention)
    sizes = {slide.source.slide_id: slide.size or Size(2000, 1500) for slide in patient.slides}
    thumbnails = {image: draw_thumbnail(sizes[image[0]], settings.thumbnail_px, rng) for image in choice.images}
    return ReportImages(thumbnails, gallery)


def draw_cell(cell: CellPrediction, rng: np.random.Generator) -> np.ndarray:
    """A cell among red cells, about as a Romanowsky film shows one: (450, 450, 3) uint8 RGB."""
    image = Image.new("RGB", (450, 450), (236, 231, 233))
    draw = ImageDraw.Draw(image)
    for _ in range(7):
        x, y = rng.uniform(-40, 490, 2)
        draw.ellipse((x - 58, y - 58, x + 58, y + 58), fill=(214, 166, 160))
        draw.ellipse((x - 20, y - 20, x + 20, y + 20), fill=(226, 192, 186))
    radius = cell.measures.get("cell_diameter_um", 12.0) / 29 * 450 / 2
    draw.ellipse((225 - radius, 225 - radius, 225 + radius, 225 + radius), fill=(188, 190, 222))
    colour, share = _NUCLEUS.get(cell.cell_class, ((110, 60, 140), 0.55))
    for _ in range(1 if share > 0.6 else 3):
        dx, dy = rng.uniform(-0.25, 0.25, 2) * radius * (1 if share > 0.6 else 2)
        r = radius * share * (1 if share > 0.6 else 0.7)
        draw.ellipse((225 + dx - r, 225 + dy - r * 0.9, 225 + dx + r, 225 + dy + r * 0.9), fill=colour)
    blurred = np.asarray(image.filter(ImageFilter.BoxBlur(3)), dtype=np.float32)
    grain = rng.normal(0, 9, (150, 150, 1)).astype(np.float32).repeat(3, axis=0).repeat(3, axis=1)
    return (blurred + grain).clip(0, 255).astype(np.uint8)


def draw_thumbnail(size: Size, side: int, rng: np.random.Generator) -> Thumbnail:
    """A pale film with grain, of the slide's shape."""
    scale = side / max(size)
    width, height = max(1, round(size.width * scale)), max(1, round(size.height * scale))
    grain = rng.normal(0, 9, (height, width, 1))
    along = np.linspace(-16, 10, width)[None, :, None]
    film = np.array([228, 202, 205], dtype=np.float64) + along + grain
    return Thumbnail(film.clip(0, 255).astype(np.uint8), scale)


def _blob(rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:14, 0:14]
    cy, cx = rng.uniform(4, 9, 2)
    return np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 10.0)
