"""The Celery application: how messages travel. What they lead to is decided in the database."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from celery import Celery
from kombu import Queue

from smearscan.errors import SettingsError, TransientError
from smearscan.stages.table import LIMIT_S, QUEUES
from smearscan.store.location import Location

#: Seconds a wake-up may run: at the first it is told, and what it was at has failed once; at the second it is killed,
#: for a process that hangs in a system call hears nothing. Its lease is not renewed after the first.
SOFT_LIMIT_S, HARD_LIMIT_S = int(LIMIT_S), int(LIMIT_S) + 300
#: Longer than the hard limit, or Redis would hand a message out again while it is worked on.
VISIBILITY_S = 2 * HARD_LIMIT_S
#: Bytes that a Unix socket's address may have on any system.
_LONGEST_SOCKET = 100


def broker_address(location: Location) -> str:
    """The broker that a state names, or the socket of the one that `smearscan up` starts for it."""
    if location.broker:
        return location.broker
    return f"redis+socket://{socket_path(location)}"


def socket_path(location: Location) -> Path:
    """Where the Redis server of a folder state listens.

    Raises
    ------
    SettingsError
        If the state has neither a broker nor a folder.
    """
    if location.folder is None:
        raise SettingsError("--state names no broker", "add &broker=redis://HOST:PORT/0 to it")
    path = location.folder / "redis.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    short = hashlib.sha256(str(location.folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"smearscan-{os.getuid()}-{short}.sock"


def make_app(location: Location) -> Celery:
    """An application on the state's broker; it connects when it is used."""
    address = broker_address(location)
    app = Celery("smearscan", broker=address, set_as_current=False)
    options = {"visibility_timeout": VISIBILITY_S, "socket_connect_timeout": 5, "retry_on_timeout": True}
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_queues=[Queue(name) for name in QUEUES],
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_soft_time_limit=SOFT_LIMIT_S,
        task_time_limit=HARD_LIMIT_S,
        worker_prefetch_multiplier=1,
        worker_soft_shutdown_timeout=60.0,
        worker_enable_soft_shutdown_on_idle=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        worker_send_task_events=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=options,
        result_backend_transport_options=options,
        visibility_timeout=VISIBILITY_S,
        task_publish_retry=False,
    )
    return app


def await_broker(app: Celery, seconds: float = 20.0) -> None:
    """Wait until the broker answers.

    Raises
    ------
    TransientError
        If it does not in that time; the address is told without its password.
    """
    from kombu.exceptions import OperationalError

    try:
        with app.connection_for_write() as broker:
            broker.ensure_connection(timeout=seconds, interval_start=0.2, interval_step=0.2, interval_max=1.0)
    except OperationalError as error:
        shown = app.connection_for_write().as_uri()
        raise TransientError(
            f"the broker {shown} does not answer ({error})", "start Redis, or `smearscan up`, or name another --state"
        ) from error
