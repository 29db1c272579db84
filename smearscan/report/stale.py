"""Pages beside those of a run, which its list of patients does not name: an earlier run's, or somebody else's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

#: Pages that a remark names.
_MOST_NAMED = 5


def other_pages(folder: Path, pages: Collection[str]) -> tuple[str, ...]:
    """Names of pages in a folder that are none of `pages` nor the list of patients; no page is ever removed."""
    return tuple(sorted(path.name for path in folder.glob("*.html") if path.name not in {*pages, "index.html"}))


def stale_remark(folder: Path, names: tuple[str, ...]) -> str:
    """What whoever asked for the run is to be told of such pages; empty where there are none."""
    if not names:
        return ""
    n_more = len(names) - _MOST_NAMED
    listed = ", ".join(names[:_MOST_NAMED]) + (f" and {n_more} more" if n_more > 0 else "")
    return f"warning: {folder} holds pages that this run did not write and does not list: {listed}"
