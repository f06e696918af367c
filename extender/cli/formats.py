"""How an answer is printed: `-o` and `--no-headers`, as kubectl has them."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem
from msgspec import Struct

from extender.cli.jsonpath import JsonPathError, Part, Path, read_path, read_template, render, text_of
from extender.cli.output import plain_table, print_data, print_exactly, print_line, print_text

if TYPE_CHECKING:
    from extender.cli.output import Part as Printed

F = TypeVar("F", bound=Callable[..., Any])

JSONPATH, COLUMNS = "jsonpath=", "custom-columns="
FORMATS = ("table", "wide", "json", "yaml", "name")
_ALL = (*FORMATS, JSONPATH, COLUMNS)
METAVAR = f"[{'|'.join((*FORMATS, f'{JSONPATH}..', f'{COLUMNS}..'))}]"
NOTHING = "<none>"
"""What a column shows of a row that has no such value."""

# A comma between columns is in no bracket.
_COMMA = re.compile(r",(?![^\[]*\])")


class Column(Struct, frozen=True):
    """A column that was asked for."""

    title: str
    path: Path


class Output(Struct, frozen=True):
    """How to print an answer.

    Attributes:
        name: one of `FORMATS`; `jsonpath` and `custom-columns` go by `template` and `columns`.
        template: of `jsonpath`.
        columns: of `custom-columns`.
        headers: whether tables have them, and sentences stand around tables.
    """

    name: str = "table"
    template: tuple[Part, ...] = ()
    columns: tuple[Column, ...] = ()
    headers: bool = True

    @property
    def wide(self) -> bool:
        return self.name == "wide"


class OutputType(click.ParamType[Output]):
    """The value of `-o`."""

    name = "format"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        """Read it; what is none is a usage error."""
        if isinstance(value, Output):
            return value
        try:
            return _read(value)
        except JsonPathError as error:
            self.fail(f"{value.partition('=')[0]}: {error}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The formats that begin so."""
        return [CompletionItem(each) for each in _ALL if each.startswith(incomplete)]


def _read(value: str) -> Output:
    if value in FORMATS:
        return Output(value)
    if value.startswith(JSONPATH):
        return Output("jsonpath", template=read_template(value.removeprefix(JSONPATH)))
    if value.startswith(COLUMNS):
        return Output("custom-columns", columns=tuple(map(_column, _COMMA.split(value.removeprefix(COLUMNS)))))
    raise JsonPathError(f"is no format; write one of {', '.join(FORMATS)}, {JSONPATH}TEMPLATE, {COLUMNS}TITLE:PATH,..")


def _column(text: str) -> Column:
    title, _, path = text.partition(":")
    if not title or not path:
        raise JsonPathError(f"{text!r} is no column; write TITLE:PATH, such as NAME:.name")
    return Column(title, read_path(path))


def output_option(command: F) -> F:
    """Give a command `-o` and `--no-headers`, as one argument `output`."""

    @functools.wraps(command)
    def bundled(*args: Any, output: Output, no_headers: bool, **given: Any) -> Any:
        told = Output(output.name, output.template, output.columns, headers=not no_headers)
        return command(*args, output=told, **given)

    option = click.option(
        "-o",
        "--output",
        type=OutputType(),
        default="table",
        show_default=True,
        metavar=METAVAR,
        help="Format of the answer: a table, a table with more columns (wide), all there is as json or yaml, names as "
        "TYPE/NAME, or what a JSONPath finds as kubectl writes it: in a template over all there is as json, such as "
        "jsonpath='{.at}', or a column each for every row, such as custom-columns=WHO:.name,AT:.node.",
    )
    headers = click.option(
        "--no-headers", is_flag=True, help="Print the rows of tables alone, without headers and sentences."
    )
    return option(headers(bundled))  # type: ignore[return-value]  # what it is called with is what click gives


def type_name(kind: str, name: str) -> str:
    """TYPE/NAME, which kubectl and our own commands understand."""
    return f"{kind.lower()}/{name}"


def print_answer(
    output: Output, answer: Any, rows: Sequence[tuple[str, Any]], tables: "Callable[[], Iterable[Printed]]"
) -> None:
    """Print an answer.

    Args:
        output: how.
        answer: all there is, a Struct or what JSON may hold.
        rows: what it tells of, one by one, each with its TYPE/NAME.
        tables: what people read, made when it is wanted.
    """
    if output.name in ("json", "yaml"):
        print_data(answer, output.name)
    elif output.name == "name":
        for name, _ in rows:
            print_line(name)
    elif output.name == "jsonpath":
        tree = _tree(answer)
        print_exactly(render(output.template, tree, tree))
    elif output.name == "custom-columns":
        table = plain_table(*(column.title for column in output.columns))
        for _, row in rows:
            tree = _tree(row)
            found = (column.path.find(tree, tree) for column in output.columns)
            table.add_row(*(",".join(map(text_of, values)) or NOTHING for values in found))
        print_text([table], headers=output.headers)
    else:
        print_text(tables(), headers=output.headers)


def _tree(value: Any) -> Any:
    """What `-o json` prints, as JSON's own types."""
    import msgspec

    return msgspec.json.decode(msgspec.json.encode(value))
