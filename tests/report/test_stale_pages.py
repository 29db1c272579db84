"""Pages of an earlier run: removed where they are known to the byte, else left and told of."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from fake_results import fake_run

from smearscan.report.stale import Stale, clear_pages, written_before
from smearscan.report.tables import write_run


def _page(folder: Path, name: str, text: str = "a page") -> dict[str, str]:
    (folder / name).write_text(text, "utf-8")
    return {name: hashlib.sha256(text.encode()).hexdigest()}


def test_what_a_run_wrote_is_read_back_from_what_it_says_of_itself(tmp_path: Path) -> None:
    pages = _page(tmp_path, "p.html")
    write_run(tmp_path / "run.json", fake_run(), pages)
    assert written_before(tmp_path / "run.json") == pages


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]", "null", "{}", '{"pages": 3}', '{"pages": null}', "\xff"])
def test_a_run_that_says_nothing_of_its_pages_loses_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    _page(tmp_path, "p.html")
    assert clear_pages(tmp_path, {}, written_before(tmp_path / "run.json")).left == ("p.html",)
    assert (tmp_path / "p.html").exists()


def test_links_folders_and_places_outside_are_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    folder.mkdir()
    before = _page(tmp_path, "other.html")
    (folder / "link.html").symlink_to(tmp_path / "other.html")
    (folder / "folder.html").mkdir()
    digest = before["other.html"]
    before |= {
        "../other.html": digest,
        str(tmp_path / "other.html"): digest,
        "link.html": digest,
        "folder.html": digest,
    }
    assert clear_pages(folder, {}, before) == Stale(folder, left=("folder.html", "link.html"))
    assert (tmp_path / "other.html").exists() and (folder / "link.html").is_symlink()


def test_the_pages_of_this_run_and_the_list_of_patients_stay(tmp_path: Path) -> None:
    before = _page(tmp_path, "p.html") | _page(tmp_path, "index.html") | _page(tmp_path, "old.html")
    stale = clear_pages(tmp_path, {"p.html": before["p.html"]}, before)
    assert stale == Stale(tmp_path, removed=("old.html",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "p.html"]


def test_of_many_pages_some_are_named() -> None:
    stale = Stale(Path("r"), tuple(f"{n}.html" for n in range(12)), ("x.html",))
    removed, left = stale.remarks
    assert removed.endswith("0.html, 1.html, 2.html, 3.html, 4.html and 7 more")
    assert "x.html. Remove" in left and not Stale(Path("r")).remarks
