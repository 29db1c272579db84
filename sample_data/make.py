"""Draw the sample smears again, byte for byte: `python sample_data/make.py [FOLDER]`.

Without a folder the files here are drawn anew. Nothing in them comes from a real smear.
"""

from __future__ import annotations

import sys
from pathlib import Path

from smearscan.synth import write_smear

#: File → width, height, seed, options. Three invented patients of three invented laboratories.
SMEARS: dict[str, tuple[int, int, int, dict[str, object]]] = {
    # Anna, two scans of one smear, a healthy differential.
    "anna_1.tif": (2400, 1800, 11, {"laboratory": "meadow", "cells_per_mm2": 520.0, "red_cell_um": 7.5}),
    "anna_2.tif": (2400, 1800, 12, {"laboratory": "meadow", "cells_per_mm2": 520.0, "red_cell_um": 7.5}),
    # Ben, one scan, three blasts in ten leukocytes.
    "ben.tif": (
        2600,
        2000,
        21,
        {"laboratory": "riverside", "mpp": 0.25, "cells_per_mm2": 900.0, "blast_fraction": 0.30},
    ),
} | {
    # Cleo, seven camera fields that do not say their scale, one blast in eight leukocytes.
    f"cleo/field_{n}.jpg": (
        1280,
        960,
        30 + n,
        {"laboratory": "lakeside", "cells_per_mm2": 820.0, "blast_fraction": 0.12, "red_cell_um": 7.4},
    )
    for n in range(1, 8)
}


def draw(name: str, folder: Path) -> Path:
    """Draw one of the smears with its truth into a folder."""
    width, height, seed, options = SMEARS[name]
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_smear(path, width, height, seed, layout="field", **options)
    return path


if __name__ == "__main__":
    for smear in SMEARS:
        print(draw(smear, Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
