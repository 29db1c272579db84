"""What a report says, as plain values: no drawing, no files, no encoded pictures.

`build_content` turns a patient's result into a view model whose texts are final; html.py draws it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from smearscan.aggregate.differential import list_beside
from smearscan.aggregate.intervals import clopper_pearson
from smearscan.classes import COUNTED, MONONUCLEAR, CellClass
from smearscan.records import Interval, PatientResult, SlideResult
from smearscan.report import wording
from smearscan.report.gallery import GalleryChoice, choose_gallery
from smearscan.report.identity import CellKey, NumberedCell, is_called_blast
from smearscan.report.inputs import CellImage, ReportImages, RunInfo, Streams, Thumbnail
from smearscan.report.wording import FLAGS, FlagWords
from smearscan.settings import Settings

__all__ = [
    "CellImage",
    "Content",
    "GalleryChoice",
    "ReportImages",
    "RunInfo",
    "Streams",
    "Thumbnail",
    "build_content",
    "choose_gallery",
]

#: Rows a report lists before it points to the tables.
_MAX_SLIDES = 200
_MAX_NOTES = 40
#: Standard deviations of a normal error that hold 95 %.
_TWO_SIDED_95 = 1.96


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One line of the differential; `share` is its exact interval, None for what is not counted."""

    title: str
    key: str
    n: int
    share: Interval | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """One cell of the gallery; `rank` is the number by which the page names it."""

    rank: int
    numbered: NumberedCell
    is_blast: bool
    facts: tuple[tuple[str, str], ...]
    marks: tuple[str, ...]

    @property
    def caption(self) -> str:
        """What the picture shows, for those who do not see it."""
        cell = self.numbered.cell
        return f"Cell {self.rank}: {cell.cell_class.title}, blast probability {cell.blast_probability:.2f}"


@dataclass(frozen=True, slots=True)
class SlideRow:
    """One slide in the quality table, texts ready."""

    slide_id: str
    status: str
    reason: str
    scale: str
    is_estimated: bool
    n_detections: int
    n_leukocytes: int
    n_blasts: int
    blast_share: str
    quality: tuple[tuple[str, str], ...]
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Content:
    """A report before it is drawn. Fractions 0 to 1; texts final but not escaped.

    `corrected` is None where the fraction could not be corrected: the reasons say why.
    """

    patient_id: str
    flag: str
    words: FlagWords
    is_headlined: bool
    reasons: tuple[str, ...]
    n_leukocytes: int
    n_blasts: int
    denominator: str
    raw: Interval
    corrected: Interval | None
    is_transferable: bool
    limit_of_blank: float
    limit_of_detection: float
    thresholds: tuple[float, float]
    confidence: float
    sentences: tuple[str, ...]
    counted: tuple[ClassRow, ...]
    not_counted: tuple[ClassRow, ...]
    judged_probabilities: tuple[tuple[float, bool], ...]
    cards: tuple[Card, ...]
    attention: tuple[CellKey, ...]
    n_candidates: int
    slides: tuple[SlideRow, ...]
    n_slides_hidden: int
    left_out: tuple[tuple[str, str], ...]
    run: RunInfo


def build_content(patient: PatientResult, run: RunInfo, settings: Settings) -> Content:
    """Put a patient's result into words and rows.

    Parameters
    ----------
    patient
        What was found; failed slides included.
    run
        What found it.
    settings
        The thresholds the flag was judged by, and how much a report shows.
    """
    choice = choose_gallery(patient, settings.report)
    aggregate = settings.aggregate
    thresholds = (aggregate.work_up_fraction, aggregate.acute_fraction)
    return Content(
        patient_id=wording.printable(patient.patient_id) or "(no patient id)",
        flag=patient.flag,
        words=FLAGS[patient.flag],
        is_headlined=patient.flag != "insufficient",
        reasons=wording.listed(patient.reasons),
        n_leukocytes=patient.differential.n_leukocytes,
        n_blasts=patient.differential.n_blasts,
        denominator=patient.differential.denominator,
        raw=patient.raw,
        corrected=corrected_or_none(patient),
        is_transferable=patient.is_transferable,
        limit_of_blank=patient.limit_of_blank,
        limit_of_detection=patient.limit_of_detection,
        thresholds=thresholds,
        confidence=aggregate.confidence,
        sentences=_sentences(patient, thresholds),
        counted=_counted(patient, aggregate.confidence),
        not_counted=_not_counted(patient),
        judged_probabilities=_judged(patient),
        cards=tuple(_card(rank, cell) for rank, cell in enumerate(choice.cells, 1)),
        attention=choice.attention,
        n_candidates=choice.n_candidates,
        slides=tuple(_slide_row(slide) for slide in patient.slides[:_MAX_SLIDES]),
        n_slides_hidden=max(0, len(patient.slides) - _MAX_SLIDES),
        left_out=_left_out(patient),
        run=run,
    )


