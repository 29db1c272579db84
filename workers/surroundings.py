"""What the metrics say that no table holds: the broker, the artefact store, this machine's GPUs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from smearscan.errors import SmearscanError
from smearscan.store.artefacts import Artefacts
from smearscan.store.location import Location

#: Seconds between walks over the artefacts; a walk that takes long is taken less often: one part in twenty of the time.
_WALK_EVERY_S, _REST = 60.0, 20.0
#: Seconds that the broker has to answer.
_PING_S = 1.0


@dataclass(frozen=True, slots=True)
class ArtefactSums:
    """Kind → artefacts, kind → bytes."""

    counts: Mapping[str, int] = field(default_factory=dict)
    n_bytes: Mapping[str, int] = field(default_factory=dict)


class ArtefactWatch:
    """Adds up the artefacts from time to time in a thread of its own: a store with millions takes minutes to walk."""

    def __init__(self, artefacts: Artefacts) -> None:
        self._artefacts = artefacts
        self._sums: ArtefactSums | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin to walk."""
        self._thread.start()

    def stop(self) -> None:
        """End, at the latest after the walk under way."""
        self._over.set()
        self._thread.join()

    @property
    def sums(self) -> ArtefactSums | None:
        """What the last walk found; None before the first, and while the store is away."""
        return self._sums

    def free_bytes(self) -> int | None:
        """Room that is left; None where the store does not say, or is away."""
        try:
            return self._artefacts.free_bytes()
        except (OSError, SmearscanError):
            return None

    def _watch(self) -> None:
        rest = 0.0
        while not self._over.wait(rest):
            began = time.monotonic()
            try:
                self._sums = add_up(self._artefacts)
            except (OSError, SmearscanError):
                self._sums = None
            rest = max(_WALK_EVERY_S, _REST * (time.monotonic() - began))


def add_up(artefacts: Artefacts) -> ArtefactSums:
    """Walk over all artefacts once."""
    counts: dict[str, int] = {}
    n_bytes: dict[str, int] = {}
    for kept in artefacts.walk():
        kind = kept.key.split("-", 1)[0]
        counts[kind] = counts.get(kind, 0) + 1
        n_bytes[kind] = n_bytes.get(kind, 0) + kept.n_bytes
    return ArtefactSums(counts, n_bytes)


def broker_answers(location: Location) -> bool:
    """Whether the state's Redis answers a ping."""
    import redis
    from redis.exceptions import RedisError

    from workers.app import broker_address

    address = broker_address(location).replace("redis+socket://", "unix://", 1)
    client = redis.Redis.from_url(address, socket_connect_timeout=_PING_S, socket_timeout=_PING_S)
    try:
        return bool(client.ping())
    except (RedisError, OSError):
        return False
    finally:
        client.close()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine; `busy` 0 to 1, None where it does not say (one that is cut into instances)."""

    name: str
    busy: float | None
    used_bytes: int
    total_bytes: int


def gpus() -> list[Gpu]:
    """This machine's GPUs; empty where there is none, or nothing that can ask them (``pip install nvidia-ml-py``)."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [_gpu(f"{index}", handle) for index, handle in enumerate(handles)]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpu(name: str, handle: object) -> Gpu:
    import pynvml

    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    try:
        busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except pynvml.NVMLError:
        busy = None
    return Gpu(name, busy, int(memory.used), int(memory.total))
