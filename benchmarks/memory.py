"""Peak memory of a screening as the scan grows: it must not.

    python benchmarks/memory.py FOLDER [--gigapixels 0.4 4] [--jobs 1]

Draws synthetic scans into FOLDER (kept, so that a second run is quick), screens each in a process of its own and
prints the largest resident set of any process of that run, as the operating system accounts it.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def draw(folder: Path, gigapixels: float) -> Path:
    """A scan of so many gigapixels, one leukocyte per 4 Mpx, so that its pixels count and not its cells."""
    from smearscan.synth import write_smear

    path = folder / f"scan_{gigapixels:g}.tif"
    if not path.exists():
        side = round(math.sqrt(gigapixels * 1e9) / 512) * 512
        write_smear(path, side, side, 1, mpp=0.25, cells_per_mm2=4.0)
    return path


def peak_mb(scan: Path, jobs: int) -> tuple[float, float]:
    """Largest resident set of the screening's processes, MiB, and its seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable,
            "-m",
            "smearscan.cli.main",
            "screen",
            str(scan),
            "--out",
            out,
            "--jobs",
            str(jobs),
            "--state",
            f"{out}/state",
        ]
        subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    # The counter keeps the largest child ever: smaller scans must be measured first.
    return max(after, before) / 1024, time.perf_counter() - start


def main() -> None:
    """Measure from the smallest to the largest and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gigapixels", type=float, nargs="+", default=[0.4, 4.0])
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    figures = {}
    for gigapixels in sorted(given.gigapixels):
        mb, seconds = peak_mb(draw(given.folder, gigapixels), given.jobs)
        figures[f"{gigapixels:g}"] = {"peak_rss_mib": round(mb, 1), "seconds": round(seconds, 1)}
    peaks = [figure["peak_rss_mib"] for figure in figures.values()]
    print(json.dumps({"scans": figures, "ratio": round(peaks[-1] / peaks[0], 3)}, indent=1))


if __name__ == "__main__":
    main()
