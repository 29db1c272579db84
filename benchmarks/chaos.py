"""Chaos: 40 slides on the queue while things are killed; the tables must be those of a quiet screening, byte for byte.

    python benchmarks/chaos.py FOLDER --seeds 0 1 2 [--real FOLDER_OF_FIELDS] [--processes 4]

Even seeds keep their state in SQLite, odd ones in PostgreSQL. About every four chunk times a process is killed with
SIGKILL (a worker, one of its children, or the sweeper); Redis is killed twice and comes back empty, the database is
away for 20 s, the disk is full for a while. Needs redis-server, PostgreSQL's programs and, for the full disk, the right
to mount a small one (root); what cannot be had is said. FOLDER keeps slides and the quiet run for the next time.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "workers"))
from servers import PostgreSQL, short_folder  # the servers that the tests use

_CLI = [sys.executable, "-m", "smearscan.cli.main"]
_LEASE_S = 10.0
_AWAY_S = 20.0
_FULL_S = 8.0
_DISK = "1G"


@dataclass
class Story:
    """What was done to one run, and how it ended."""

    seed: int
    database: str
    seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=dict)
    n_losses: int = 0
    most_losses: int = 0
    most_deliveries: int = 0
    #: Between two chunks ended, while database and disk were there.
    longest_silence_s: float = 0.0
    is_clean_stop: bool = False
    same_patients: bool = False
    same_cells: bool = False


def draw_slides(folder: Path, real: Path | None) -> Path:
    """30 synthetic slides, three with more than a thousand cells, and ten real fields where there are some."""
    from smearscan.synth import write_smear

    worksheet = folder / "worksheet.csv"
    if worksheet.exists():
        return worksheet
    rows: list[tuple[object, ...]] = []
    for n in range(30):
        name = folder / f"s{n:02d}.{'tif' if n % 3 == 0 else 'png'}"
        if n in (6, 15, 24):
            write_smear(name, 6000, 4500, 100 + n, mpp=0.2, cells_per_mm2=1100.0, layout="field", blast_fraction=n / 30)
        else:
            write_smear(name, 1500, 1100, 100 + n, mpp=0.2, cells_per_mm2=700.0, blast_fraction=(n % 5) / 5)
        rows.append((name.name, f"P{n // 2:02d}", 0.2))
    pictures = sorted(real.rglob("*.jpg")) if real else []
    for n, path in enumerate(pictures[:: max(1, len(pictures) // 10)][:10]):
        rows.append((str(path), f"R{n:02d}", ""))
    with worksheet.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "patient_id", "mpp"), *rows])
    return worksheet


def quiet(folder: Path, worksheet: Path) -> Path:
    """The tables of `smearscan screen`, undisturbed."""
    out = folder / "quiet"
    began = time.monotonic()
    command = [
        *_CLI,
        "screen",
        "--worksheet",
        str(worksheet),
        "--out",
        str(out),
        "--state",
        str(folder / "quiet-state"),
    ]
    code = subprocess.run(command, check=False).returncode
    print(f"quiet screening: exit {code}, {time.monotonic() - began:.0f} s", flush=True)
    return out


class Chaos:
    """One run under fire."""

    def __init__(self, seed: int, state: Path, server: PostgreSQL | None, processes: int) -> None:
        self.random = random.Random(seed)
        self.state, self.server, self.processes = state, server, processes
        self.story = Story(seed, "postgresql" if server else "sqlite")
        self._outages: list[tuple[float, float]] = []
        self._acts = {0.2: self.empty_redis, 0.35: self.database_away, 0.5: self.fill_disk, 0.65: self.empty_redis}

    def run(self, worksheet: Path, reference: Path) -> Story:
        """Submit, disturb, compare."""
        began = time.monotonic()
        with (self.state.parent / f"up-{self.story.seed}.log").open("w") as log:
            command = [*_CLI, "up", "--state", str(self.state), "--processes", str(self.processes)]
            up = subprocess.Popen([*command, "--lease", str(_LEASE_S), "--metrics-port", "0"], stdout=log, stderr=log)
            try:
                _call("submit", "--worksheet", str(worksheet), "--state", str(self.state))
                self.disturb(psutil.Process(up.pid))
            finally:
                up.send_signal(signal.SIGTERM)
                self.story.is_clean_stop = up.wait(120) == 0
        self.story.seconds = time.monotonic() - began
        out = self.state / "out"
        _call("export", "last", "--out", str(out), "--state", str(self.state))
        self.story.same_patients = _same(reference, out, "patients.csv")
        self.story.same_cells = _same(reference, out, "cells.csv")
        self.count()
        return self.story

    def disturb(self, up: psutil.Process) -> None:
        """Kill about every four chunk times until the run is over."""
        while True:
            fraction, chunk_s, is_over = self.progress()
            if is_over:
                return
            for at in [at for at in self._acts if at <= fraction]:
                self._acts.pop(at)(up)
            time.sleep(4 * chunk_s * self.random.uniform(0.7, 1.3))
            self.kill(up)

    def progress(self) -> tuple[float, float, bool]:
        """Fraction done, seconds of a chunk (nine in ten take less), whether it is over."""
        from sqlalchemy import select

        from smearscan.errors import TransientError
        from smearscan.stages.progress import run_progress
        from smearscan.store.schema import work
        from smearscan.store.state import open_state

        try:
            opened = open_state(self._location(), patience_s=1.0)
            with opened.database.transaction() as connection:
                found = run_progress(connection, 1)
                heavy = work.c.stage.in_(["search", "crop", "classify"])
                times = connection.execute(select(work.c.seconds).where(work.c.outcome == "done", heavy)).scalars()
                chunk_s = quantiles([1.0, 1.0, *times], n=10)[-1]
            opened.database.close()
        except TransientError:
            return 0.0, 1.0, False
        return found.fraction, chunk_s, found.is_over

    def kill(self, up: psutil.Process) -> None:
        """SIGKILL a worker's child, a worker, or the sweeper."""
        what = self.random.choices(["child", "worker", "sweeper"], [5, 2, 2])[0]
        with contextlib.suppress(psutil.NoSuchProcess, IndexError):
            parents = [p for p in up.children() if "worker" in p.cmdline()]
            of = {
                "child": [child for parent in parents for child in parent.children()],
                "worker": parents,
                "sweeper": [p for p in up.children() if "sweep" in p.cmdline()],
            }[what]
            self.random.choice(of).kill()
            self.count_kill(what)

    def empty_redis(self, up: psutil.Process) -> None:
        """Kill Redis, which keeps nothing."""
        for process in up.children():
            if "redis-server" in process.name():
                process.kill()
                self.count_kill("redis")

    def database_away(self, up: psutil.Process) -> None:
        """Take the database away for a while: the server stops, or another process locks the file."""
        threading.Thread(target=self._during_outage, args=(self._away,)).start()
        self.count_kill("database")

    def _during_outage(self, act: Callable[[], None]) -> None:
        began = time.time()
        act()
        self._outages.append((began, time.time()))

    def _away(self) -> None:
        if self.server is not None:
            self.server.kill()
            time.sleep(_AWAY_S)
            self.server.start()
            return
        connection = sqlite3.connect(self.state / "state.db", timeout=30, isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(_AWAY_S)
        connection.execute("ROLLBACK")
        connection.close()

    def fill_disk(self, up: psutil.Process) -> None:
        """Fill the disk that artefacts (and SQLite) are on, for a while."""
        if not os.path.ismount(self.state):
            print("the disk was not filled: mounting one needs root", flush=True)
            return
        threading.Thread(target=self._during_outage, args=(self._fill,)).start()
        self.count_kill("disk")

    def _fill(self) -> None:
        ballast = self.state / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
        time.sleep(_FULL_S)
        ballast.unlink()

    def count_kill(self, what: str) -> None:
        """One more."""
        self.story.kills[what] = self.story.kills.get(what, 0) + 1

    def count(self) -> None:
        """What the state says of losses, deliveries and silence."""
        from sqlalchemy import func, select

        from smearscan.store.schema import chunks, work
        from smearscan.store.state import open_state

        with open_state(self._location()).database.transaction() as connection:
            counts = select(func.sum(chunks.c.n_losses), func.max(chunks.c.n_losses), func.max(chunks.c.n_deliveries))
            self.story.n_losses, self.story.most_losses, self.story.most_deliveries = connection.execute(counts).one()
            times = list(connection.execute(select(work.c.at).order_by(work.c.at)).scalars())
        self.story.longest_silence_s = max((self._silence(a, b) for a, b in pairwise(times)), default=0.0)

    def _silence(self, since: float, until: float) -> float:
        """Seconds between two chunks ended in which database and disk were there."""
        away = sum(max(0.0, min(end, until) - max(start, since)) for start, end in self._outages)
        return max(0.0, until - since - away)

    def _location(self):  # type: ignore[no-untyped-def]
        from smearscan.store.location import find_location

        return find_location(str(self.state))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own under `folder`, where that is allowed."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    try:
        yield
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _call(*arguments: str) -> None:
    subprocess.run([*_CLI, *arguments], check=False, stdout=subprocess.DEVNULL)


def _same(a: Path, b: Path, name: str) -> bool:
    return (a / name).read_bytes() == (b / name).read_bytes()


def main() -> None:
    """Run the seeds and write chaos.csv."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--real", type=Path, help="folder of real fields, of which ten are taken")
    parser.add_argument("--processes", type=int, default=4)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    worksheet = draw_slides(given.folder, given.real)
    reference = quiet(given.folder, worksheet)
    is_good = True
    for seed in given.seeds:
        story = one_seed(seed, given.folder, worksheet, reference, given.processes)
        is_good &= story.same_patients and story.same_cells and story.is_clean_stop
        print(story, flush=True)
        with (given.folder / "chaos.csv").open("a", newline="", encoding="utf-8") as file:
            row = asdict(story)
            csv.writer(file).writerows([row.values()] if file.tell() else [[*row], row.values()])
    sys.exit(0 if is_good else 1)


def one_seed(seed: int, folder: Path, worksheet: Path, reference: Path, processes: int) -> Story:
    """One run: a fresh state, on a disk of its own."""
    state, server = folder / f"state-{seed}", None
    with small_disk(state):
        if seed % 2:
            place = short_folder("chaos-postgresql")
            server = PostgreSQL(place)
            server.make()
            server.start()
            (state / "state.toml").write_text(f'database = "{server.create("chaos")}"\n', "utf-8")
        try:
            return Chaos(seed, state, server, processes).run(worksheet, reference)
        finally:
            if server is not None:
                server.stop()
                shutil.rmtree(server.folder)
            out = folder / f"out-{seed}"
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(state / "out", out)


if __name__ == "__main__":
    main()
