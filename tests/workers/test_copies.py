"""A scan that was copied under another name is counted once for its patient, and told where it is of two."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smearscan.cli.main import cli
from smearscan.settings import Settings
from smearscan.stages import copies
from smearscan.stages.copies import Copies, find_copies
from smearscan.stages.job import read_source
from smearscan.stages.submission import new_run
from smearscan.store.submit import NewRun
from smearscan.submission import gather
from smearscan.survey import survey_slide
from smearscan.synth import write_smear


def _submitted(folder: Path, patient: str | None = "P") -> NewRun:
    return new_run(gather([folder], patient=patient), Settings(), "test")


def _write(folder: Path, **held: bytes) -> None:
    for name, data in held.items():
        (folder / f"{name}.tif").write_bytes(data)


def test_a_copy_is_refused_by_name_and_the_others_stay(tmp_path: Path) -> None:
    _write(tmp_path, a=b"one scan", b=b"another!", c=b"one scan", d=b"a longer one")
    found = _submitted(tmp_path).slides
    assert [slide.slide_id for slide in found] == ["a", "b", "d", "c"], "what is refused stands behind"
    assert [bool(slide.reason) for slide in found] == [False, False, False, True]
    assert "c.tif: the same scan as" in found[-1].reason and "a.tif, counted once" in found[-1].reason


def _mix_ups(new: NewRun) -> dict[str, str]:
    return {slide.patient_id: read_source(slide.source).mix_up for slide in new.slides}


def test_copies_of_different_patients_are_screened_and_name_one_another(tmp_path: Path) -> None:
    """Whose of them a scan is, nobody here can say: a mix-up is told, and costs neither patient the night."""
    _write(tmp_path, a=b"one scan", b=b"one scan", c=b"another!")
    new = _submitted(tmp_path, patient=None)
    assert not any(slide.reason for slide in new.slides)
    assert _mix_ups(new) == {
        "a": "slide a: the same scan was given for patient b; it can be of one of them only",
        "b": "slide b: the same scan was given for patient a; it can be of one of them only",
        "c": "",
    }


def test_of_many_patients_with_one_scan_a_few_are_named(tmp_path: Path) -> None:
    _write(tmp_path, **dict.fromkeys("abcdef", b"a scan of a control"))
    found = _mix_ups(_submitted(tmp_path, patient=None))
    assert "given for patients b, c, d and 2 more;" in found["a"]
    assert "given for patients a, b, c and 2 more;" in found["f"]


def test_a_copy_of_each_patient_is_refused_and_what_stays_is_named(tmp_path: Path) -> None:
    _write(tmp_path, a=b"one scan", b=b"one scan", c=b"one scan")
    (tmp_path / "w.csv").write_text("path,patient_id\na.tif,P\nb.tif,P\nc.tif,Q\n", "utf-8")
    found = new_run(gather([], tmp_path / "w.csv"), Settings(), "test").slides
    assert [(slide.slide_id, slide.source["given_for_too"]) for slide in found] == [
        ("a", "patient Q"),
        ("c", "patient P"),
        ("b", ""),
    ]


def test_who_screens_or_submits_is_told_of_a_mix_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.wake.wake", lambda *_: None)
    (tmp_path / "in").mkdir()
    _write(tmp_path / "in", a=b"one scan", b=b"one scan")
    warned = "warning: patient a: slide a: the same scan was given for patient b; it can be of one of them only"
    for command in (["submit"], ["screen", "--jobs", "1", "--out", str(tmp_path / "out")]):
        given = [*command, str(tmp_path / "in"), "--state", str(tmp_path / command[0])]
        assert warned in CliRunner().invoke(cli, given).stderr


def test_a_folder_of_the_same_fields_is_the_same_smear(tmp_path: Path) -> None:
    for folder, names in {"first": "ab", "second": "xy", "third": "ab"}.items():
        (tmp_path / folder).mkdir()
        for name, data in zip(names, (b"one", b"two" if folder != "third" else b"six"), strict=True):
            _write(tmp_path / folder, **{name: data})
    lines = "".join(f"{folder},P\n" for folder in ("first", "second", "third"))
    (tmp_path / "w.csv").write_text(f"path,patient_id\n{lines}", "utf-8")
    found = new_run(gather([], tmp_path / "w.csv"), Settings(), "test").slides
    assert [Path(slide.path).name for slide in found if slide.reason] == ["second"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(held=st.lists(st.binary(min_size=1, max_size=3), max_size=8))
def test_what_is_left_is_each_content_once(tmp_path_factory: pytest.TempPathFactory, held: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("scans")
    _write(folder, **{f"s{n}": data for n, data in enumerate(held)})
    if held:
        kept = [Path(slide.path).read_bytes() for slide in _submitted(folder).slides if not slide.reason]
        assert sorted(kept) == sorted(set(held))


def test_large_scans_of_one_size_are_not_read_as_a_whole_where_their_ends_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uncompressed scans of one camera all have one size: a submission must not wait for gigabytes."""
    _write(tmp_path, a=b"A" + bytes(200_000), b=b"B" + bytes(200_000), c=bytes(100_000))

    def refuse(_: str) -> str:
        raise AssertionError("it was read as a whole")

    monkeypatch.setattr(copies, "content_digest", refuse)
    assert not any(slide.reason for slide in _submitted(tmp_path).slides)


