"""The pages as Chromium shows them: asking nobody, whole at every width and on paper, working under the mouse."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fake_results import failed_slide, fake_cells, fake_images, fake_patient, fake_run, fake_slide

from smearscan.classes import CellClass
from smearscan.geometry import Size
from smearscan.report import html
from smearscan.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

Open = Callable[..., "Page"]

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
#: Nothing of its own accord: no update, no first-run page, no account.
_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_HOSTILE = "<img src=x onerror=alert(1)>"
_COUNTS = {
    CellClass.BLAST: 9,
    CellClass.LYMPHOCYTE: 12,
    CellClass.NEUTROPHIL: 8,
    CellClass.MONOCYTE: 3,
    CellClass.SMUDGE: 2,
}
_FIELDS = tuple(f"field_{n}.png" for n in range(8))
#: Every text of a drawing as (text, height in CSS pixels, whether it lies inside its drawing).
_DRAWN_TEXTS = """[...document.querySelectorAll("svg text")].filter(t => t.getClientRects().length).map(t => {
  const box = t.getBBox(), view = t.ownerSVGElement.viewBox.baseVal;
  return [t.textContent, parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a,
          box.x >= 0 && box.y >= 0 && box.x + box.width <= view.width && box.y + box.height <= view.height];
})"""
#: What sticks out of the page, or is cut off by a box that hides or scrolls what does not fit in its width.
_CUT = """[...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (!box.width || e.closest(".unseen") || e.ownerSVGElement) return false;
  const cuts = style.overflowX !== "visible" && style.display !== "inline" && e.scrollWidth > e.clientWidth + 1;
  return cuts || box.right > document.documentElement.clientWidth + 1 || box.left < -1;
}).map(e => `${e.tagName} ${e.className.baseVal ?? e.className}`)"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index and three patients: one of fields, one with hostile names, one of whom nothing could be read."""
    folder = tmp_path_factory.mktemp("report")
    cells = fake_cells(_COUNTS, Size(2000, 1500), 3, _FIELDS)
    fields = fake_patient("fields", [fake_slide("S-2", "fields", cells, fields=_FIELDS)], flag="acute_range")
    few = fake_cells({CellClass.BLAST: 2, CellClass.LYMPHOCYTE: 3}, Size(2000, 1500), 4, (_HOSTILE,))
    hostile = [fake_slide(_HOSTILE, _HOSTILE, few, fields=(_HOSTILE,)), failed_slide(_HOSTILE + "2", _HOSTILE)]
    patients = [
        fields,
        fake_patient(_HOSTILE, hostile, reasons=[_HOSTILE]),
        fake_patient("nothing", [failed_slide()], "insufficient", ["no slide could be read"]),
    ]
    images = {patient.patient_id: fake_images(patient) for patient in patients}
    paths = html.write_reports(folder, patients, images, fake_run(), Settings())
    paths[_HOSTILE].rename(folder / "hostile.html")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of this machine without a window; skips where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the extra [test] has it")
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None) or (str(_MACOS) if _MACOS.is_file() else None)
    if program is None:
        # tests/run installs it where it may; Playwright's own browser would have to be fetched.
        pytest.skip(
            f"no {' or '.join(_PROGRAMS)} here: install Chromium (Debian: chromium) to see the pages in a browser"
        )
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, reports: Path) -> Iterator[Open]:
    """Opens a page by its name; in the end none may have complained, alerted or asked for anything but files."""
    contexts, said, asked = [], [], []

    def open_one(name: str, width: int = 1200, **options: object) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 900}, **options))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(f"alert {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((reports / f"{name}.html").as_uri())
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert asked and said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def test_the_list_leads_to_each_patient_and_hostile_names_stay_words(open_page: Open) -> None:
    page = open_page("index")
    assert page.locator(".patients tbody tr").count() == 3
    assert page.get_by_role("link", name=_HOSTILE).is_visible()
    page.get_by_role("link", name="fields").click()
    assert page.locator("h1").inner_text() == "fields"
    assert open_page("hostile").locator("h1").inner_text() == _HOSTILE


def test_every_picture_is_shown_and_none_is_empty(open_page: Open) -> None:
    page = open_page("fields")
    pictures = page.locator(".card img, .pairs img")
    widths = pictures.evaluate_all("all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))")
    assert len(widths) > sum(_COUNTS.values()) and min(widths) > 0


def test_a_filter_leaves_the_cells_of_one_class_and_their_dots(open_page: Open) -> None:
    page = open_page("fields")
    cards, dots = page.locator(".card:visible"), page.locator(".pin:visible")
    assert cards.count() == dots.count() == sum(_COUNTS.values())
    button = page.get_by_role("button", name=re.compile("Lymphocyte 12"))
    button.click()
    assert set(cards.evaluate_all("all => all.map(c => c.dataset.class)")) == {"lymphocyte"}
    assert cards.count() == dots.count() == 12 and button.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name=re.compile("^All")).click()
    assert cards.count() == sum(_COUNTS.values()) and button.get_attribute("aria-pressed") == "false"