def corrected_or_none(patient: PatientResult) -> Interval | None:
    """The corrected fraction, or None where its interval is everything from 0 to 1: then it is none."""
    interval = patient.corrected
    says_nothing = interval.low <= 0 and interval.high >= 1
    return None if says_nothing or not math.isfinite(interval.estimate) else interval


def _sentences(patient: PatientResult, thresholds: tuple[float, float]) -> tuple[str, ...]:
    found = [_limits_sentence(patient, thresholds)]
    if not patient.is_transferable and corrected_or_none(patient):
        found.append(
            "The correction uses the errors of the models on their own validation cells. In this laboratory nothing "
            "was measured, so it may not transfer."
        )
    n_done = sum(s.status == "done" for s in patient.slides)
    if n_done > 1:
        found.append(f"Cells of {n_done} slides are pooled before any fraction is taken.")
    if patient.heterogeneity_p is not None:
        found.append(f"Were all slides alike, they would differ this much with p = {patient.heterogeneity_p:.2g}.")
    if patient.absolute_blasts_10e9_per_l is not None:
        found.append(_absolute_sentence(patient))
    n_seen = sum(cell.is_counted for slide in patient.slides for cell in slide.cells)
    if n_seen > patient.differential.n_leukocytes:
        found.append(
            f"{wording.number(n_seen, 0)} leukocytes were found fit to count; counting stopped at "
            f"{wording.number(patient.differential.n_leukocytes, 0)}, when the answer was clear."
        )
    return tuple(found)


def _limits_sentence(patient: PatientResult, thresholds: tuple[float, float]) -> str:
    n = f"{wording.number(patient.differential.n_leukocytes, 0)} {patient.differential.denominator}"
    if not patient.limit_of_blank < 1:
        return f"What blast-free smears read with these models is not known for {n} (no limit of blank)."
    blank = wording.percent(patient.limit_of_blank, thresholds)
    if not patient.limit_of_detection < 1:
        return f"With {n}, blast-free smears read up to {blank} (limit of blank); no fraction is detected reliably."
    detection = wording.percent(patient.limit_of_detection, thresholds)
    return (
        f"With {n}, blast-free smears read up to {blank} (limit of blank), "
        f"and blasts are detected reliably from {detection} on (limit of detection). Both are said of smears not yet "
        "read: what this one leaves open is told by its interval."
    )


def _absolute_sentence(patient: PatientResult) -> str:
    """The absolute count with what it was made from, and the interval that the fraction leaves it."""
    count = max(s.source.wbc_10e9_per_l or 0.0 for s in patient.slides)  # there is one, on one slide or several
    blasts, low, high = (
        wording.number(value, 2)
        for value in (
            patient.absolute_blasts_10e9_per_l,
            count * patient.corrected.low,
            count * patient.corrected.high,
        )
    )
    white = wording.number(count, 2)
    return (
        f"Of the worksheet's white count of {white} × 10⁹/L the corrected fraction makes {blasts} × 10⁹/L blasts "
        f"(interval {low}–{high}, the white count taken as exact)."
    )


def _counted(patient: PatientResult, confidence: float) -> tuple[ClassRow, ...]:
    counts, total = patient.differential.counts, patient.differential.n_leukocytes
    return tuple(
        ClassRow(c.title, c.value, counts.get(c, 0), clopper_pearson(counts.get(c, 0), total, confidence))
        for c in CellClass
        if c in COUNTED
    )


def _not_counted(patient: PatientResult) -> tuple[ClassRow, ...]:
    beside = list_beside(cell for slide in patient.slides for cell in slide.cells)
    titles = {"out_of_focus": "Leukocyte out of focus", "left_out": "Leukocyte left out for another reason"}
    rows = [ClassRow(titles.get(key) or CellClass(key).title, key, n) for key, n in beside.items()]
    return tuple(row for row in rows if row.n or row.key != "left_out")


