"""`smearscan evaluate`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from smearscan.cli.given import GivenPath
from smearscan.cli.progress import Progress


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--data", required=True, type=GivenPath(), help="Folder of the set, or a CSV.")
@click.option("--out", required=True, type=GivenPath(), help="Folder for predictions, tables, figures.")
@click.option(
    "--set", "set_name", help="Name of the set (smearscan data list). [default: folder of class folders, CSV]"
)
@click.option(
    "--protocol",
    help="Who is test: all, blocks, subjects-5, ullah-7, phase2, phase3, paper-leaky, … or recorded. "
    "[default: as recorded in training; blocks on taleqani; else all]",
)
@click.option(
    "--ensemble", help="Join the models too: mean, vote, weights as 0.7,0.3, or fitted, stacked on validation."
)
@click.option("--seed", default=0, show_default=True, help="Of random splits.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--cost/--no-cost", "with_cost", default=True, help="Count parameters and operations, time the network.")
@click.option("--figures/--no-figures", "with_figures", default=True, help="Draw ROC, confusion, reliability.")
def command(
    models: tuple[str, ...],
    data: Path,
    out: Path,
    set_name: str | None,
    protocol: str | None,
    ensemble: str | None,
    seed: int,
    device: str,
    with_cost: bool,
    with_figures: bool,
) -> None:
    """Measure trained models on a labelled set.

    MODEL is a shipped package (smearscan models list), the folder or card of one, a folder of packages (one a fold),
    or a checkpoint.
    """
    from smearscan.evaluate.metrics import measure
    from smearscan.evaluate.outcome import title_of
    from smearscan.evaluate.run import Options, evaluate

    options = Options(set_name, protocol, seed, device, with_cost, ensemble, with_figures)
    with Progress("evaluating") as progress:
        outcomes = evaluate(models, data, out, options, progress.update)
    for outcome in outcomes:
        figures = measure(outcome.pooled.scored())
        shown = ("accuracy", "weighted_f1", "auroc")
        line = ", ".join(f"{title_of(name)} {figures[name]:.3f}" for name in shown)
        n = len(outcome.pooled.samples)
        click.echo(f"{outcome.name} on {outcome.set_name}, {outcome.shown_protocol}, {n} images: {line}")
        for sample, why in zip(outcome.pooled.samples, outcome.pooled.reasons, strict=True):
            if why:
                click.echo(f"failed: {sample.path}: {why}", err=True)
    click.echo(f"{out / 'comparison.md'}")
    sys.exit(1 if any(outcome.pooled.n_failed for outcome in outcomes) else 0)
