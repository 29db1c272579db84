"""A long queue: how fast slides are submitted, how soon status, a claim and a scrape answer then, in how much memory.

    python benchmarks/submitting.py FOLDER [--slides 1000 10000] [--runs 1]

Writes small files into FOLDER (no slides: nothing is screened), submits them to a state in SQLite and, where its
programs are installed, in PostgreSQL, and prints one JSON object a database and number of slides. The rate of
submitting counts listing the folder, stamping the files and writing the rows. `status` is the command in a process of
its own, once with the start of Python and once only its reading and wording.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from smearscan.store.database import Database

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "workers"))
from servers import PostgreSQL, short_folder  # the servers that the tests use

#: Times that each short thing is measured; the median counts.
_TIMES = 25


def write_files(folder: Path, n: int) -> list[Path]:
    """Files with the names of scans, each with bytes of its own; kept for the next time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"slide_{i:06d}.png" for i in range(n)]
    for i, path in enumerate(paths):
        if not path.exists():
            path.write_bytes(b"%d" % i)
    return paths


def measure(state_address: str, files: Path, n: int, n_runs: int) -> dict[str, float]:
    """Everything that is measured in this process, on a fresh state."""
    from smearscan.settings import load_settings
    from smearscan.stages.submission import new_run
    from smearscan.store.location import find_location
    from smearscan.store.reading import open_reader
    from smearscan.store.state import open_state
    from smearscan.store.submit import submit
    from smearscan.submission import gather

    paths = write_files(files, n)
    settings = load_settings("default")
    location = find_location(state_address)
    state = open_state(location)
    # What is loaded once (cards, the digest of the code) is no part of a rate.
    new_run(gather(paths[:1]), settings, "default")
    before = _rss_mb()
    begun = time.perf_counter()
    for part in range(n_runs):
        state.database.run(submit, new_run(gather(paths[part::n_runs]), settings, "default"))
    seconds = time.perf_counter() - begun
    peak = _rss_mb()
    reader = open_reader(location.database)
    found = {
        "submitted_per_s": n / seconds,
        "status_s": _median(lambda: _status(reader)),
        "claim_s": _median(lambda: _claim(state)),
        "scrape_s": _median(_scraper(reader)),
        "rss_before_mb": before,
        "rss_after_submitting_mb": peak,
    }
    return found | {"rss_at_the_end_mb": _rss_mb()}


def _status(reader: Database) -> None:
    from workers.commands import status

    found, _n_more, heard = status._read(reader, None)
    "\n".join([*(status._lines(one) for one in found), status._worker_lines(heard)])


def _claim(state: object) -> None:
    from smearscan.store.claims import Wanted, claim
    from smearscan.store.runs import open_runs

    def take(connection):  # type: ignore[no-untyped-def]
        ids = frozenset(run.id for run in open_runs(connection))
        return claim(connection, Wanted("elsewhere/1/1.00", ("cpu", "gpu", "io"), run_ids=ids))

    assert state.database.run(take)  # type: ignore[attr-defined]


def _scraper(reader) -> Callable[[], None]:  # type: ignore[no-untyped-def]
    from smearscan.store.figures import FigureReader

    keeper = FigureReader()

    def scrape() -> None:
        with reader.transaction() as connection:
            keeper.read(connection)

    return scrape


def _median(work: Callable[[], None]) -> float:
    seconds = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def _rss_mb() -> float:
    return psutil.Process().memory_info().rss / 2**20


def status_command(state_address: str) -> dict[str, float]:
    """`smearscan status` as a person calls it: seconds, and its largest resident set."""
    command = [sys.executable, "-m", "smearscan.cli.main", "status", "--state", state_address]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = code
    assert code == 0
    seconds, at_work = time.perf_counter() - begun, used.ru_utime + used.ru_stime
    # On a busy machine the seconds at work are the fairer number.
    return {"status_command_s": seconds, "status_command_cpu_s": at_work, "status_command_mb": used.ru_maxrss / 1024}


@contextmanager
def state_of(kind: str, server: PostgreSQL | None) -> Iterator[str]:
    """Address of an empty state."""
    with tempfile.TemporaryDirectory() as folder:
        if server is None:
            yield folder
        else:
            address = server.create("submitting")
            yield f"{address}?artefacts={folder}/artefacts"
            server.drop("submitting")


def one_kind(kind: str, server: PostgreSQL | None, given: argparse.Namespace) -> None:
    """Measure on one database, each number of slides in a process of its own."""
    for n in given.slides:
        with state_of(kind, server) as address:
            command = [sys.executable, __file__, str(given.folder), "--slides", str(n), "--runs", str(given.runs)]
            done = subprocess.run([*command, "--state", address], check=True, capture_output=True, text=True)
            found = json.loads(done.stdout) | status_command(address)
        named = {"database": kind, "slides": n, "runs": given.runs}
        print(json.dumps(named | {name: round(value, 4) for name, value in found.items()}), flush=True)


def main() -> None:
    """Measure on every database that is here."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slides", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--runs", type=int, default=1, help="submissions that the slides are divided among")
    parser.add_argument("--state", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.state:
        print(json.dumps(measure(given.state, given.folder, given.slides[0], given.runs)))
        return
    one_kind("sqlite", None, given)
    if not PostgreSQL.is_here():
        print("PostgreSQL's programs are not installed: measured on SQLite alone", file=sys.stderr)
        return
    folder = short_folder("submitting")
    server = PostgreSQL(folder)
    try:
        server.make()
        server.start()
        one_kind("postgresql", server, given)
    finally:
        server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
