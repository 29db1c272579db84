"""What every test may use: the development images where they are, a CPU kept to one thread."""

from __future__ import annotations

from pathlib import Path

import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of development images; skips where a newcomer has none of it."""
    if not _SHARED.is_dir():
        # A newcomer has none of these images, and none of them may enter the project.
        pytest.skip("the development images (../shared/data) are not here")
    return _SHARED
