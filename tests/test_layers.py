"""Imports point one way: the order of docs/architecture.md, read from the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Lowest first. A package may import only what stands in a line above its own; siblings never.
LINES = [
    {"errors", "error_counts", "geometry", "classes", "resources", "timing", "bound"},
    {"records", "settings", "provenance", "worksheet"},
    {"slide", "stain", "datasets"},
    {"regions", "detect", "crops", "models"},
    {"aggregate"},
    {"report"},
    {"store"},
    {"survey", "submission", "verdict", "cut_cells", "common_scale"},
    {"judge"},
    {"judgement", "pictures", "ready_made", "spotting"},
    {"pipeline"},
    {"stages", "evaluate", "lending"},
    {"local", "train", "synth"},
    {"screening"},
    {"cli"},
]
RANK = {name: rank for rank, line in enumerate(LINES) for name in line}
#: What records and settings may share with their own line: nothing but themselves.
FORBIDDEN = {"celery", "redis"}


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _place(path: Path) -> str:
    parts = path.relative_to(ROOT / "smearscan").parts
    return parts[0].removesuffix(".py")


def test_every_import_points_to_a_lower_line() -> None:
    wrong = []
    for path in sorted((ROOT / "smearscan").rglob("*.py")):
        here = _place(path)
        if here == "__init__":
            continue
        for name in _imports(path):
            parts = name.split(".")
            if parts[0] != "smearscan" or len(parts) < 2 or parts[1] not in RANK:
                continue
            target = parts[1]
            if target != here and RANK[target] >= RANK[here] and not (RANK[here] <= 1 and RANK[target] == RANK[here]):
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_module_stands_in_a_line() -> None:
    places = {_place(p) for p in (ROOT / "smearscan").rglob("*.py")} - {"__init__"}
    assert places == set(RANK), f"not in both: {sorted(places ^ set(RANK))}"


def test_the_page_of_the_architecture_shows_the_same_lines() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    shown = [set(re.findall(r"`([a-z_]+)`", cell)) for cell in re.findall(r"^\| ((?:`[a-z_]+` ?)+)\|", page, re.M)]
    assert shown == LINES


def test_nothing_in_smearscan_imports_the_queue_or_reads_the_environment() -> None:
    wrong = []
    for path in sorted((ROOT / "smearscan").rglob("*.py")):
        if {name.split(".")[0] for name in _imports(path)} & FORBIDDEN:
            wrong.append(f"{path.relative_to(ROOT)} imports a queue")
        if "os.environ.get" in path.read_text("utf-8") or "os.getenv" in path.read_text("utf-8"):
            wrong.append(f"{path.relative_to(ROOT)} reads the environment")
    assert not wrong, "\n".join(wrong)
