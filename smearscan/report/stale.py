"""Pages of an earlier run in the same folder: a list of patients that does not name them must not stand beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

#: Pages that a remark names.
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Stale:
    """Names of pages beside those of a run: removed as an earlier run had written them so, or left as none had."""

    folder: Path
    removed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What whoever asked for the run is to be told: a line for each kind."""
        said = []
        if self.removed:
            said.append(f"removed from {self.folder}, where an earlier run had left them: {_listed(self.removed)}")
        if self.left:
            said.append(
                f"warning: {self.folder} holds pages that this run did not write: {_listed(self.left)}. "
                "Remove them if they are of an earlier run"
            )
        return tuple(said)


def written_before(run_json: Path) -> dict[str, str]:
    """Pages that the run which is described there wrote: file name to SHA-256; none if it does not say."""
    try:
        pages = json.loads(run_json.read_text("utf-8"))["pages"]
        return {str(name): str(digest) for name, digest in pages.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def clear_pages(folder: Path, pages: Mapping[str, str], before: Mapping[str, str]) -> Stale:
    """Remove pages of an earlier run, and find the others that are not of this one.

    Removed is a page only if it is to the byte what the earlier run wrote: what a person wrote, or added to, stays.

    Parameters
    ----------
    pages, before
        What this run wrote and what the earlier one did, file name to SHA-256.
    """
    removed: list[str] = []
    left: list[str] = []
    for path in sorted(folder.glob("*.html")):
        if path.name in pages or path.name == "index.html":
            continue
        is_ours = path.is_file() and not path.is_symlink() and before.get(path.name) == _digest(path)
        (removed if is_ours and _remove(path) else left).append(path.name)
    return Stale(folder, tuple(removed), tuple(left))


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:  # it stays, and is told of
        return False
    return True


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _listed(names: tuple[str, ...]) -> str:
    n_more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {n_more} more" if n_more > 0 else "")
