"""Wake-ups: messages that say no more than that there is work on a queue."""

from __future__ import annotations

import logging

from celery import Celery
from kombu.exceptions import OperationalError

from smearscan.stages.table import QUEUES
from smearscan.store.claims import count_ready
from smearscan.store.state import State

log = logging.getLogger(__name__)

#: Name of the only task.
SERVE = "smearscan.serve"
#: Wake-ups that lie in a queue at most: more would wake nobody sooner.
MANY = 64
#: Of the sweeper's where nobody is at work: what nobody may do now, before the night's window or for want of a worker
#: that is like it, must not be asked for all day.
FEW = 4


def wake(app: Celery, state: State, at_most: int = MANY) -> int:
    """Send as many wake-ups as there are chunks ready, less those that are on their way already.

    Parameters
    ----------
    at_most
        Wake-ups that then lie in each queue.

    Returns
    -------
    int
        Messages sent; 0 where the broker is away, which is logged: the sweeper tries again every second.
    """
    with state.database.reading() as connection:
        ready = {queue: count_ready(connection, queue, at_most) for queue in QUEUES}
    if not any(ready.values()):
        return 0
    n_sent = 0
    try:
        with app.connection_for_write() as broker:
            client = broker.default_channel.client
            for queue, n_ready in ready.items():
                for _ in range(n_ready - int(client.llen(queue)) if n_ready else 0):
                    app.send_task(SERVE, args=[queue], queue=queue, connection=broker)
                    n_sent += 1
    except (OperationalError, OSError) as error:
        log.warning("the broker is away (%s): start `smearscan up`, or Redis; work waits until it is back", error)
    except _redis_error() as error:
        log.warning("the broker is away (%s): start `smearscan up`, or Redis; work waits until it is back", error)
    return n_sent


def _redis_error() -> type[Exception]:
    import redis.exceptions

    return redis.exceptions.RedisError
