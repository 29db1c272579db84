"""The report as one self-contained HTML file, and the list of patients beside it.

Nothing is fetched: style, script, drawings and pictures are inside, and a content security policy
forbids the rest. The page reads in full without script.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from smearscan.records import PatientResult
from smearscan.report import images, plots, slide_map, wording
from smearscan.report.atomic import make_folder, write_bytes
from smearscan.report.content import Content, ReportImages, RunInfo, build_content, corrected_or_none
from smearscan.report.identity import CellKey
from smearscan.report.model_cards import view_card
from smearscan.report.names import report_names
from smearscan.report.subtypes import view_subtypes
from smearscan.settings import Settings

#: Characters of data URIs: gallery, attention, thumbnails. With the text the file stays under 10 MB.
_GALLERY_BUDGET, _ATTENTION_BUDGET, _MAP_BUDGET = 5_500_000, 1_200_000, 1_600_000
#: Thumbnails shown: a slide made of fields may have hundreds.
_MAX_MAPS = 24
#: Dots drawn on all thumbnails together: a page with more is slow to open.
_MAX_DOTS = 24_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """Encoded pictures of one report: data URIs of cells, of cells beside their attention; what did not fit."""

    cells: Mapping[CellKey, str]
    attention: Mapping[CellKey, str]
    has_streams: bool
    maps: tuple[slide_map.MapView, ...]
    scale_bars: Mapping[CellKey, float]
    n_cells_left_out: int
    n_maps_left_out: int


def render_report(patient: PatientResult, run: RunInfo, report_images: ReportImages, settings: Settings) -> str:
    """A patient's report as HTML text, at most 10 MB, the same text for the same input."""
    content = build_content(patient, run, settings)
    pictures = _encode(patient, content, report_images)
    cards = [view_card(card, number) for number, card in enumerate(run.model_cards, 1)]
    line = (
        content.raw if content.n_leukocytes else None,
        content.corrected,
        content.thresholds,
        content.limit_of_blank,
        content.denominator,
    )
    drawn = {
        "number_line": plots.number_line(*line),
        "narrow_number_line": plots.number_line(*line, layout=plots.NARROW),
        "histogram": plots.probability_histogram(content.judged_probabilities),
    }
    subtypes = view_subtypes(report_images.subtypes)
    return _fill("report.html.j2", content=content, pictures=pictures, drawn=drawn, cards=cards, subtypes=subtypes)


def render_index(patients: Sequence[PatientResult], names: Mapping[str, str], run: RunInfo, settings: Settings) -> str:
    """The list of patients as HTML text, the most urgent first, each with a link to its report."""
    thresholds = (settings.aggregate.work_up_fraction, settings.aggregate.acute_fraction)
    rows = [
        {
            "patient": patient,
            "id": wording.printable(patient.patient_id) or "(no patient id)",
            "words": wording.FLAGS[patient.flag],
            "link": quote(f"{names[patient.patient_id]}.html"),
            "corrected": corrected_or_none(patient),
            "line": plots.mini_line(corrected_or_none(patient), thresholds),
            "reasons": wording.listed(patient.reasons),
            "n_failed": sum(slide.status == "failed" for slide in patient.slides),
        }
        for patient in sorted(patients, key=_urgency)
    ]
    return _fill("index.html.j2", rows=rows, run=run, thresholds=thresholds, flags=wording.FLAGS)


def write_reports(
    folder: Path,
    patients: Sequence[PatientResult],
    images_by_patient: Mapping[str, ReportImages],
    run: RunInfo,
    settings: Settings,
) -> dict[str, Path]:
    """Write `<patient>.html` for every patient and `index.html` into `folder`.

    Returns
    -------
    dict
        Path of the report by patient id.

    Raises
    ------
    OutputError, TransientError
        If they cannot be written.
    """
    names = report_names(p.patient_id for p in patients)
    paths = {}
    for patient in patients:
        pictures = images_by_patient.get(patient.patient_id, ReportImages())
        path = folder / f"{names[patient.patient_id]}.html"
        write_report(path, patient, run, pictures, settings)
        paths[patient.patient_id] = path
    write_index(folder, patients, run, settings)
    return paths


def write_report(
    path: Path, patient: PatientResult, run: RunInfo, report_images: ReportImages, settings: Settings
) -> None:
    """Write one report; `names.report_names` chooses the file's name.

    Raises
    ------
    OutputError, TransientError
        If it cannot be written.
    """
    make_folder(path.parent)
    write_bytes(path, render_report(patient, run, report_images, settings).encode("utf-8"))


def write_index(folder: Path, patients: Sequence[PatientResult], run: RunInfo, settings: Settings) -> None:
    """Write the list of patients, `index.html`, into the reports' folder.

    Raises
    ------
    OutputError, TransientError
        If it cannot be written.
    """
    names = report_names(p.patient_id for p in patients)
    make_folder(folder)
    write_bytes(folder / "index.html", render_index(patients, names, run, settings).encode("utf-8"))


def _urgency(patient: PatientResult) -> tuple[int, float, float, str]:
    corrected = patient.corrected.estimate
    known = corrected if corrected == corrected else 0.0
    return wording.FLAGS[patient.flag].urgency, -known, -patient.differential.n_blasts, patient.patient_id


def _encode(patient: PatientResult, content: Content, given: ReportImages) -> Pictures:
    order = [card.numbered.key for card in content.cards]
    cells, n_left_out = images.encode_within({k: v.pixels for k, v in given.gallery.items()}, order, _GALLERY_BUDGET)
    heat = {
        key: images.attended(cell, attention)
        for key in content.attention
        if (cell := given.gallery.get(key)) and (attention := cell.attention) is not None
    }
    pairs, _ = images.encode_within(heat, content.attention, _ATTENTION_BUDGET, max_side=560)
    maps, n_maps_left_out = _maps(patient, content, given)
    bars = {
        key: image.um_per_px * image.pixels.shape[1]
        for key, image in given.gallery.items()
        if image.um_per_px is not None
    }
    has_streams = any(cell.streams for cell in given.gallery.values())
    return Pictures(cells, pairs, has_streams, maps, bars, n_left_out, n_maps_left_out)


def _maps(patient: PatientResult, content: Content, given: ReportImages) -> tuple[tuple[slide_map.MapView, ...], int]:
    slides = {slide.source.slide_id: slide for slide in patient.slides}
    wanted = [image for image in slide_map.choose_maps(content.cards, 10**6) if image in given.thumbnails]
    shown = wanted[:_MAX_MAPS]
    side = 900 if len(shown) <= 2 else 500
    uris, _ = images.encode_within({i: given.thumbnails[i].pixels for i in shown}, shown, _MAP_BUDGET, side)
    views = []
    for image in uris:
        slide_id, field_name = image
        here = [c for c in content.cards if (c.numbered.slide_id, c.numbered.cell.field_name) == image]
        thumbnail = given.thumbnails[image]
        views.append(
            slide_map.draw_map(slides[slide_id], field_name, thumbnail, uris[image], here, _MAX_DOTS // len(uris))
        )
    return tuple(views), len(wanted) - len(views)


def _fill(template: str, **values: Any) -> str:
    script = _read("script.js") if template.startswith("report") else ""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return str(
        _environment()
        .get_template(template)
        .render(style=_read("style.css"), script=script, script_digest=digest, notice=wording.NOTICE, **values)
    )


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"percent": wording.percent, "number": wording.number, "threshold": wording.threshold}
    environment.filters |= {"css_string": wording.css_string}
    environment.globals |= {"interval": wording.interval, "icon": plots.icon, "class_bar": plots.class_bar}
    return environment


def _read(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text("utf-8")
