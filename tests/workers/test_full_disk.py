"""What a full disk says: of the database itself, and of a run that only waits for room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from smearscan import local
from smearscan.errors import TransientError
from smearscan.stages.progress import run_progress
from smearscan.store.schema import chunks
from smearscan.store.state import State
