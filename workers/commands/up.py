"""`smearscan up`."""

from __future__ import annotations

import os
import signal
import sys
import threading
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
    from smearscan.store.state import open_state
    from workers.logs import set_up
    from workers.supervise import keep_alive
    from workers.window import Window

    set_up(log_json)
    where = location(state)
    Window.parse(window)
    open_state(where, patience_s=5.0).database.close()
    common = ["--state", given_state(state), *(["--log-json"] if log_json else [])]
    serving = [*common, "--lease", str(lease), *(["--window", window] if window else [])]
    sweeping = ["--most-losses", str(most_losses), "--keep-days", str(keep_days), "--keep-gb", str(keep_gb)]
    children = [*_redis(where), _child("sweeper", ["sweep", *common, *sweeping])]
    children += _workers(processes or len(os.sched_getaffinity(0)), serving)
    if metrics_port:
        children.append(_child("metrics", ["metrics", "--port", str(metrics_port), "--state", given_state(state)]))
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    click.echo(f"up: {', '.join(child.name for child in children)}; state {given_state(state)}", err=True)
    keep_alive(children, over)
    click.echo("down: every process has ended", err=True)


def _redis(where: Location) -> list[Child]:
    from workers.app import socket_path
    from workers.redis_server import redis_command
    from workers.supervise import Child

    if where.broker:
        return []
    return [Child("redis", redis_command(socket_path(where)))]


def _workers(n_processes: int, serving: list[str]) -> list[Child]:
    n_gpus = _count_gpus()
    # Processes without a GPU of their own must not touch one: each would take memory of it.
    blind = {"CUDA_VISIBLE_DEVICES": ""}
    queues = ["--queue", "cpu", "--queue", "io"] if n_gpus else []
    children = [
        _child("worker", ["worker", "--processes", str(n_processes), "--name", "cpu", *queues, *serving], blind)
    ]
    for gpu in range(n_gpus):
        arguments = ["worker", "--processes", "1", "--name", f"gpu{gpu}", "--queue", "gpu", *serving]
        children.append(_child(f"gpu {gpu}", arguments, {"CUDA_VISIBLE_DEVICES": str(gpu)}))
    return children


def _count_gpus() -> int:
    # Asked in a process of its own: this one lives all night and forks; it shall hold no CUDA context.
    import subprocess

    code = "import torch; print(torch.cuda.device_count())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(found.stdout.strip() or 0)


def _child(name: str, arguments: list[str], settings: dict[str, str] | None = None) -> Child:
    from workers.supervise import Child

    threads = {"OMP_NUM_THREADS": "1"}
    return Child(name, [sys.executable, "-m", "smearscan.cli.main", *arguments], {**threads, **(settings or {})})
