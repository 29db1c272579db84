"""`smearscan screen`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.given import GivenPath, PatientId, UmPerPx
from smearscan.cli.progress import Progress
from smearscan.cli.state import open_given, state_option

if TYPE_CHECKING:
    from smearscan.stages.export import Written


@click.command("screen")
@click.argument("inputs", nargs=-1, type=GivenPath(readable=False))
@click.option("--out", required=True, type=GivenPath(), help="Folder for the report and the tables.")
@click.option("--worksheet", type=GivenPath(), help="CSV that names the patient of each slide.")
@click.option("--patient", type=PatientId(), metavar="ID", help="All inputs are slides of this patient.")
@click.option("--preset", default="default", show_default=True, help="Name of a preset, or a TOML file.")
@click.option("--mpp", type=UmPerPx(), help="µm per pixel, instead of what the files say.")
@click.option("--geojson", is_flag=True, help="Write the cells of each slide for QuPath too, into OUT/geojson.")
@state_option
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="Processes; all cores unless said.")
def command(
    inputs: tuple[Path, ...], out: Path, worksheet: Path | None, patient: str | None, preset: str,
    mpp: float | None, geojson: bool, state: str | None, jobs: int | None,
) -> None:  # fmt: skip
    """Screen smears: INPUTS are files, or folders of files.

    Without a worksheet each file is a slide and a patient of its own. A worksheet has the columns path and
    patient_id, and may have specimen, collected, mpp and wbc_10e9_per_l; paths are relative to it, and a folder in it
    is one slide made of fields. Exit 0 only if every slide succeeded, with all of its images.
    """
    from smearscan.resources import n_processors
    from smearscan.screening import screen
    from smearscan.settings import load_settings
    from smearscan.stages.export import expect_folder
    from smearscan.submission import gather

    if not inputs and worksheet is None:
        raise click.UsageError("name smears to screen, or a --worksheet that does")
    if worksheet is not None and patient is not None:
        raise click.UsageError("--patient and --worksheet both name patients: use one")
    expect_folder(out, [worksheet, *inputs])
    settings = load_settings(preset)
    submission = gather(inputs, worksheet, patient, mpp)
    with Progress("screening") as progress:
        opened = open_given(state)
        n_jobs = jobs or n_processors()
        try:
            result = screen(submission, settings, out, preset, n_jobs, progress, opened, with_geojson=geojson)
        except KeyboardInterrupt:
            progress.line("stopped; the same command goes on from where this one was")
            raise
    _say(result)
    sys.exit(1 if result.n_failed else 0)


def _say(result: Written) -> None:
    for slide in result.slides:
        if slide.status == "failed":
            click.echo(f"failed: {slide.source.slide_id}: {slide.reason}", err=True)
        if slide.loss:
            click.echo(f"warning: {slide.source.slide_id}: {slide.loss}", err=True)
        if slide.source.mix_up:
            click.echo(f"warning: patient {slide.source.patient_id}: {slide.source.mix_up}", err=True)
    width = max(len(patient.patient_id) for patient in result.patients)
    for patient in result.patients:
        fraction = f"{patient.corrected.estimate:.1%} ({patient.corrected.low:.1%} to {patient.corrected.high:.1%})"
        shown = "not enough to say" if patient.flag == "insufficient" else f"corrected blast fraction {fraction}"
        n = patient.differential.n_leukocytes
        counted = f"{n} leukocyte{'' if n == 1 else 's'} counted"
        click.echo(f"{patient.patient_id:<{width}}  {patient.flag:<12}  {shown}, {counted}")
    if result.remark:
        click.echo(result.remark, err=True)
    click.echo(f"report: {result.index}")
