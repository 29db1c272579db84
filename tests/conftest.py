"""What every test may use: the development images where they are, a CPU kept to one thread."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

#: No property is failed for the time it took: what a busy machine delays once, it does not the second time.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The state that commands keep unless told otherwise goes to a folder of this run, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development images; skips where a newcomer has none of it."""
    if not _SHARED.is_dir():
        # They may not be copied here, and drawn ones cannot stand for what is measured on real ones.
        pytest.skip("no ../shared/data: a newcomer has none of these images, and none may enter the project")
    return _SHARED


@pytest.fixture
def ordinary_rights() -> Iterator[None]:
    """This thread may read and write what permissions allow, also where root runs the tests; others have to be started
    without the right to more (tests/e2e/test_bad_hands.py).
    """
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "capset"):
        # capset is Linux: elsewhere run the tests as an ordinary user, and they run.
        pytest.skip("root may read everything, and only on Linux can it lay that right down")
    # capget(2): version 3, this thread; then two triples of effective, permitted and inheritable rights.
    header, rights = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, rights) == 0
    before = rights[0]
    rights[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, rights) == 0
    yield
    rights[0] = before
    assert libc.capset(header, rights) == 0