def test_a_cell_and_its_place_on_the_slide_light_up_together(open_page: Open) -> None:
    page = open_page("fields")
    lit = page.locator(".is-lit")
    page.locator("#cell-3").hover()
    assert lit.evaluate_all("all => all.map(e => e.id).sort()") == ["cell-3", "dot-3"]
    page.locator("h1").hover()
    assert lit.count() == 0
    page.locator("#dot-1").hover()
    assert "cell-1" in lit.evaluate_all("all => all.map(e => e.id)")
    page.locator("#cell-2 .picture").focus()
    assert "dot-2" in lit.evaluate_all("all => all.map(e => e.id)")


def test_the_thumbnail_of_the_cell_under_the_mouse_is_brought_into_view(open_page: Open) -> None:
    page = open_page("fields")
    page.locator(".atlas").evaluate("e => e.scrollIntoView()")
    is_seen = """rank => { const dot = document.getElementById("dot-" + rank).getBoundingClientRect();
      const maps = document.querySelector(".maps").getBoundingClientRect();
      return dot.top >= maps.top && dot.bottom <= maps.bottom; }"""
    ranks = range(1, sum(_COUNTS.values()) + 1)
    hidden = [rank for rank in ranks if not page.evaluate(is_seen, rank)]
    assert hidden
    for rank in hidden[:3]:
        page.locator(f"#cell-{rank}").hover()
        assert page.evaluate(is_seen, rank)


def test_a_picture_opens_large_and_the_arrows_walk_through_the_shown_cells(open_page: Open) -> None:
    page = open_page("fields")
    page.get_by_role("button", name=re.compile("Monocyte 3")).click()
    shown = page.locator(".card:visible")
    first, second = (shown.nth(n).locator("img").get_attribute("alt") for n in (0, 1))
    shown.nth(0).locator(".picture").click()
    large = page.locator("dialog[open] img")
    assert large.get_attribute("alt") == first
    assert large.evaluate("i => i.getBoundingClientRect().width") > 2 * shown.nth(0).evaluate("c => c.clientWidth")
    page.keyboard.press("ArrowRight")
    assert large.get_attribute("alt") == second
    for _ in range(4):  # past the last: it stays
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert large.get_attribute("alt") == second
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('dialog[open]')")
    # Where the mouse and the keyboard are again; the browser tells the page of the mouse in its next frame.
    page.wait_for_function(
        "cell => { const lit = [...document.querySelectorAll('.is-lit')];"
        " return lit.length && lit.every(e => e.id.split('-')[1] === cell) }",
        arg=shown.nth(0).get_attribute("data-cell"),
    )


@pytest.mark.parametrize("name", ["index", "fields", "hostile", "nothing"])
@pytest.mark.parametrize("width", [1200, 768, 400])
def test_a_page_fits_its_window_and_can_be_read(open_page: Open, name: str, width: int) -> None:
    page = open_page(name, width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(_CUT) == []
    for text, height, is_inside in page.evaluate(_DRAWN_TEXTS):
        assert height >= 9, f"{text} is {height:.1f} px high"
        assert is_inside, f"{text} is cut off"


@pytest.mark.parametrize("name", ["index", "fields"])
def test_on_paper_nothing_is_cut_and_what_needs_a_mouse_is_gone(open_page: Open, name: str) -> None:
    page = open_page(name, width=703)  # A4 less its margins of 12 mm, 96 px an inch
    page.emulate_media(media="print")
    assert page.evaluate(_CUT) == []
    assert all(is_inside for _, _, is_inside in page.evaluate(_DRAWN_TEXTS))
    assert page.locator(".filters:visible, .print-hint:visible").count() == 0
    assert page.locator(".card:visible").count() == (sum(_COUNTS.values()) if name == "fields" else 0)
    assert page.locator(".maps").evaluate_all("all => all.every(m => m.scrollHeight <= m.clientHeight + 1)")
    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", page.pdf(prefer_css_page_size=True))
    assert sizes and all(abs(float(w) - 595) < 2 and abs(float(h) - 842) < 2 for w, h in sizes)


def test_the_page_reads_in_full_with_script_off(open_page: Open) -> None:
    page = open_page("fields", java_script_enabled=False)
    assert page.locator(".card:visible").count() == sum(_COUNTS.values())
    assert page.get_by_role("button").count() == 0
    page.locator("#cell-5 .picture").click()
    assert page.url.endswith("#dot-5")
