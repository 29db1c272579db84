"""`smearscan submit`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath, PatientId, UmPerPx
from smearscan.cli.state import state_option
from workers.commands.options import kept_by_databases, laboratory_option, location


@click.command("submit")
@click.argument("inputs", nargs=-1, type=GivenPath(readable=False))
@click.option("--worksheet", type=GivenPath(), help="CSV that names the patient of each slide.")
@click.option("--patient", type=PatientId(), metavar="ID", help="All inputs are slides of this patient.")
@click.option("--preset", default="default", show_default=True, help="Name of a preset, or a TOML file.")
@click.option("--mpp", type=UmPerPx(), help="µm per pixel, instead of what the files say.")
@click.option("--priority", type=click.Choice(["stat", "routine"]), default="routine", show_default=True)
@laboratory_option
@click.option(
    "--out",
    type=GivenPath(),
    callback=kept_by_databases,
    help="Folder to write the files into when the run is done.",
)
@click.option("--wait", is_flag=True, help="Wait until the run is done; exit 0 only if every slide succeeded.")
@state_option
def command(
    inputs: tuple[Path, ...], worksheet: Path | None, patient: str | None, preset: str, mpp: float | None,
    priority: str, laboratory: str, out: Path | None, wait: bool, state: str | None,
) -> None:  # fmt: skip
    """Put smears on the queue: INPUTS are files, or folders of files, as for `smearscan screen`."""
    from smearscan.lending import lend_scales
    from smearscan.settings import load_settings
    from smearscan.stages.export import expect_folder, write_run
    from smearscan.stages.job import read_source
    from smearscan.stages.progress import run_progress
    from smearscan.stages.submission import new_run
    from smearscan.store.claims import ROUTINE, STAT
    from smearscan.store.state import open_state
    from smearscan.store.submit import moved_out, renamed_patients, submit
    from smearscan.submission import gather
    from workers.app import make_app
    from workers.commands.follow import follow
    from workers.wake import wake

    if not inputs and worksheet is None:
        raise click.UsageError("name smears to screen, or a --worksheet that does")
    if worksheet is not None and patient is not None:
        raise click.UsageError("--patient and --worksheet both name patients: use one")
    if out is not None:
        expect_folder(out, [worksheet, *inputs])
    where = location(state)
    opened = open_state(where, patience_s=10.0)
    submission = gather([path.absolute() for path in inputs], worksheet and worksheet.absolute(), patient, mpp)
    settings = load_settings(preset)
    new = new_run(
        lend_scales(submission, settings), settings, preset, laboratory=laboratory,
        priority=STAT if priority == "stat" else ROUTINE, out=str(out.absolute()) if out else "",
    )  # fmt: skip
    for path, now, before in opened.database.read(renamed_patients, new):
        click.echo(f"warning: {path} was submitted as patient {before} before, now as {now}", err=True)
    moved_from = opened.database.read(moved_out, new)
    run_id, is_new = opened.database.run(submit, new)
    if moved_from:
        click.echo(
            f"warning: the files of r{run_id} will be in {new.out}, not in {moved_from} as said before", err=True
        )
    for slide in new.slides:
        if slide.reason:
            click.echo(f"failed: {slide.slide_id}: {slide.reason}", err=True)
        if mix_up := read_source(slide.source).mix_up:
            click.echo(f"warning: patient {slide.patient_id}: {mix_up}", err=True)
    wake(make_app(where), opened)
    said = f"run r{run_id}: {len(new.slides)} slides"
    click.echo(said if is_new else f"{said}, submitted before: nothing is done twice")
    if out is not None and not is_new and opened.database.read(run_progress, run_id).state == "done":
        written = write_run(opened, run_id, out)  # no worker will: its work is done
        if written.remark:
            click.echo(written.remark, err=True)
    if wait:
        sys.exit(follow(opened, run_id))
    sys.exit(1 if any(slide.reason for slide in new.slides) else 0)
