"""What is made anew, and nothing else: one corrupt slide of 40 repaired, a threshold changed, the networks changed.

    python benchmarks/remaking.py FOLDER [--real FOLDER_OF_FIELDS] [--processes 2]

The slides are those of chaos.py, on the queue of `smearscan up`. Printed is, for each run, how many chunks of every
stage were made; all others were found made. It ends with an error unless that is as it must be.
"""

from __future__ import annotations

import argparse
import csv
import signal
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chaos import draw_slides
from sqlalchemy import select

from smearscan.resources import configs_folder
from smearscan.store.location import find_location
from smearscan.store.schema import chunks, slides
from smearscan.store.state import open_state

_CLI = [sys.executable, "-m", "smearscan.cli.main"]


@contextmanager
def up(state: Path, processes: int) -> Iterator[None]:
    """`smearscan up` until the end."""
    command = [*_CLI, "up", "--state", str(state), "--processes", str(processes), "--metrics-port", "0"]
    with (state.parent / "up.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def call(*arguments: str) -> int:
    """Exit code of a command of smearscan."""
    return subprocess.run([*_CLI, *arguments], check=False, stdout=subprocess.DEVNULL).returncode


def copied(worksheet: Path, folder: Path) -> tuple[Path, Path]:
    """A worksheet of copies of all slides that can be screened, and the copy to corrupt."""
    folder.mkdir(parents=True, exist_ok=True)
    with worksheet.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for place, row in enumerate(rows):
        scan = worksheet.parent / row["path"]
        path = folder / f"{place:02d}{scan.suffix}"
        path.write_bytes(scan.read_bytes())
        row |= {"path": str(path), "mpp": row["mpp"] or "0.12"}
    sheet = folder / "worksheet.csv"
    with sheet.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return sheet, folder / Path(rows[3]["path"]).name


def changed(folder: Path, stage: str, knob: str, value: object) -> Path:
    """The default preset with one knob changed."""
    table: dict[str, Any] = tomllib.loads((configs_folder() / "presets" / "default.toml").read_text("utf-8"))
    table[stage][knob] = value
    path = folder / f"{knob}.toml"
    lines = [f"[{name}]\n" + "".join(f"{k} = {_toml(v)}\n" for k, v in knobs.items()) for name, knobs in table.items()]
    path.write_text("\n".join(lines), "utf-8")
    return path


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')


def made(state: Path, run: int, since: float = 0.0) -> Counter[str]:
    """Stage → chunks that were made and not found made."""
    anew = (chunks.c.run_id == run) & (chunks.c.status == "done") & ~chunks.c.is_reused & (chunks.c.ready_at >= since)
    with open_state(find_location(str(state))).database.transaction() as connection:
        return Counter(connection.execute(select(chunks.c.stage).where(anew)).scalars())


def ended(state: Path, run: int) -> Counter[str]:
    """How a run's slides ended."""
    with open_state(find_location(str(state))).database.transaction() as connection:
        return Counter(connection.execute(select(slides.c.state).where(slides.c.run_id == run)).scalars())


def must(is_so: bool, what: str) -> None:
    """Say what was seen, or end."""
    print(f"{'as it must be' if is_so else 'WRONG'}: {what}", flush=True)
    if not is_so:
        sys.exit(1)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", type=Path, help="folder of real fields, of which ten are taken")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    sheet, victim = copied(draw_slides(given.folder, given.real), given.folder / "copies")
    state, whole = given.folder / "remaking-state", victim.read_bytes()
    submit = ("submit", "--worksheet", str(sheet), "--state", str(state), "--wait")
    with up(state, given.processes):
        victim.write_bytes(whole[: len(whole) // 3])
        code, found = call(*submit), ended(state, 1)
        must(
            code != 0 and found["failed"] == 1, f"one corrupt: exit {code}, {dict(found)}; made {dict(made(state, 1))}"
        )
        victim.write_bytes(whole)
        since, code = time.time(), call("retry", "--wait", "--state", str(state))
        again = made(state, 1, since)
        must(code == 0 and again["survey"] == 1, f"repaired and retried: exit {code}, made {dict(again)}")
        preset = changed(given.folder, "aggregate", "work_up_fraction", 0.06)
        call(*submit, "--preset", str(preset))
        must(set(made(state, 2)) <= {"aggregate", "report"}, f"another threshold: made {dict(made(state, 2))}")
        preset = changed(given.folder, "classify", "blast_weights", [0.5, 0.4, 0.6])
        call(*submit, "--preset", str(preset))
        from_there_on = {"classify", "finish", "aggregate", "report"}
        must(set(made(state, 3)) == from_there_on, f"another ensemble: made {dict(made(state, 3))}")


if __name__ == "__main__":
    main()
