"""The page: one file, no request, nothing injected, whole without script or pictures, at most 10 MB."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from fake_results import COUNTS, failed_slide, fake_cell, fake_images, fake_patient, fake_run, fake_slide

from smearscan.classes import CellClass
from smearscan.errors import OutputError
from smearscan.records import Interval
from smearscan.report import html, wording
from smearscan.report.content import ReportImages
from smearscan.settings import Settings

_VOID = {"meta", "link", "img", "br", "input"}
_FEW = {CellClass.BLAST: 4, CellClass.LYMPHOCYTE: 6, CellClass.NEUTROPHIL: 7, CellClass.SMUDGE: 2}


class _Page(HTMLParser):
    """Collects elements and checks that every opened one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.words.append(data)

    def of(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.elements if name == tag)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u202f", " ").split())


def _small_patient(**changes: object):  # type: ignore[no-untyped-def]
    cells = [
        fake_cell(c, x=900 * i, y=700 * j, blast_probability=0.9 - 0.1 * i)
        for i, (c, n) in enumerate(_FEW.items())
        for j in range(n)
    ]
    return replace(fake_patient(slides=[fake_slide(cells=cells), failed_slide()]), **changes)


def _render(patient=None, images: ReportImages | None = None) -> str:  # type: ignore[no-untyped-def]
    patient = _small_patient() if patient is None else patient
    return html.render_report(patient, fake_run(), fake_images(patient) if images is None else images, Settings())


@pytest.fixture(scope="module")
def page() -> str:
    return _render()


def test_the_page_asks_nobody_for_anything(page: str) -> None:
    parsed = _Page(page)
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "srcset", "poster", "action", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), f"{tag} {name}={value!r}"
    assert not re.search(r"@import|url\(|https?://|fetch\(|XMLHttp", page)


def test_only_its_own_script_may_run(page: str) -> None:
    script = re.search(r"<script>(.*?)</script>", page, re.DOTALL)
    policy = next(a["content"] for a in _Page(page).of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert script and policy
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy and f"script-src 'sha256-{digest}'" in policy
    assert page.count("<script") == 1 and not re.search(r"\son\w+=", re.sub(r"<script>.*?</script>", "", page))


def test_every_link_inside_the_page_has_its_place_and_every_id_is_one(page: str) -> None:
    parsed = _Page(page)
    ids = [a["id"] for _, a in parsed.elements if "id" in a]
    assert len(ids) == len(set(ids)) > 0
    links = [a["href"] for a in parsed.of("a") if a.get("href", "").startswith("#")]  # type: ignore[union-attr]
    assert len(links) >= 2 * sum(_FEW.values()) and {link[1:] for link in links if link} <= set(ids)


def test_every_picture_says_what_it_shows(page: str) -> None:
    parsed = _Page(page)
    alts = [a.get("alt") for a in parsed.of("img")]
    assert len(alts) > sum(_FEW.values()) and all(alts)
    assert "Cell 1: Blast, blast probability 0.90" in alts
    for svg in parsed.of("svg"):
        assert svg.get("aria-label") or svg.get("aria-hidden") == "true"


def test_the_flag_is_a_word_and_an_icon_and_the_limits_of_use_are_said(page: str) -> None:
    text = _Page(page).text
    assert "Work-up" in text and 'class="icon"' in page
    assert "Research use only; not a medical device" in text and "lineage needs flow cytometry" in text


def test_the_number_stands_with_its_denominator_and_the_correction_with_its_doubt(page: str) -> None:
    text = _Page(page).text
    assert "4 of 17 counted leukocytes" in text and "Share of 17 counted leukocytes" in text
    assert "of 17 counted leukocytes not measured in this laboratory" in text


def test_an_insufficient_number_is_small_and_its_reasons_are_there() -> None:
    patient = _small_patient(flag="insufficient", reasons=("17 leukocytes were counted, fewer than 200",))
    page = _render(patient, ReportImages())
    assert 'class="figures is-quiet"' in page and "17 leukocytes were counted, fewer than 200" in page
    assert "is-quiet" not in re.sub(r"<style>.*?</style>", "", _render(images=ReportImages()), flags=re.DOTALL)


def test_cards_show_class_probability_size_and_place(page: str) -> None:
    text = _Page(page).text
    assert "blast 0.900 ± 0.04 class 0.900 diameter 12.3 µm nucleus 81 % S-0417-a cell 1 x, y 60, 59" in text
    assert page.count('class="scale-bar"') == sum(_FEW.values())


def test_the_page_is_whole_without_pictures_and_without_script() -> None:
    page = _render(images=ReportImages())
    assert page.count("no picture") == sum(_FEW.values())
    text = _Page(re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)).text
    for heading in ("Differential", "Not counted", "Cells", "Slides, quality and scale", "What was left out", "Models"):
        assert heading in text
    assert "scans/S-0417-b.svs is truncated" in text and "9f3a9f3a" in text


def test_a_patient_of_whom_nothing_could_be_read_has_a_report() -> None:
    nothing = Interval(float("nan"), 0.0, 1.0)
    patient = fake_patient(slides=[failed_slide()], flag="insufficient", reasons=["no slide could be read"])
    page = _render(replace(patient, raw=nothing, corrected=nothing, limit_of_blank=1.0, limit_of_detection=1.0))
    assert "No slide could be read" in page and "nan" not in _Page(page).text