def _judged(patient: PatientResult) -> tuple[tuple[float, bool], ...]:
    return tuple(
        (cell.blast_probability, is_called_blast(cell))
        for slide in patient.slides
        for cell in slide.cells
        if cell.is_counted and cell.cell_class in MONONUCLEAR
    )


def _card(rank: int, numbered: NumberedCell) -> Card:
    cell, box = numbered.cell, numbered.cell.detection.box
    spread = f" ±{wording.GAP}{cell.spread:.2f}" if cell.spread > 0 else ""
    facts = [("blast", f"{cell.blast_probability:.3f}{spread}"), ("class", f"{cell.class_probability:.3f}")]
    # A cell that could not be outlined measures 0: no size is shown then.
    if diameter := cell.measures.get("cell_diameter_um"):
        facts.append(("diameter", wording.number(diameter, 1, "µm")))
    if ratio := cell.measures.get("nucleus_to_cytoplasm"):
        facts.append(("nucleus", wording.number(100 * ratio, 0, "%")))
    where = f"{numbered.slide_id}, {cell.field_name}" if cell.field_name else numbered.slide_id
    facts.append((wording.printable(where), f"cell {numbered.cell_id}"))
    facts.append(("x, y", f"{box.centre.x:.0f}, {box.centre.y:.0f}"))
    marks = [] if cell.is_counted else ["not counted"]
    if not cell.is_in_focus:
        marks.append("out of focus")
    return Card(rank, numbered, is_called_blast(cell), tuple(facts), tuple(marks))


def _slide_row(slide: SlideResult) -> SlideRow:
    n_leukocytes = sum(cell.is_counted for cell in slide.cells)
    n_blasts = sum(is_called_blast(cell) for cell in slide.cells)
    source = slide.source
    details = [("File", source.path), ("Specimen", source.specimen), ("Collected", source.collected)]
    if len(slide.fields) > 1:
        details.append(("Made of", wording.counted(len(slide.fields), "image", "images")))
    elif slide.size:
        details.append(
            ("Size", f"{wording.number(slide.size.width, 0)} × {wording.number(slide.size.height, 0, 'px')}")
        )
    return SlideRow(
        slide_id=wording.printable(source.slide_id),
        status=slide.status,
        reason=wording.printable(slide.reason),
        scale=_scale(slide),
        is_estimated=slide.scale is not None and slide.scale.source == "estimated",
        n_detections=len(slide.cells),
        n_leukocytes=n_leukocytes,
        n_blasts=n_blasts,
        blast_share=wording.percent(n_blasts / n_leukocytes) if n_leukocytes else "–",
        quality=tuple(wording.quality(name, value) for name, value in sorted(slide.quality.items())),
        details=tuple((label, wording.printable(text)) for label, text in details if text),
    )


def _scale(slide: SlideResult) -> str:
    scale = slide.scale
    if scale is None:
        return "unknown"
    means = {round(f.scale.mpp.mean, 4) for f in slide.fields}
    x, y = (wording.number(v, 4) for v in (scale.mpp.x, scale.mpp.y))
    value = f"{x} µm/px" if x == y else f"{x} × {y} µm/px"
    if len(means) > 1:
        value = f"{min(means):.4f} to {max(means):.4f} µm/px over {len(slide.fields)} images"
    if scale.source == "estimated":
        spread = wording.number(100 * _TWO_SIDED_95 * scale.relative_sd, 0, "%")
        if not scale.n_red_cells:
            return f"{value}{f' ± {spread} (95 %)' if scale.relative_sd else ''}, taken from the slide's other images"
        cells = wording.counted(scale.n_red_cells, "red cell", "red cells")
        return f"{value} ± {spread} (95 %), measured on {cells}"
    return f"{value}, {'from the file' if scale.source == 'metadata' else 'given by the user'}"


def _left_out(patient: PatientResult) -> tuple[tuple[str, str], ...]:
    """(slide, what and why), failures first."""
    failed = [(s.source.slide_id, f"slide failed: {s.reason}") for s in patient.slides if s.status == "failed"]
    notes = [(s.source.slide_id, note) for s in patient.slides for note in (*s.left_out, *s.notes)]
    lines = [(wording.printable(slide), wording.sentence(text)) for slide, text in failed + notes]
    if len(lines) > _MAX_NOTES:
        lines = [*lines[:_MAX_NOTES], ("…", f"and {len(lines) - _MAX_NOTES} more lines in slides.csv")]
    return tuple(lines)
