"""`smearscan train`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.progress import Progress

if TYPE_CHECKING:
    from smearscan.datasets.samples import SampleSet
    from smearscan.train.recipes.recipe import Recipe

#: What a shell shows of a process that Ctrl-C ended.
_INTERRUPTED = 130


def _list(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from smearscan.train.recipes.load import list_recipes, load_recipe

    for name in list_recipes():
        recipe = load_recipe(name)
        click.echo(f"{name:32} {recipe.network:28} {recipe.row}")
    context.exit()


@click.command("train")
@click.argument("recipe")
@click.option("--data", required=True, type=GivenPath(), help="Folder of the images (or CSV).")
@click.option("--out", required=True, type=GivenPath(), help="Folder for package, log and figures.")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the recipe: optimiser.rate=0.001.")
@click.option("--from-scratch", is_flag=True, help="Without ImageNet weights, where the recipe asks for them.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1; under torchrun one GPU each.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="What matrices are multiplied in.",
)
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that read images.")
@click.option("--threads", type=click.IntRange(1), help="Threads for arithmetic; torch's own number if not given.")
@click.option("--list", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List recipes and stop.")
def command(
    recipe: str,
    data: Path,
    out: Path,
    changes: tuple[str, ...],
    from_scratch: bool,
    device: str,
    precision: str,
    workers: int,
    threads: int | None,
) -> None:
    """Train RECIPE, the row of a paper's table, or a TOML file of one.

    Stopped by Ctrl-C or otherwise, the same command goes on where it was. Several GPUs: put
    `torchrun --nproc-per-node N -m smearscan.cli.main` in place of `smearscan`.
    """
    import cv2
    import torch

    from smearscan.datasets.registry import load_set
    from smearscan.evaluate.models import check_device
    from smearscan.train.recipes.place import open_place
    from smearscan.train.recipes.run import Session, train_recipe

    cv2.setNumThreads(0)  # its threads do not survive the fork of the workers
    if threads:
        torch.set_num_threads(threads)
    if from_scratch:
        changes = (*changes, "pretrained=false")
    check_device(device)
    asked, members = _recipes(recipe, changes)
    sample_set = load_set(asked.set, data)
    place = open_place(device, precision)  # type: ignore[arg-type]  # click has checked the choice
    try:
        with place, Progress(f"training {asked.name}") as progress:
            # One of several processes speaks for all.
            session = Session(place, n_workers=workers)
            if place.is_first:
                session = replace(session, report=progress.update, say=progress.line)
            alike = _alike(asked, sample_set, out, progress) if place.is_first else None
            tested = train_recipe(asked, sample_set, out, session, members=members, alike=place.agreed(alike))
    except KeyboardInterrupt:
        click.echo(f"stopped; the same command goes on from {out}", err=True)
        sys.exit(_INTERRUPTED)
    if place.is_first:
        n = sum(len(one.division.test) for one in tested)
        told = f"tested on {n} images; see metrics.md" if n else "nothing with a label to test on; see predictions.csv"
        click.echo(f"{out}: {len(tested)} model(s), {told}")


def _recipes(name: str, changes: Sequence[str]) -> tuple[Recipe, list[Recipe]]:
    """The recipe and its members; `MEMBER.key=value` changes one member, all else but the network all of them."""
    from smearscan.train.recipes.load import load_recipe

    names = load_recipe(name, [change for change in changes if change.startswith("members")]).members
    owned = tuple(f"{member}." for member in names)
    common = [change for change in changes if not (owned and change.startswith(owned))]
    asked = load_recipe(name, common)
    shared = [change for change in common if not change.startswith(("members", "network", "options"))]
    members = []
    for member in names:
        own = [change.removeprefix(f"{member}.") for change in changes if change.startswith(f"{member}.")]
        members.append(load_recipe(member, (*shared, f'set="{asked.set}"', *own)))
    return asked, members


def _alike(recipe: Recipe, sample_set: SampleSet, out: Path, progress: Progress) -> list[list[str]]:
    """Groups of images that show the same, kept beside the run as long as the files stay; a leaky protocol asks not."""
    import json

    from smearscan.datasets.duplicates import find_duplicates
    from smearscan.datasets.files import fingerprint
    from smearscan.report.atomic import make_folder, write_bytes

    if "leaky" in recipe.split.protocol:
        return []
    path, files = out / "alike.json", fingerprint(sample_set)
    if path.exists() and (kept := json.loads(path.read_text("utf-8"))).get("files") == files:
        found: list[list[str]] = kept["groups"]
        return found
    groups = find_duplicates(sample_set, progress=lambda n, total: progress.update(n, total, "looking for duplicates"))
    found = [list(paths) for paths in groups.groups]
    make_folder(out)
    write_bytes(path, json.dumps({"files": files, "groups": found}, indent=1).encode())
    return found
