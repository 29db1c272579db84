"""`smearscan`: one command line for all parts; each command is imported only when it runs."""

from __future__ import annotations

from importlib import import_module, metadata

import click

from smearscan import __version__

#: Command → module and its short help: `--help` must not import torch to print a line.
_COMMANDS = {
    "screen": ("smearscan.cli.screen", "Screen smears: a report and tables for every patient."),
    "detect": ("smearscan.cli.detect", "Find leukocytes: a CSV of boxes."),
    "classify": ("smearscan.cli.classify", "Judge ready-made images of single cells."),
    "synth": ("smearscan.cli.synth", "Draw a synthetic smear with known truth."),
    "models": ("smearscan.cli.models", "List networks and trained packages, show a model card."),
    "train": ("smearscan.cli.train", "Train a recipe of a paper on a labelled set."),
    "evaluate": ("smearscan.cli.evaluate", "Measure trained models on a labelled set: tables, intervals, figures."),
    "explain": ("smearscan.cli.explain", "Draw where trained models look: Grad-CAM, attention, maps."),
    "data": ("smearscan.cli.data", "Check a labelled set on disk, list the sets that are known."),
    "doctor": ("smearscan.cli.doctor", "Say what is installed, what is missing, and the remedy."),
}


class _Refusal(click.ClickException):
    """An error of ours: one line that names the file and the remedy, no traceback."""

    exit_code = 2


class _Lazy(click.Group):
    """Commands of this package, and those that others add under the entry point smearscan.commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *sorted(_added())]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in _COMMANDS:
            command = import_module(_COMMANDS[name][0]).command
        elif name in (added := _added()):
            command = added[name].load()
        else:
            return None
        if not isinstance(command, click.Command):
            raise TypeError(f"{name} is not a click command")
        return command

    def invoke(self, ctx: click.Context) -> object:
        from smearscan.errors import SmearscanError

        try:
            return super().invoke(ctx)
        except SmearscanError as error:
            raise _Refusal(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, help_text) for name, (_, help_text) in _COMMANDS.items()]
        rows += [(name, _short_help(point)) for name, point in sorted(_added().items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _short_help(point: metadata.EntryPoint) -> str:
    if point.dist is None or point.dist.name != "smearscan":
        return f"added by {point.dist.name if point.dist else point.module}"
    # Our own are cheap to import: what is heavy in them is imported when they run.
    return str(point.load().get_short_help_str(100))


def _added() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group="smearscan.commands")}


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="smearscan")
def cli() -> None:
    """Screening for acute lymphoblastic leukaemia from whole blood-smear images.

    Research use; not a medical device.
    """


def main() -> None:
    """Run the command line."""
    cli()


if __name__ == "__main__":
    main()
