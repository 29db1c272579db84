"""What every test may use: the development images where they are, a CPU kept to one thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
        pytest.skip("no ../shared/data: a newcomer has none of these images, and none may enter the project")
    return _SHARED
