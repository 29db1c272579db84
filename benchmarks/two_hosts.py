"""Two hosts that are network namespaces of one machine: PostgreSQL and Redis across, one cut off for a minute.

    sudo python benchmarks/two_hosts.py FOLDER [--cut-s 60]

Each host has a name of its own and a worker of one process; artefacts are a shared folder. The tables must be those of
`smearscan screen`, byte for byte. Needs root, `ip`, `unshare`, redis-server and PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from sqlalchemy import select

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "workers"))
from servers import PostgreSQL, short_folder  # the servers that the tests use

from smearscan.stages.progress import run_progress
from smearscan.store.location import find_location
from smearscan.store.schema import work
from smearscan.store.state import open_state
from workers.redis_server import find_redis_server

_CLI = [sys.executable, "-m", "smearscan.cli.main"]
_HOSTS = {"hosta": "10.77.1", "hostb": "10.77.2"}
_LEASE_S = 10


def sh(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True)


def make_host(name: str, net: str) -> None:
    """A namespace with one wire to this machine."""
    sh("ip", "netns", "add", name)
    sh("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "wire", "netns", name)
    sh("ip", "addr", "add", f"{net}.1/24", "dev", f"to-{name}")
    sh("ip", "link", "set", f"to-{name}", "up")
    sh("ip", "-n", name, "addr", "add", f"{net}.2/24", "dev", "wire")
    sh("ip", "-n", name, "link", "set", "wire", "up")
    sh("ip", "-n", name, "link", "set", "lo", "up")


def state_for(folder: Path, address: str, database: int, broker: int) -> Path:
    """A host's view of the state: the same database, broker and artefacts, by the address it knows."""
    state = folder / f"state-{address}"
    state.mkdir(parents=True)
    (state / "state.toml").write_text(
        f'database = "postgresql://smearscan@{address}:{database}/night"\n'
        f'broker = "redis://{address}:{broker}/0"\nartefacts = "{folder / "artefacts"}"\n',
        "utf-8",
    )
    return state


class OpenPostgreSQL(PostgreSQL):
    """A server that other hosts reach."""

    def _command(self) -> list[str]:
        return ["listen_addresses=*" if part.startswith("listen_addresses=") else part for part in super()._command()]

    def let_in(self) -> None:
        """Let the two nets in; they are of this machine alone."""
        with (self.folder / "data" / "pg_hba.conf").open("a") as file:
            file.writelines(f"host all all {net}.0/24 trust\n" for net in _HOSTS.values())


def worker(host: str, state: Path, log: Path) -> subprocess.Popen[bytes]:
    """A worker on a host."""
    inner = f"hostname {host}; exec {' '.join(_CLI)} worker --processes 1 --lease {_LEASE_S} --state {state}"
    with log.open("wb") as file:
        return subprocess.Popen(
            ["ip", "netns", "exec", host, "unshare", "-u", "sh", "-c", inner], stdout=file, stderr=file
        )


def main() -> None:
    """Run it and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cut-s", type=float, default=60.0)
    parser.add_argument("--slides", type=int, default=24)
    given = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    from night import draw

    slides = draw(given.folder, given.slides)
    quiet = ["--state", str(given.folder / "quiet-state"), "--out", str(given.folder / "quiet")]
    subprocess.run([*_CLI, "screen", str(slides), *quiet], check=False)
    server = OpenPostgreSQL(short_folder("two-hosts"))
    server.make()
    server.let_in()
    server.start()
    server.create("night")
    port = str(server.port + 1)
    redis = subprocess.Popen(
        [find_redis_server(), "--port", port, "--protected-mode", "no", "--save", ""],
        stdout=subprocess.DEVNULL,
    )
    running = [redis]
    try:
        for name, net in _HOSTS.items():
            make_host(name, net)
        running += start(given.folder, server.port, int(port))
        same = night(given.folder, slides, given.cut_s, server.port, int(port))
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(120)
        for name in _HOSTS:
            subprocess.run(["ip", "netns", "del", name], check=False)
        server.stop()
    sys.exit(0 if same else 1)


def start(folder: Path, database: int, broker: int) -> list[subprocess.Popen[bytes]]:
    """The sweeper here, a worker on each host."""
    here = state_for(folder, "127.0.0.1", database, broker)
    sweeper = subprocess.Popen([*_CLI, "sweep", "--state", str(here)])
    views = {name: state_for(folder, f"{net}.1", database, broker) for name, net in _HOSTS.items()}
    return [sweeper, *(worker(name, view, folder / f"{name}.log") for name, view in views.items())]


def night(folder: Path, slides: Path, cut_s: float, database: int, broker: int) -> bool:
    """Submit, cut the wire of one host in the middle, wait, compare."""
    here = folder / "state-127.0.0.1"
    state = open_state(find_location(str(here)))
    sh(*_CLI, "submit", str(slides), "--state", str(here))
    while state.database.run(run_progress, 1).fraction < 0.25:
        time.sleep(0.2)
    sh("ip", "link", "set", "to-hostb", "down")
    print(f"hostb is cut off for {cut_s:.0f} s", flush=True)
    cut = time.time()
    while time.time() - cut < cut_s:
        time.sleep(0.5)
    sh("ip", "link", "set", "to-hostb", "up")
    while not state.database.run(run_progress, 1).is_over:
        time.sleep(0.2)
    with state.database.transaction() as connection:
        done = connection.execute(select(work.c.worker, work.c.at).where(work.c.outcome == "done")).all()
    by_host = Counter((row.worker.split("/")[0], "after the cut" if row.at > cut + cut_s else "before") for row in done)
    subprocess.run([*_CLI, "export", "last", "--out", str(folder / "out"), "--state", str(here)], check=False)
    same = all(
        (folder / "out" / name).read_bytes() == (folder / "quiet" / name).read_bytes()
        for name in ("patients.csv", "cells.csv")
    )
    print(f"pieces of work: {dict(by_host)}; the same tables: {same}; user {os.geteuid()}", flush=True)
    return same


if __name__ == "__main__":
    main()