def test_scans_that_differ_in_the_middle_alone_are_two(tmp_path: Path) -> None:
    whole = bytearray(300_000)
    _write(tmp_path, a=bytes(whole))
    whole[150_000] = 1
    _write(tmp_path, b=bytes(whole))
    assert not any(slide.reason for slide in _submitted(tmp_path).slides)


def test_what_cannot_be_read_is_left_to_its_turn(tmp_path: Path) -> None:
    _write(tmp_path, a=b"one scan", b=b"one scan")
    sources = gather([tmp_path], patient="P").sources
    (tmp_path / "b.tif").unlink()
    assert find_copies(sources) == Copies()


def _rows(folder: Path, *rows: str) -> NewRun:
    (folder / "w.csv").write_text("path,patient_id\n" + "".join(f"{row}\n" for row in rows), "utf-8")
    return new_run(gather([], folder / "w.csv"), Settings(), "test")


def test_a_field_copied_within_its_folder_is_counted_once_and_told(tmp_path: Path) -> None:
    (tmp_path / "F").mkdir()
    _write(tmp_path / "F", a=b"one", b=b"two", c=b"one")
    (slide,) = _rows(tmp_path, "F,P").slides
    assert not slide.reason
    assert [Path(path).name for path in slide.source["paths"]] == ["a.tif", "b.tif"]
    (told,) = read_source(slide.source).repeated
    assert told == f"{tmp_path}/F/c.tif: the same image as {tmp_path}/F/a.tif, counted once"
    assert slide.stamp is not None and len(slide.stamp) == 2


def test_a_field_handed_in_with_its_folder_and_by_itself_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "F").mkdir()
    _write(tmp_path / "F", a=b"one", b=b"two")
    folder_first = _rows(tmp_path, "F,P", "F/a.tif,P").slides
    assert [(Path(s.path).name, bool(s.reason)) for s in folder_first] == [("F", False), ("a.tif", True)]
    folder_last = _rows(tmp_path, "F/a.tif,P", "F,P").slides
    assert not any(slide.reason for slide in folder_last)
    assert [len(slide.source["paths"]) for slide in folder_last] == [1, 1]


def test_a_field_of_two_patients_is_told_to_both(tmp_path: Path) -> None:
    (tmp_path / "F").mkdir()
    _write(tmp_path / "F", a=b"one", b=b"two")
    new = _rows(tmp_path, "F,P", "F/b.tif,Q")
    assert not any(slide.reason for slide in new.slides)
    assert {patient: bool(told) for patient, told in _mix_ups(new).items()} == {"P": True, "Q": True}


def test_an_image_left_out_as_a_copy_is_named_by_the_survey(tmp_path: Path) -> None:
    (tmp_path / "F").mkdir()
    write_smear(tmp_path / "F" / "a.tif", 700, 500, 1, mpp=0.3)
    shutil.copy(tmp_path / "F" / "a.tif", tmp_path / "F" / "b.tif")
    (slide,) = _rows(tmp_path, "F,P").slides
    found = survey_slide(read_source(slide.source), Settings())
    assert [plan.name for plan in found.fields] == ["a.tif"]
    assert [reason for reason in found.left_out if "b.tif: the same image as" in reason]
