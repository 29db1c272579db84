"""Hands that may not write and disks that are full, for real: said with the remedy, nothing lost, gone on with later.

Root may write everywhere, so as root the commands run without that right; a full disk is a tiny one in memory, in a
mount namespace of its own that ends with the command.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

Smearscan = Callable[..., subprocess.CompletedProcess[str]]

_MAIN = "from smearscan.cli.main import main; main()"
#: As in a hurry: what passes is waited for three seconds, not two minutes.
_IMPATIENT = f"import smearscan.local; smearscan.local._PATIENCE_S = 3.0; {_MAIN}"
_RIGHTS = "-dac_override,-dac_read_search"
_ORDINARY = ["setpriv", f"--bounding-set={_RIGHTS}", f"--inh-caps={_RIGHTS}"]
_OWN_MOUNTS = ["unshare", "--map-root-user", "--mount", "sh", "-euc"]


def _run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def _works(command: list[str]) -> bool:
    return bool(shutil.which(command[0])) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def smearscan(tmp_path: Path) -> Smearscan:
    """The command line, run as somebody whom the file system can forbid something."""
    if os.geteuid() == 0:
        (tmp_path / "probe").mkdir(mode=0o500)
        if not _works([*_ORDINARY, "true"]) or _works([*_ORDINARY, "touch", str(tmp_path / "probe" / "file")]):
            # Without setpriv nothing is forbidden to root, and the test would pass or fail for another reason.
            pytest.skip("root may write everywhere, and setpriv cannot take that right away here")

    before = _ORDINARY if os.geteuid() == 0 else []

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return _run([*before, sys.executable, "-c", _MAIN, *map(str, arguments)], tmp_path)

    return run


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Callable[[str, str], subprocess.CompletedProcess[str]]:
    """Run a shell script with a disk of 64 KiB mounted on a folder; `$smearscan` is the command line."""
    if not _works([*_OWN_MOUNTS, "mount -t tmpfs -o size=64k none /mnt"]):
        # A full disk that is pretended is tested in tests/workers/test_full_disk.py; this one is real.
        pytest.skip("no disk can be mounted here: that needs root or user namespaces")
    (tmp_path / "main.py").write_text(_IMPATIENT, "utf-8")

    def run(folder: str, script: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / folder).mkdir(parents=True)
        mount = f"mount -t tmpfs -o size=64k none {folder}; smearscan='{sys.executable} main.py'; {script}"
        return _run([*_OWN_MOUNTS, mount], tmp_path)

    return run


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (("screen", "field.png", "--state", "state", "--out", "closed/out"), "closed/out/report"),
        (("screen", "field.png", "--state", "state", "--out", "half"), "half/report"),
        (("screen", "field.png", "--state", "closed/state", "--out", "out"), "closed/state"),
        (("detect", "field.png", "--out", "closed/boxes.csv"), "closed"),
        (("classify", "field.png", "--out", "closed/predictions.csv"), "closed"),
        (
            ("synth", "--width", "300", "--height", "200", "--seed", "1", "--out", "closed/smear.tif"),
            "closed/smear.tif",
        ),
    ],
)
def test_a_place_that_may_not_be_written_is_said_before_the_work(
    smearscan: Smearscan, field_png: Path, tmp_path: Path, command: tuple[str, ...], place: str
) -> None:
    shutil.copy(field_png, tmp_path)
    (tmp_path / "closed").mkdir(mode=0o500)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "report").mkdir(mode=0o500)
    done = smearscan(*command)
    assert done.returncode == 2
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert place in said and "Permission denied. " in said
    assert "1 of 1" not in done.stderr  # nothing was detected, classified, screened
    assert not list((tmp_path / "closed").iterdir()) and not list((tmp_path / "half" / "report").iterdir())


def test_a_slide_that_may_not_be_read_fails_by_name_and_is_done_when_it_may(
    smearscan: Smearscan, field_png: Path, tmp_path: Path
) -> None:
    shutil.copy(field_png, tmp_path / "open.png")
    shutil.copy(field_png, tmp_path / "shut.png")
    (tmp_path / "shut.png").chmod(0)
    command = ("screen", "open.png", "shut.png", "--mpp", "0.2", "--out", "out", "--state", "state", "--jobs", "1")
    first = smearscan(*command)
    slides = {row["slide_id"]: row for row in _rows(tmp_path / "out" / "slides.csv")}
    assert first.returncode == 1
    assert slides["open"]["status"] == "done" and slides["shut"]["status"] == "failed"
    assert "shut.png" in slides["shut"]["reason"] and "Permission denied" in slides["shut"]["reason"]
    (tmp_path / "shut.png").chmod(0o400)
    assert smearscan(*command).returncode == 0
    assert [row["status"] for row in _rows(tmp_path / "out" / "slides.csv")] == ["done", "done"]


def test_results_that_find_the_disk_full_are_written_when_there_is_room(
    tiny_disk: Callable[[str, str], subprocess.CompletedProcess[str]], field_png: Path, tmp_path: Path
) -> None:
    screen = f"$smearscan screen {field_png} --mpp 0.2 --jobs 1 --state state"
    done = tiny_disk(
        "disk",
        f"""
        head -c 56k /dev/zero > disk/other
        {screen} --out disk/out && exit 9 || echo code $?
        find disk -name '*.part'
        rm disk/other; mount -o remount,size=9m disk
        {screen} --out disk/out && echo code $?
        cp -r disk/out kept; {screen} --out whole && echo code $?""",
    )
    assert done.stdout.count("code 2\n") == 1 and done.stdout.count("code 0\n") == 2, done.stderr
    assert ".part" not in done.stdout
    assert "cannot be written: the disk is full. Free some space and run again" in done.stderr
    for name in ("patients.csv", "cells.csv", "cells.parquet", "report/field.html"):
        assert (tmp_path / "kept" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_state_that_finds_the_disk_full_ends_with_the_remedy_and_goes_on_when_there_is_room(
    tiny_disk: Callable[[str, str], subprocess.CompletedProcess[str]], field_png: Path, tmp_path: Path
) -> None:
    screen = f"$smearscan screen {field_png} --mpp 0.2 --jobs 1 --state state"
    done = tiny_disk(
        "state/artefacts",
        f"""
        {screen} --out out && exit 9 || echo code $?
        find state -name '*.part'; ls out/report
        mount -o remount,size=9m state/artefacts
        {screen} --out out && echo code $?""",
    )
    assert done.stdout.startswith("code 2\n") and "code 0\n" in done.stdout, done.stderr
    assert ".part" not in done.stdout
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("Error: "))
    assert "the disk is full. Free some space. Then run the same again: it goes on where it stopped" in said
    assert [row["status"] for row in _rows(tmp_path / "out" / "slides.csv")] == ["done"]
