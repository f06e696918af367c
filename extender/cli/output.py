"""How commands print: tables for people, JSON and YAML for programs. Colours on a terminal only.

All that commands print goes through here, and so does all foreign text in it: ruff refuses other ways to print.
"""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from extender.core.model.foreign import json_escaped, plain, shown, shown_lines

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Part: TypeAlias = "Table | Text"
"""What is printed at a time."""

BAD, SOSO, GOOD = "bold red", "yellow", "green"
"""Styles of what is wrong, of what deserves a look, and of what is as it should be."""

WIDTH = 10_000
"""Columns that tables may take: none is cut or folded, a terminal wraps lines that are longer than it is wide."""


def print_data(value: Any, output: str) -> None:
    """Print a Struct as `json`, or else as YAML."""
    import msgspec

    if output == "json":
        print_json(value, indent=2)
        return
    import yaml

    tree = msgspec.to_builtins(value, str_keys=True)
    # What is not ASCII is escaped: nothing else in YAML would keep a terminal from obeying it.
    click.echo(yaml.safe_dump(tree, sort_keys=False, width=110), nl=False)


def print_json(value: Any, *, indent: int = -1) -> None:
    """Print a Struct as JSON: by default on a line, else indented. Texts are all there, what is not plain escaped."""
    import msgspec

    text = msgspec.json.encode(value).decode()
    if indent >= 0:
        text = msgspec.json.format(text, indent=indent)
    click.echo("".join(each if plain(each) or each == "\n" else json_escaped(each) for each in text))


def print_file(text: str) -> None:
    """Print a file, byte for byte unless a terminal is what reads it."""
    if sys.stdout.isatty():
        lines = (shown(line.expandtabs(), len(text)) for line in text.replace("\r\n", "\n").split("\n"))
        click.echo("\n".join(lines), nl=False)
    else:
        click.echo(text.encode(), nl=False)


def print_text(parts: "Iterable[Part]", *, headers: bool = True) -> None:
    """Print what people read; without `headers` the rows of tables alone."""
    from rich.table import Table

    screen = Screen()
    for part in parts:
        if isinstance(part, Table):
            part.show_header = part.show_header and headers
        if headers or isinstance(part, Table):
            screen.print(part)


def print_exactly(text: str) -> None:
    """Print a text of which all that is foreign was made visible before, and nothing more."""
    click.echo(text, nl=False)


def print_line(text: str) -> None:
    """Print a line that people read."""
    click.echo(shown(text))


def note(text: str, *, lines: bool = False) -> None:
    """Say something on standard error: on one line, unless it has `lines` of ours."""
    click.echo(f"spotmix: {shown_lines(text) if lines else shown(text)}", err=True)


class Screen:
    """Standard output, with colours on a terminal only. Whatever text it is given is shown as foreign text is.

    Args:
        fit: columns of tables where there is no terminal to fit them to; 0 lets them be as wide as they need.
    """

    def __init__(self, fit: int = 0) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, markup=False, emoji=False)
        if not (fit and self._console.is_terminal):
            self._console.width = fit or WIDTH

    def print(self, part: "Part") -> None:
        """Print it, from a line of its own on."""
        from rich.table import Table

        if isinstance(part, Table):
            _clean_table(part)
            self._console.print(part)
        else:
            self._console.print(_clean(part))


@contextlib.contextmanager
def bar(title: str) -> "Iterator[Callable[[float], None]]":
    """A bar on standard error, if that is a terminal; it is told how much is done, from 0 to 1."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(shown(title), total=1.0)
        yield lambda done: progress.update(task, completed=done)


def _clean(text: "str | Text") -> "Text":
    """As it is, if there is nothing in it that has to be made visible; else without its colours."""
    from rich.text import Text

    if isinstance(text, str):
        return Text(shown(text))
    safe = shown(text.plain)
    return text if safe == text.plain else Text(safe, style=text.style)


def _clean_table(table: "Table") -> None:
    if table.title:
        table.title = _clean(_text(table.title))
    for column in table.columns:
        column.header = _clean(_text(column.header))
        column._cells = [_clean(_text(cell)) for cell in column._cells]  # noqa: SLF001 - rich has no other way


def _text(cell: "RenderableType") -> "str | Text":
    from rich.text import Text

    if not isinstance(cell, str | Text):
        raise TypeError(f"tables of ours have texts alone, not {type(cell).__name__}")
    return cell


def plain_table(*columns: str, right: Iterable[str] = ()) -> "Table":
    """A table without lines, as kubectl prints them; the columns in `right` are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    return table
