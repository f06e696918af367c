"""How commands print: tables for people, JSON and YAML for programs. Colours on a terminal only."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])
Format = Literal["table", "wide", "json", "yaml"]
FORMATS = ("table", "wide", "json", "yaml")

BAD, SOSO, GOOD = "bold red", "yellow", "green"
"""Styles of what is wrong, of what deserves a look, and of what is as it should be."""

WIDTH = 10_000
"""Columns that tables may take: none is cut or folded, a terminal wraps lines that are longer than it is wide."""


def output_option(command: F) -> F:
    """Give a command `-o`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="Format of the answer: a table, a table with more columns (wide), or all there is as json or yaml.",
    )(command)


def print_data(value: Any, output: Format) -> None:
    """Print a Struct as JSON or YAML."""
    import msgspec

    if output == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
        return
    import yaml

    tree = msgspec.to_builtins(value, str_keys=True)
    click.echo(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=110), nl=False)


def print_text(parts: "Iterable[RenderableType]") -> None:
    """Print what people read."""
    printer = console()
    for part in parts:
        printer.print(part)


def console() -> "Console":
    """Standard output, with colours on a terminal only."""
    from rich.console import Console

    return Console(width=WIDTH, highlight=False, markup=False, emoji=False)


def plain_table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """A table without lines, as kubectl prints them; the columns in `right` are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    return table
