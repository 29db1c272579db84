"""`smearscan models`."""

from __future__ import annotations

import sys

import click


@click.group("models")
def command() -> None:
    """Networks that can be built, and packages that are trained."""


@command.command("list")
def list_all() -> None:
    """List every network with its parameters, input and paper, then all that is trained and has a card."""
    from rich.console import Console
    from rich.table import Table

    from smearscan.models import list_packages
    from smearscan.models.cards import read_card
    from smearscan.models.overview import network_rows, other_cards
    from smearscan.resources import configs_folder

    networks = Table(title="networks", box=None, title_justify="left")
    for column in ("key", "parameters", "input", "paper"):
        networks.add_column(column, justify="right" if column == "parameters" else "left", no_wrap=True)
    for row in network_rows():
        networks.add_row(*row)
    packages = Table(title="trained packages", box=None, title_justify="left")
    for column in ("name", "network", "classes", "summary"):
        packages.add_column(column)
    for name in list_packages():
        card = read_card(configs_folder() / "cards" / f"{name}.toml")
        packages.add_row(name, card.network, " ".join(card.classes), card.summary)
    others = Table(title="trained beside them, to find and to outline cells", box=None, title_justify="left")
    for column in ("name", "what it gives"):
        others.add_column(column)
    for name, task in other_cards():
        others.add_row(name, task)
    # Written to a file or a pipe a table is not cut to the width of no terminal.
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(networks)
    console.print(packages)
    console.print(others)


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Show the card of a trained package: on what it was trained, how well it does, what it is not for."""
    from smearscan.models.packages import shipped_card

    click.echo(shipped_card(name).read_text("utf-8"))
