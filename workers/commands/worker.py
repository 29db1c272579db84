"""`smearscan worker`."""

from __future__ import annotations

import platform

import click

from smearscan.cli.state import state_option
from workers.commands.options import lease_option, location, log_json_option, window_option

_QUEUES = ("cpu", "gpu", "io")


@click.command("worker")
@click.option("--queue", "queues", multiple=True, type=click.Choice(_QUEUES), help="Queue to serve; all unless said.")
@click.option("--processes", type=click.IntRange(min=1), help="Processes; one for gpu alone, else one a core.")
@click.option("--name", default="worker", show_default=True, help="Its name on this machine.")
@lease_option
@window_option
@log_json_option
@state_option
def command(
    queues: tuple[str, ...], processes: int | None, name: str, lease: float, window: str | None, log_json: bool,
    state: str | None,
) -> None:  # fmt: skip
    """Work on the chunks of a queue until told to stop."""
    from smearscan.resources import n_processors
    from smearscan.store.guarded import require_marked
    from smearscan.store.state import open_state
    from workers.app import await_broker, make_app
    from workers.logs import set_up
    from workers.tasks import Shift, add_tasks, settle_before_fork
    from workers.window import Window, tell_window

    set_up(log_json)
    where = location(state)
    hours = Window.parse(window)
    opened = open_state(where, patience_s=5.0)  # says now what is wrong with it; each process opens its own
    require_marked(opened.artefacts, opened.database)
    opened.database.run(tell_window, window)
    opened.database.close()
    served = queues or _QUEUES
    settle_before_fork()
    app = make_app(where)
    await_broker(app)
    add_tasks(app, Shift(where, served, lease, hours))
    n = processes or (1 if served == ("gpu",) else n_processors())
    arguments = ["--quiet", "worker", "-P", "prefork", "-c", str(n), "-Q", ",".join(served), "-l", "WARNING"]
    app.worker_main([*arguments, "-n", f"{name}@{platform.node()}", "--without-gossip", "--without-mingle"])
