"""What the queue costs and gains: against `smearscan screen` on the same cores, in one run.

    python benchmarks/night.py FOLDER [--slides 24] [--stat-behind 200]

Measures, each from a fresh state: seconds of `screen` and of the queue with as many processes (work only: from the
first chunk begun to the last done); the fill of the classifiers' batches with many small slides; the work of two
processes against one; how long a stat slide takes that is submitted behind routine ones, in chunk times.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles

from sqlalchemy import func, select

from smearscan.store.location import find_location
from smearscan.store.schema import runs, work
from smearscan.store.state import State, open_state

_CLI = [sys.executable, "-m", "smearscan.cli.main"]


def draw(folder: Path, n: int) -> Path:
    """Small slides with a scale, a dozen cells each."""
    from smearscan.synth import write_smear

    slides = folder / "slides"
    slides.mkdir(parents=True, exist_ok=True)
    for place in range(n):
        path = slides / f"s{place:03d}.tif"
        if not path.exists():
            write_smear(path, 1200, 900, 900 + place, mpp=0.2, cells_per_mm2=600.0, layout="field")
    return slides


@contextmanager
def up(state: Path, processes: int) -> Iterator[State]:
    """`smearscan up`, ready: its worker processes have been heard of."""
    command = [*_CLI, "up", "--state", str(state), "--processes", str(processes), "--metrics-port", "0"]
    with (state.parent / f"{state.name}.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            time.sleep(12)
            yield open_state(find_location(str(state)))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def submit(state: Path, *arguments: object) -> None:
    """Put slides on the queue."""
    subprocess.run(
        [*_CLI, "submit", *map(str, arguments), "--state", str(state)], check=True, stdout=subprocess.DEVNULL
    )


def wait(state: State, n_runs: int) -> None:
    """Until so many runs are done."""
    while True:
        with state.database.transaction() as connection:
            done = select(func.count()).where(runs.c.state == "done")
            if connection.execute(done).scalar_one() >= n_runs:
                return
        time.sleep(0.1)


def span(state: State, run: int | None = None) -> float:
    """Seconds from the first piece of work begun to the last done."""
    query = select(func.min(work.c.at - work.c.seconds), func.max(work.c.at))
    if run is not None:
        query = query.where(work.c.run_id == run)
    with state.database.transaction() as connection:
        first, last = connection.execute(query).one()
    return float(last - first)


def fill(state: State) -> float:
    """Cells judged to places in the classifiers' batches."""
    query = select(func.sum(work.c.n_items), func.sum(work.c.n_slots)).where(work.c.stage == "classify")
    with state.database.transaction() as connection:
        cells, slots = connection.execute(query).one()
    return float(cells) / float(slots)


def on_queue(folder: Path, name: str, slides: Path, processes: int) -> tuple[float, float]:
    """Seconds of work and fill of batches for all slides on the queue."""
    state = folder / name
    with up(state, processes) as opened:
        warm_up(state, opened, slides)
        submit(state, slides, "--laboratory", "measured")
        wait(opened, 2)
        return span(opened, 2), fill(opened)


def warm_up(state: Path, opened: State, slides: Path) -> None:
    """One slide, so that weights are loaded and libraries are warm."""
    submit(state, next(iter(sorted(slides.iterdir()))), "--mpp", "0.2")
    wait(opened, 1)


def screened(folder: Path, slides: Path, jobs: int) -> float:
    """Seconds of work of `smearscan screen`, by its own log of work."""
    state = folder / f"screen-{jobs}"
    command = [*_CLI, "screen", str(slides), "--state", str(state), "--out", str(folder / "out"), "--jobs", str(jobs)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return span(open_state(find_location(str(state))))


def stat_behind(folder: Path, slides: Path, n: int, processes: int) -> tuple[float, float]:
    """Seconds until a stat slide behind `n` routine ones is reported, and the seconds of a routine chunk."""
    state = folder / "stat"
    urgent = sorted(slides.iterdir())[0]
    with up(state, processes) as opened:
        warm_up(state, opened, slides)
        sheet = folder / "routine.csv"
        files = sorted(slides.iterdir())[1:]
        rows = [f"{files[place % len(files)]},P{place}" for place in range(min(n, len(files)))]
        sheet.write_text("path,patient_id\n" + "\n".join(rows) + "\n", "utf-8")
        submit(state, "--worksheet", sheet)
        time.sleep(5)
        submit(state, urgent, "--priority", "stat", "--mpp", "0.2001")
        query = select(runs.c.submitted_at, runs.c.finished_at).where(runs.c.id == 3)
        while True:
            with opened.database.transaction() as connection:
                submitted, finished = connection.execute(query).one()
                times = connection.execute(select(work.c.seconds).where(work.c.run_id == 2)).scalars().all()
            if finished is not None:
                return float(finished - submitted), quantiles(times, n=10)[-1]
            time.sleep(0.05)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slides", type=int, default=24)
    parser.add_argument("--stat-behind", type=int, default=200)
    given = parser.parse_args()
    slides = draw(given.folder, given.slides)
    alone, together = screened(given.folder, slides, 1), screened(given.folder, slides, 2)
    one, _ = on_queue(given.folder, "one", slides, 1)
    two, filled = on_queue(given.folder, "two", slides, 2)
    print(f"screen, 1 process: {alone:.1f} s; 2: {together:.1f} s")
    print(f"queue, 1 process: {one:.1f} s ({one / alone - 1:+.1%}); 2: {two:.1f} s ({two / together - 1:+.1%})")
    print(f"two processes against one: {one / two:.2f}; fill of batches: {filled:.3f}")
    many = draw(given.folder / "many", given.stat_behind + 1)
    seconds, chunk = stat_behind(given.folder, many, given.stat_behind, 2)
    print(
        f"stat behind {given.stat_behind} routine slides: {seconds:.2f} s; nine in ten chunks take up to {chunk:.2f} s"
    )


if __name__ == "__main__":
    main()
