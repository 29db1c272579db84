"""Pages of an earlier run in the same folder stay, and are told of."""

from __future__ import annotations

from pathlib import Path

from smearscan.report.stale import other_pages, stale_remark


def test_pages_that_are_not_of_the_run_are_found_and_stay(tmp_path: Path) -> None:
    for name in ("p.html", "index.html", "old.html", "notes.txt"):
        (tmp_path / name).write_text("a page", "utf-8")
    assert other_pages(tmp_path, {"p.html"}) == ("old.html",)
    assert len(list(tmp_path.iterdir())) == 4


def test_of_many_pages_some_are_named_and_of_none_nothing_is_said() -> None:
    many = tuple(f"{n}.html" for n in range(12))
    assert stale_remark(Path("r"), many).endswith("0.html, 1.html, 2.html, 3.html, 4.html and 7 more")
    assert not stale_remark(Path("r"), ())
