"""Fill our measured figures into docs/models.md: ``python benchmarks/models_page.py``.

Figures come from the shipped card of `subtype` and from `paper_networks.csv`; what neither holds stays open, with the
command that measures it. Whatever stands between a pair of marks in the page is replaced.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
PAGE, CARD = HERE.parent / "docs" / "models.md", HERE.parent / "configs" / "cards" / "subtype.toml"
TABLE, SUMMARY = HERE / "paper_networks.csv", HERE / "paper_networks.md"
RANDOM, BLOCKS = "random fifth", "unseen blocks"
OPEN = "open: `benchmarks/paper_networks.py`"
#: Sajon's systems: name, printed, network in our table (None: needs a GPU), recipe.
SAJON = (
    ("DenseNet201 + CBAM", "0.9985", "densenet201_cbam", "sajon2024"),
    ("ResNet50 + CBAM", "0.9969", None, "sajon2024_resnet50"),
    ("Xception + CBAM", "0.9939", None, "sajon2024_xception"),
    ("EfficientNetB6 + CBAM", "0.9924", None, "sajon2024_efficientnet_b6"),
    ("custom CNN + CBAM", "per class 0.961, 0.985, 0.995, 1.000", "cnn_cbam", "sajon2024_cnn"),
)

Rows = Sequence[Mapping[str, str]]


def measured(rows: Rows, network: str, test: str) -> str:
    """Mean accuracy over seeds with its deviation, and the first seed's interval; open where there is none."""
    runs = [row for row in rows if row["network"] == network and row["test"] == test]
    if not runs:
        return OPEN
    found = np.array([float(row["accuracy"]) for row in runs])
    spread = f" ± {found.std(ddof=1):.3f}, {len(runs)} seeds" if len(runs) > 1 else ", one seed"
    first = runs[0]
    return f"{found.mean():.3f}{spread} ({float(first['low']):.3f}–{float(first['high']):.3f}, n = {first['n']})"


def of_card(figures: Mapping[str, object], test: str) -> str:
    """The shipped package's accuracy on a test, as its card says."""
    name = test.replace(" ", "_")
    if f"{name}_accuracy" not in figures:
        return "open: not in its card"
    interval = str(figures[f"{name}_interval_95"]).split(",")[0].replace(" to ", "–")
    return f"{float(str(figures[f'{name}_accuracy'])):.3f} ({interval}, n = {figures[f'{name}_n']})"


def sajon(rows: Rows, figures: Mapping[str, object]) -> str:
    """The table of Sajon's systems."""
    lines = ["| system | printed, random | ours, random | ours, unseen blocks | recipe |", "|---|---|---|---|---|"]
    for name, printed, network, recipe in SAJON:
        ours = [measured(rows, network, test) if network else "needs a GPU" for test in (RANDOM, BLOCKS)]
        lines.append(f"| {name} | {printed} | {ours[0]} | {ours[1]} | `{recipe}` |")
    shipped = [of_card(figures, test) for test in (RANDOM, BLOCKS)]
    lines.append(f"| `subtype`, shipped | – | {shipped[0]} | {shipped[1]} | `python -m smearscan.train.subtype` |")
    return "\n".join(lines)


def attention(summary: str) -> str:
    """Our table of attention against none, without its heading."""
    if not summary:
        return "Open: `python benchmarks/paper_networks.py --data PATH` writes `benchmarks/paper_networks.md`."
    return summary.split("\n", 2)[2].strip()


def filled(page: str, name: str, text: str) -> str:
    """The page with what stands between the marks of this name replaced."""
    marks = re.compile(rf"(<!-- measured: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
    if not marks.search(page):
        raise SystemExit(f"{PAGE} has no marks <!-- measured: {name} --> … <!-- end -->")
    return marks.sub(lambda found: f"{found[1]}{text}{found[2]}", page)


def main() -> None:
    """Rewrite the page."""
    rows = list(csv.DictReader(TABLE.open(newline=""))) if TABLE.exists() else []
    figures = tomllib.loads(CARD.read_text("utf-8")).get("figures", {}) if CARD.exists() else {}
    page = filled(PAGE.read_text("utf-8"), "sajon", sajon(rows, figures))
    page = filled(page, "attention", attention(SUMMARY.read_text("utf-8") if SUMMARY.exists() else ""))
    PAGE.write_text(page, "utf-8")


if __name__ == "__main__":
    main()
