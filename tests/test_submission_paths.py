"""Paths that nothing can be opened at, handed in: each fails by name, and the others go on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from smearscan.submission import gather

TOO_LONG = "a" * 300 + ".png"


def _field(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(path)
    return path


def _worksheet(folder: Path, text: str) -> Path:
    path = folder / "worksheet.csv"
    path.write_text(text, "utf-8")
    return path


def _trouble(folder: Path) -> dict[str, str]:
    """Names that nothing can be opened at, and what is said of each."""
    _field(folder / "good.png")
    for name, target in {"gone.png": "absent.png", "gone too.png": "absent.png", "round.png": "round.png"}.items():
        (folder / name).symlink_to(folder / target)
    nowhere = "a link that leads nowhere. Mend the link"
    return {
        "gone.png": nowhere,
        "gone too.png": nowhere,
        "round.png": nowhere,
        "round.png/below.png": "Mend the path",
        "good.png/below.png": "Mend the path",
        TOO_LONG: "File name too long. Mend the path",
    }


def test_a_path_that_cannot_be_looked_at_fails_by_name_and_the_others_go_on(tmp_path: Path) -> None:
    told = _trouble(tmp_path)
    submission = gather([*(tmp_path / name for name in told), tmp_path / "good.png"])
    assert [s.slide_id for s in submission.sources] == ["good"]
    assert len({rejected.source.slide_id for rejected in submission.rejected}) == len(told)
    for rejected, (name, says) in zip(submission.rejected, told.items(), strict=True):
        assert rejected.reason.startswith(f"{tmp_path / name}: ") and says in rejected.reason


def test_a_line_whose_path_cannot_be_looked_at_costs_only_itself(tmp_path: Path) -> None:
    told = _trouble(tmp_path)
    lines = "".join(f"{name},P{place}\n" for place, name in enumerate(told))
    sheet = _worksheet(tmp_path, f"path,patient_id\n{lines}good.png,P\n")
    submission = gather([tmp_path], sheet)
    assert [s.patient_id for s in submission.sources] == ["P"]
    for rejected, (name, says) in zip(submission.rejected, told.items(), strict=True):
        assert rejected.reason.startswith(f"{tmp_path / name}: ") and says in rejected.reason


def test_links_that_lead_nowhere_do_not_vanish_from_a_folder(tmp_path: Path) -> None:
    _trouble(tmp_path)
    submission = gather([tmp_path])
    assert [s.slide_id for s in submission.sources] == ["good"]
    assert [r.source.slide_id for r in submission.rejected] == ["gone too", "gone", "round"]


def test_a_folder_that_cannot_be_listed_costs_only_what_is_in_it(tmp_path: Path, ordinary_rights: None) -> None:
    for name in ("in/a.png", "in/closed/b.png", "in/z.png"):
        _field(tmp_path / name)
    closed = tmp_path / "in/closed"
    sheet = _worksheet(tmp_path, "path,patient_id\nin/a.png,P1\nin/closed,P2\nin/closed/b.png,P3\nin,P4\n")
    closed.chmod(0)
    try:
        of_folder, of_sheet = gather([tmp_path / "in"]), gather([], sheet)
        of_itself = gather([closed])
    finally:
        closed.chmod(0o755)
    unlisted = f"{closed}: a folder that cannot be listed (Permission denied). Mend its permissions"
    assert [s.slide_id for s in of_folder.sources] == ["a", "z"]
    assert [r.reason for r in of_folder.rejected] == [unlisted]
    assert [r.reason for r in of_itself.rejected] == [unlisted]
    assert [s.patient_id for s in of_sheet.sources] == ["P1", "P4"]
    assert [r.reason for r in of_sheet.rejected] == [
        unlisted,
        f"{closed / 'b.png'}: Permission denied. Mend the path or its permissions",
    ]
    # One that is an image of a slide is left out by name when it is opened.
    assert [Path(path).name for path in of_sheet.sources[1].paths] == ["a.png", "closed", "z.png"]
