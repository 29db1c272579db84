"""What the queue costs and gains: against `smearscan screen` on the same cores, in one run.

    python benchmarks/night.py FOLDER [--slides 48] [--rounds 3] [--stat-behind 200]

Each measurement begins with a fresh state and processes that have loaded nothing: seconds of `screen` and of the
queue with as many processes (work only: from the first chunk begun to the last done); the fill of the classifiers'
batches with many small slides; two processes against one, beside what the machine gives to two `screen`s that share
nothing; how long a stat slide takes that is submitted behind routine ones, in chunk times.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Select, func, select

from smearscan.store.location import find_location
from smearscan.store.schema import runs, work
from smearscan.store.state import State, open_state

#: What a round gives.
NAMES = (
    "queue dearer than screen, 1 process",
    "queue dearer than screen, 2 processes",
    "queue, two processes against one",
    "two screens that share nothing against one",
    "fill of batches",
)
_CLI = [sys.executable, "-m", "smearscan.cli.main"]


def draw(folder: Path, n: int, width: int = 1200, height: int = 900) -> Path:
    """Slides with a scale, some 28 cells a million pixels."""
    from smearscan.synth import write_smear

    folder.mkdir(parents=True, exist_ok=True)
    for place in range(n):
        path = folder / f"s{place:03d}.tif"
        if not path.exists():
            write_smear(path, width, height, 900 + place, mpp=0.2, cells_per_mm2=600.0, layout="field")
    return folder


def copies(folder: Path, drawn: Path, n: int) -> list[Path]:
    """Files of the same pictures that are no copies to the queue: each has a byte sequence of its own at its end."""
    folder.mkdir(parents=True, exist_ok=True)
    originals = sorted(drawn.glob("*.tif"))
    paths = [folder / f"c{place:03d}.tif" for place in range(n)]
    for place, path in enumerate(paths):
        path.write_bytes(originals[place % len(originals)].read_bytes() + f"copy {place}".encode())
    return paths


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


def until(state: State, count: Select[Any], n: int) -> None:
    """Wait until a count has come so far."""
    while True:
        with state.database.transaction() as connection:
            if connection.execute(count).scalar_one() >= n:
                return
        time.sleep(0.25)


def wait(state: State, n_runs: int) -> None:
    """Until so many runs are done."""
    until(state, select(func.count()).where(runs.c.state == "done"), n_runs)


def span(state: State) -> float:
    """Seconds from the first piece of work begun to the last done."""
    query = select(func.min(work.c.at - work.c.seconds), func.max(work.c.at))
    with state.database.transaction() as connection:
        first, last = connection.execute(query).one()
    return float(last - first)


def fill(state: State) -> float:
    """Cells judged to places in the classifiers' batches."""
    query = select(func.sum(work.c.n_items), func.sum(work.c.n_slots)).where(work.c.stage == "classify")
    with state.database.transaction() as connection:
        cells, slots = connection.execute(query).one()
    return float(cells) / float(slots)


def on_queue(folder: Path, slides: Path, processes: int) -> tuple[float, float]:
    """Seconds of work and fill of batches for all slides on the queue."""
    state = fresh(folder / f"queue-{processes}")
    with up(state, processes) as opened:
        submit(state, slides)
        wait(opened, 1)
        return span(opened), fill(opened)


def screen(state: Path, slides: Sequence[Path], jobs: int) -> subprocess.Popen[bytes]:
    """`smearscan screen`, begun."""
    out = state.parent / f"{state.name}-out"
    command = [*_CLI, "screen", *map(str, slides), "--state", str(state), "--out", str(out), "--jobs", str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def screened(folder: Path, slides: Path, jobs: int) -> float:
    """Seconds of work of `smearscan screen`, by its own log of work."""
    state = fresh(folder / f"screen-{jobs}")
    screen(state, [slides], jobs).wait()
    return span(open_state(find_location(str(state))))


def apart(folder: Path, slides: Path) -> float:
    """Seconds of the slower of two screenings at once, half of the slides each, nothing shared: the machine's limit."""
    files = sorted(slides.glob("*.tif"))
    states = [fresh(folder / f"apart-{half}") for half in range(2)]
    processes = [screen(state, files[half::2], 1) for half, state in enumerate(states)]
    for process in processes:
        process.wait()
    return max(span(open_state(find_location(str(state)))) for state in states)


def stat_behind(folder: Path, slides: Path, n: int, processes: int) -> tuple[float, float, float]:
    """A stat slide behind `n` routine ones: seconds until it is begun and reported, and those of a routine chunk.

    The chunk time is the one that nine in ten moments of the routine work fall into at most: what a slide that comes in
    finds under way. A mean over chunks would be that of the hundreds that only write a line.
    """
    routine = copies(folder / "routine", draw(folder / "drawn", 8, 2400, 1800), n)
    state = fresh(folder / "stat")
    with up(state, processes) as opened:
        submit(state, *routine)
        until(opened, select(func.count()).where(work.c.stage == "classify"), 1)
        submit(state, sorted(slides.iterdir())[0], "--priority", "stat")
        until(opened, select(func.count()).where(runs.c.state == "done"), 1)
        with opened.database.transaction() as connection:
            stat = runs.c.id == 2
            submitted, finished = connection.execute(select(runs.c.submitted_at, runs.c.finished_at).where(stat)).one()
            begun = select(func.min(work.c.at - work.c.seconds)).where(work.c.run_id == 2)
            waited = connection.execute(begun).scalar_one() - submitted
            times = sorted(connection.execute(select(work.c.seconds).where(work.c.run_id == 1)).scalars())
        return float(waited), float(finished - submitted), weighted(times, 0.9)


def weighted(times: Sequence[float], share: float) -> float:
    """The chunk's length below which so large a share of all time is spent."""
    passed = 0.0
    for seconds in times:
        passed += seconds
        if passed >= share * sum(times):
            break
    return seconds


def fresh(state: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(state, ignore_errors=True)
    return state


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slides", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stat-behind", type=int, default=200)
    given = parser.parse_args()
    slides = draw(given.folder / "slides", given.slides)
    rounds: list[tuple[float, ...]] = []
    for _ in range(given.rounds):
        alone, together = screened(given.folder, slides, 1), screened(given.folder, slides, 2)
        limit = apart(given.folder, slides)
        (one, _fill), (two, filled) = on_queue(given.folder, slides, 1), on_queue(given.folder, slides, 2)
        rounds.append((one / alone - 1, two / together - 1, one / two, alone / limit, filled))
        print(
            f"screen {alone:.1f}, {together:.1f} s; two apart {limit:.1f} s; queue {one:.1f}, {two:.1f} s", flush=True
        )
    for name, values in zip(NAMES, zip(*rounds, strict=True), strict=True):
        print(f"{name}: {median(values):.3f} ({min(values):.3f} to {max(values):.3f}, {len(values)} rounds)")
    waited, seconds, chunk = stat_behind(given.folder, slides, given.stat_behind, 2)
    print(f"stat behind {given.stat_behind} routine slides: begun after {waited:.2f} s, reported after {seconds:.2f} s")
    print(f"a chunk takes {chunk:.2f} s: {seconds / chunk:.2f} chunk times")


if __name__ == "__main__":
    main()
