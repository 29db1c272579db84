"""What a submission becomes in the state, and what the state says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from pretended_night import new_night, submit_night

from smearscan.cli.main import cli
from smearscan.errors import SettingsError, TransientError
from smearscan.store.database import MIGRATIONS, newest_revision, open_database
from smearscan.store.location import Location, find_location
from smearscan.store.runs import find_run
from smearscan.store.schema import runs
from smearscan.store.submit import moved_out, renamed_patients


def test_a_patient_renamed_between_submissions_is_named(database_url: str) -> None:
    database = open_database(database_url)
    submit_night(database, [("a", "P1"), ("b", "P2")])
    renamed = new_night([("a", "P1"), ("b", "P3")], digest="e" * 64)
    assert database.run(renamed_patients, renamed) == [("/b", "P3", "P2")]
    database.close()


def test_files_that_an_open_run_was_to_write_elsewhere_are_told(database_url: str) -> None:
    database = open_database(database_url)
    slides = [("a", "P1")]
    assert database.read(moved_out, new_night(slides, out="/new")) == "", "nobody submitted it yet"
    submit_night(database, slides, out="/old")
    assert database.read(moved_out, new_night(slides, out="/new")) == "/old"
    assert database.read(moved_out, new_night(slides, out="/old")) == ""
    assert database.read(moved_out, new_night(slides)) == "", "they stay where they were to be"
    with database.transaction() as connection:
        connection.execute(runs.update().values(state="done"))
    assert database.read(moved_out, new_night(slides, out="/new")) == "", "they are there, and come here too"
    database.close()


def test_who_moves_an_open_runs_files_is_told_both_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.wake.wake", lambda *_: None)
    (tmp_path / "a.tif").write_bytes(b"a scan")
    said = [
        CliRunner().invoke(cli, ["submit", str(tmp_path / "a.tif"), "--out", out, "--state", str(tmp_path / "state")])
        for out in ("/results/old", "/results/new")
    ]
    assert [one.stderr for one in said] == [
        "",
        "warning: the files of r1 will be in /results/new, not in /results/old as said before\n",
    ]


def test_a_run_that_is_not_there_is_named_with_those_that_are(database_url: str) -> None:
    database = open_database(database_url)
    submit_night(database, [("a", "P1")])
    with pytest.raises(SettingsError, match=r"no run 'r99'.*Known are r1"):
        database.run(find_run, "r99")
    database.close()


def test_tables_of_a_newer_version_are_refused(database_url: str) -> None:
    from sqlalchemy import text

    database = open_database(database_url)
    with database.transaction() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(SettingsError, match="Upgrade smearscan"):
        open_database(database_url)


def test_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from smearscan.store.schema import metadata

    database = open_database(database_url)
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()


def test_the_last_migrations_file_is_named_by_its_revision() -> None:
    """So that tables of the newest revision are known without loading what migrates."""
    from alembic.script import ScriptDirectory

    assert newest_revision() == ScriptDirectory(str(MIGRATIONS)).get_current_head()


def test_a_folder_is_a_state_of_its_own(tmp_path: Path) -> None:
    found = find_location(str(tmp_path / "state"))
    assert found.database.endswith("state/state.db") and found.artefacts.endswith("state/artefacts")
    assert found.broker == "" and found.folder == tmp_path / "state"


def test_a_file_in_the_folder_names_other_places(tmp_path: Path) -> None:
    (tmp_path / "state.toml").write_text('database = "postgresql://db/x"\nbroker = "redis://r:6379/0"\n')
    found = find_location(str(tmp_path))
    assert (found.database, found.broker) == ("postgresql://db/x", "redis://r:6379/0")


def test_an_unknown_key_in_that_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state.toml").write_text('databse = "postgresql://db/x"\n')
    with pytest.raises(SettingsError, match="databse"):
        find_location(str(tmp_path))


def test_an_address_says_where_artefacts_and_broker_are() -> None:
    found = find_location("postgresql://u:p@db/x?artefacts=s3://bucket/a&broker=redis://r/0&sslmode=require")
    assert found.database == "postgresql://u:p@db/x?sslmode=require"
    assert (found.artefacts, found.broker, found.folder) == ("s3://bucket/a", "redis://r/0", None)


def test_an_address_without_artefacts_is_refused() -> None:
    with pytest.raises(SettingsError, match="artefacts"):
        find_location("postgresql://db/x")


def test_a_database_that_is_away_at_the_start_is_named_without_its_password() -> None:
    with pytest.raises(TransientError, match="Start the database") as caught:
        open_database("postgresql://u:secret@127.0.0.1:1/x", patience_s=0.1)
    assert "secret" not in str(caught.value)


def test_another_kind_of_database_is_refused() -> None:
    with pytest.raises(SettingsError, match="not supported"):
        open_database("mysql://db/x")


def test_a_state_folder_that_is_made_is_for_nobody_else(tmp_path: Path) -> None:
    """Names of patients lie in it; one that is there already stays as its owner made it."""
    find_location(str(tmp_path / "made"))
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)
    find_location(str(tmp_path / "shared"))
    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o770


def test_a_socket_in_a_folder_of_long_foreign_letters_is_put_where_its_address_fits(tmp_path: Path) -> None:
    from workers.app import socket_path

    folder = Path("/" + "ä" * 60)
    assert len(str(socket_path(Location("", "", "", folder))).encode()) <= 100


@pytest.mark.parametrize("name", ["", "n" * 201, "two\nlines"])
def test_a_laboratory_needs_a_name_that_every_database_keeps(tmp_path: Path, name: str) -> None:
    for command in ("submit", "watch"):
        said = CliRunner().invoke(cli, [command, str(tmp_path), "--laboratory", name, "--state", str(tmp_path / "s")])
        assert said.exit_code == 2
        assert "1 to 200 printable characters" in said.output


def test_files_cannot_be_asked_for_under_a_name_that_no_database_keeps(tmp_path: Path) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    said = CliRunner().invoke(cli, ["submit", str(tmp_path), "--out", out, "--state", str(tmp_path / "s")])
    assert said.exit_code == 2
    assert "no database keeps this name" in said.output
