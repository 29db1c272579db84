"""`smearscan metrics`."""

from __future__ import annotations

import signal
import threading

import click

from smearscan.cli.state import state_option
from workers.commands.options import location, log_json_option


@click.command("metrics")
@click.option("--port", type=click.IntRange(1, 65535), default=9464, show_default=True, help="Where it listens.")
@click.option(
    "--host", default="127.0.0.1", show_default=True,
    help="Address it listens on. Whoever can reach it can read it; nothing there names a patient.",
)  # fmt: skip
@log_json_option
@state_option
def command(port: int, host: str, log_json: bool, state: str | None) -> None:
    """Answer Prometheus: queue depth, rates, ages and failures, read from the state at every scrape."""
    from prometheus_client import start_http_server

    from smearscan.errors import SettingsError
    from smearscan.store.artefact_stores import open_artefacts
    from smearscan.store.reading import open_reader
    from workers.logs import set_up
    from workers.metrics import make_registry
    from workers.surroundings import ArtefactWatch

    set_up(log_json)
    where = location(state)
    watch = ArtefactWatch(open_artefacts(where.artefacts))
    registry = make_registry(where, open_reader(where.database), watch)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise SettingsError(
            f"metrics cannot listen on {host}:{port}: {error.strerror}", "name another --port or --host"
        ) from error
    watch.start()
    click.echo(f"metrics: http://{host}:{port}/metrics", err=True)
    over.wait()
    server.shutdown()
    thread.join()