@pytest.mark.parametrize("evil", ['<script>alert(1)</script>"', "{{ 7*7 }}", "'\"><img src=x onerror=alert(1)>"])
def test_hostile_names_are_shown_never_obeyed(evil: str) -> None:
    cells = [fake_cell(field_name=evil)]
    slide = replace(fake_slide(evil, evil, cells=cells, fields=(evil,)), notes=(evil,), left_out=(evil,))
    patient = fake_patient(evil, slides=[slide, failed_slide(evil + "2", evil)], reasons=[evil])
    run = replace(fake_run(), preset=evil, model_cards=({"name": evil, evil: evil},))
    page = html.render_report(patient, run, fake_images(patient), Settings())
    parsed = _Page(page)
    assert sum(tag == "script" for tag, _ in parsed.elements) == 1
    assert not any("onerror" in attributes for _, attributes in parsed.elements)
    assert evil in "".join(parsed.words)
    foot = page.split("@bottom-left { content: ")[1].split("; font:")[0]
    assert foot == wording.css_string(f"Patient {evil}") and not set(foot[1:-1]) & set("\"'<>{}")
    index = _Page(html.render_index([patient], {evil: "x"}, run, Settings()))
    assert not any(tag == "script" for tag, _ in index.elements)


def test_the_same_result_gives_the_same_bytes(page: str) -> None:
    assert _render() == page


def test_two_hundred_cells_stay_under_ten_megabytes() -> None:
    patient = fake_patient()
    page = _render(patient)
    assert page.count('id="cell-') == 200 and sum(COUNTS.values()) > 200
    assert 1_000_000 < len(page.encode()) <= 10_000_000


def test_ten_thousand_failed_slides_leave_the_page_small_and_what_is_said_of_the_patient_on_it() -> None:
    slides = [failed_slide(f"S-{n}") for n in range(10_000)]
    why = [f"slide {slide.source.slide_id} failed: {'x' * 1200}" for slide in slides]
    reasons = ["no slide could be read", *why, "the interval spans 5%: another smear of this patient could decide it"]
    patient = fake_patient(slides=slides, flag="insufficient", reasons=reasons)
    page = _render(patient, ReportImages())
    assert len(page.encode()) <= 2_000_000
    index = html.render_index([patient], {patient.patient_id: "p"}, fake_run(), Settings())
    for text in (_Page(page).text, _Page(index).text):
        assert "No slide could be read" in text and "could decide it" in text
        assert "Slide S-47 failed" in text and "Slide S-48 failed" not in text
        assert "And 9 952 more, all of them in patients.csv" in text


@pytest.mark.slow
def test_even_noise_on_many_fields_stays_under_ten_megabytes() -> None:
    fields = tuple(f"field_{n:03}.jpg" for n in range(120))
    patient = fake_patient(slides=[fake_slide(fields=fields)])
    page = _render(patient, fake_images(patient, is_noise=True))
    assert len(page.encode()) <= 10_000_000
    assert "more images with shown cells are not pictured" in page and "pictures left out" not in page


def test_pictures_that_do_not_fit_are_counted_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "_GALLERY_BUDGET", 9_000)
    page = _render()
    n_shown = sum("decoding" in a and "left as it is" not in (a["alt"] or "") for a in _Page(page).of("img"))
    assert re.search(r"<strong>\d+ pictures left out", page) and "no picture" in page
    assert 0 < n_shown < sum(_FEW.values())


def test_the_list_of_patients_puts_the_most_urgent_first_and_links_to_its_reports(tmp_path: Path) -> None:
    def patient(patient_id: str, flag: str, n_blasts: int):  # type: ignore[no-untyped-def]
        cells = [fake_cell(x=i) for i in range(n_blasts)] + [fake_cell(CellClass.NEUTROPHIL, y=1)] * 20
        return fake_patient(patient_id, [fake_slide(f"S{patient_id}", patient_id, cells)], flag=flag)

    patients = [
        patient("clear", "clear", 0),
        patient("a/b", "review", 1),
        patient("little", "insufficient", 0),
        patient("much", "insufficient", 9),
        patient("acute", "acute_range", 9),
        patient("work #1", "work_up", 2),
    ]
    paths = html.write_reports(tmp_path, patients, {}, fake_run(), Settings())
    index = _Page((tmp_path / "index.html").read_text("utf-8"))
    links = [unquote(a["href"] or "") for a in index.of("a") if not (a["href"] or "").startswith("../")]
    assert [tmp_path / link for link in links] == [
        paths[name] for name in ("acute", "work #1", "a/b", "much", "little", "clear")
    ]
    assert all(path.is_file() for path in paths.values()) and len(list(tmp_path.iterdir())) == 7
    assert "Acute-leukaemia range" in index.text and "6 patients" in index.text


def test_a_report_that_cannot_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="report"):
        html.write_index(tmp_path / "report", [], fake_run(), Settings())


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1, 2])
def test_text_and_flags_have_the_contrast_wcag_asks_for_on_screen_in_the_dark_and_in_print(scheme: int) -> None:
    style = (Path(html.__file__).parent / "templates" / "style.css").read_text("utf-8")
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6}|#[0-9a-f]{3})\b", block))
    colours = {k: v if len(v) == 7 else "#" + "".join(2 * c for c in v[1:]) for k, v in colours.items()}
    pairs = [
        ("ink", "page"),
        ("ink", "panel"),
        ("soft", "panel"),
        ("soft", "page"),
        ("link", "panel"),
        ("blast", "panel"),
    ]
    pairs += [(flag, f"{flag}-bg") for flag in ("acute", "work", "review", "none", "clear")]
    pairs += [("ink", f"{flag}-bg") for flag in ("acute", "work", "review", "none", "clear")]
    for front, back in pairs:
        light, dark = sorted((_luminance(colours[front]), _luminance(colours[back])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, f"{front} on {back}"
