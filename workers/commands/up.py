"""`smearscan up`."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from smearscan.cli.state import given_state, state_option
from workers.commands.options import (
    keep_days_option,
    keep_gb_option,
    lease_option,
    location,
    log_json_option,
    losses_option,
    window_option,
)

if TYPE_CHECKING:
    from smearscan.store.location import Location
    from workers.supervise import Child


@click.command("up")
@click.option("--processes", type=click.IntRange(min=1), help="Processes for the CPU's stages; one a core unless said.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), default=9464, show_default=True, help="0 is none.")
@lease_option
@losses_option
@window_option
@keep_days_option
@keep_gb_option
@log_json_option
@state_option
def command(
    processes: int | None, metrics_port: int, lease: float, most_losses: int, window: str | None, keep_days: float,
    keep_gb: float, log_json: bool, state: str | None,
) -> None:  # fmt: skip
    """Start all that one machine needs: Redis, workers for its cores and GPUs, the sweeper, metrics.

    Runs in the foreground, starts again what dies, and stops everything cleanly on SIGTERM or Ctrl-C.
    """
    from smearscan.resources import n_processors
    from smearscan.store.state import open_state
    from workers.alone import only_one
    from workers.gpus import usable_gpus
    from workers.logs import set_up
    from workers.supervise import keep_alive
    from workers.window import Window

    set_up(log_json)
    where = location(state)
    Window.parse(window)
    open_state(where, patience_s=5.0).database.close()
    with only_one(where):
        _find_port_free(metrics_port)
        common = ["--state", given_state(state), *(["--log-json"] if log_json else [])]
        serving = [*common, "--lease", str(lease), *(["--window", window] if window else [])]
        sweeping = ["--most-losses", str(most_losses), "--keep-days", str(keep_days), "--keep-gb", str(keep_gb)]
        gpus = usable_gpus()
        children = [*_redis(where), _child("sweeper", ["sweep", *common, *sweeping])]
        children += _workers(processes or n_processors(), gpus, serving)
        if metrics_port:
            children.append(_child("metrics", ["metrics", "--port", str(metrics_port), *common]))
        over = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: over.set())
        names = ", ".join(child.name for child in children)
        networks = f"{len(gpus)} GPUs" if len(gpus) > 1 else "a GPU" if gpus else "the processor"
        click.echo(f"up: {names}; networks on {networks}; state {given_state(state)}", err=True)
        keep_alive(children, over)
    click.echo("down: every process has ended", err=True)


def _find_port_free(port: int) -> None:
    """Say at once that another program listens where the metrics are to be.

    Raises
    ------
    SettingsError
        If one does.
    """
    import socket

    from smearscan.errors import SettingsError

    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise SettingsError(
                f"metrics cannot listen on port {port}: {error.strerror}", "name another --metrics-port, or 0 for none"
            ) from error


def _redis(where: Location) -> list[Child]:
    from workers.app import socket_path
    from workers.redis_server import redis_command
    from workers.supervise import Child

    if where.broker:
        return []
    path = socket_path(where)
    return [Child("redis", redis_command(path, is_for_group=path.parent == where.folder), keeps=path)]


def _workers(n_processes: int, gpus: Sequence[Mapping[str, str]], serving: list[str]) -> list[Child]:
    from workers.gpus import BLIND

    queues = ["--queue", "cpu", "--queue", "io"] if gpus else []
    arguments = ["worker", "--processes", str(n_processes), "--name", "cpu", *queues, *serving]
    children = [_child("worker", arguments, BLIND)]
    for place, seeing in enumerate(gpus):
        arguments = ["worker", "--processes", "1", "--name", f"gpu{place}", "--queue", "gpu", *serving]
        children.append(_child(f"gpu {place}", arguments, seeing))
    return children


def _child(name: str, arguments: list[str], settings: Mapping[str, str] | None = None) -> Child:
    from workers.supervise import Child

    threads = {"OMP_NUM_THREADS": "1"}
    return Child(name, [sys.executable, "-m", "smearscan.cli.main", *arguments], {**threads, **(settings or {})})
