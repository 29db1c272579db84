"""The commands of docs/operations.md that save a state and bring it back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pretended_night import hand_in, new_run, open_night
from servers import find_program
from sqlalchemy import select, update

from smearscan.store.database import open_database
from smearscan.store.schema import slides


def _slides_of(address: str) -> list[tuple[str, str]]:
    database = open_database(address)
    with database.transaction() as connection:
        found = [(row.slide_id, row.state) for row in connection.execute(select(slides).order_by(slides.c.id))]
    database.close()
    return found


def _documented() -> str:
    text = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text("utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith('python3 -c "import sqlite3')]
    return line.removeprefix('python3 -c "').removesuffix('"')


def test_a_copy_taken_while_somebody_writes_holds_all_that_was_committed(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    night = open_night(f"sqlite:///{folder / 'state.db'}", folder)
    hand_in(night, new_run(["a", "b"]))
    copy = tmp_path / "copy.db"
    code = _documented().replace("/var/lib/smearscan/state.db", str(folder / "state.db"))
    with night.database.transaction() as connection:
        connection.execute(update(slides).values(state="open"))
        subprocess.run([sys.executable, "-c", code.replace("/backup/state.db", str(copy))], check=True, timeout=60)
    assert _slides_of(f"sqlite:///{copy}") == [("a", "waiting"), ("b", "waiting")]
    night.database.close()


def test_a_dump_restored_into_an_empty_database_is_the_same_state(
    fresh_postgresql: Callable[[], str], tmp_path: Path
) -> None:
    programs = [find_program("pg_dump"), find_program("pg_restore")]
    if None in programs:
        # tests/run installs both where it may; what is tested is these programs' own work on our tables.
        pytest.skip("no pg_dump and pg_restore: PostgreSQL's client is a package of its own beside the server's")
    dump, restore = map(str, programs)
    address, other = fresh_postgresql(), fresh_postgresql()
    night = open_night(address, tmp_path)
    hand_in(night, new_run(["a", "b"]))
    night.database.close()
    saved = str(tmp_path / "state.dump")
    subprocess.run([dump, "--format=custom", f"--file={saved}", f"--dbname={address}"], check=True)
    subprocess.run([restore, f"--dbname={other}", saved], check=True)
    assert _slides_of(other) == _slides_of(address) == [("a", "waiting"), ("b", "waiting")]
