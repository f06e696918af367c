"""How help texts are laid out: options under headings, then the values they take, examples and exit codes.

Texts are wrapped to the terminal, up to `WIDTH` columns, and never within a word, so that what is shown can be copied.
"""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from msgspec import Struct

from extender.core.model.foreign import shown_lines

WIDTH = 120
"""Columns that help texts take at most, however wide the terminal is."""

COMMON_EXIT_CODES: Mapping[int, str] = {
    1: "the cluster or the service cannot be reached, or refuses",
    2: "an option, the configuration or the kubeconfig is wrong",
}
"""What the exit codes of commands mean that look at a cluster."""


INTERRUPTED = 130
"""Exit code of commands that run on, when Ctrl-C stops them."""


class Heading(Struct, frozen=True):
    """What options stand under.

    Attributes:
        title: the heading itself.
        text: what they are about, in sentences; may be empty.
        preface: what is said once before the first of several headings that have the same preface; may be empty.
    """

    title: str
    text: str = ""
    preface: str = ""


OPTIONS = Heading("Options")


class HeadedOption(click.Option):
    """An option that stands under a heading.

    Args:
        heading: that heading.
        value: how a value is written, for the list at the end of the help; empty leaves its metavar out of that list.
        *args: as of `click.Option`.
        **kwargs: likewise.
    """

    def __init__(self, *args: Any, heading: Heading, value: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading
        self.value = value


class HelpFormatter(click.HelpFormatter):
    """Wraps between words only; click's own also breaks at hyphens, as in `--dry-` and `run`."""

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        paragraphs = (self._wrapped(each, self.current_indent) for each in text.split("\n\n"))
        self.write("\n\n".join(paragraphs) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write terms and what they mean, beside each other where the term has at most `col_max` columns."""
        rows = list(rows)
        column = min(max((len(term) for term, _ in rows), default=0), col_max) + col_spacing
        for term, meaning in rows:
            text = "\n".join(self._wrapped(line, self.current_indent + column) for line in meaning.split("\n"))
            head = " " * self.current_indent + term
            if len(term) + col_spacing > column:
                self.write(f"{head}\n{text}\n")
            else:
                self.write(f"{head}{text[len(head) :]}\n")

    def _wrapped(self, text: str, indent: int) -> str:
        return textwrap.fill(
            text,
            max(self.width, indent + 20),
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
            break_on_hyphens=False,
            break_long_words=False,
        )


class HelpContext(click.Context):
    """Makes help texts with our formatter."""

    formatter_class = HelpFormatter


class Command(click.Command):
    """A command whose help has headings, examples and exit codes.

    Args:
        examples: lines that show how it is used, as they are typed.
        samples: files that it reads, each a text by what it shows.
        exit_codes: what they mean.
        *args: as of `click.Command`.
        **kwargs: likewise.
    """

    context_class = HelpContext

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        samples: Mapping[str, str] | None = None,
        exit_codes: Mapping[int, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.samples = samples or {}
        self.exit_codes = exit_codes or {}

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the command does, and examples."""
        super().format_help_text(ctx, formatter)
        _write_lines("Examples", self.examples, formatter)
        for title, text in self.samples.items():
            _write_lines(title, text.splitlines(), formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options by heading, then how values are written."""
        groups: dict[Heading, list[tuple[str, str]]] = {OPTIONS: []}
        values: dict[str, str] = {}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is None or not isinstance(option, click.Option):
                continue
            heading = option.heading if isinstance(option, HeadedOption) else OPTIONS
            groups.setdefault(heading, []).append(record)
            if isinstance(option, HeadedOption) and option.value:
                values[option.make_metavar(ctx)] = option.value
        preface = ""
        for heading, records in groups.items():
            if heading.preface and heading.preface != preface:
                preface = heading.preface
                formatter.write_paragraph()
                formatter.write_text(preface)
            with formatter.section(heading.title):
                if heading.text:
                    formatter.write_text(heading.text)
                    formatter.write_paragraph()
                formatter.write_dl(records, **({} if heading is OPTIONS else {"col_max": 4}))
        if values:
            with formatter.section("Values"):
                formatter.write_dl(sorted(values.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What exit codes mean."""
        super().format_epilog(ctx, formatter)
        if self.exit_codes:
            with formatter.section("Exit codes"):
                formatter.write_dl([(str(code), meaning) for code, meaning in sorted(self.exit_codes.items())])


class CommandGroup(click.Group):
    """A group of commands, whose summaries are shown whole.

    Args:
        examples: lines that show what there is to do, as they are typed.
        *args: as of `click.Group`.
        **kwargs: likewise.
    """

    context_class = HelpContext
    command_class = Command

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; click prints what is wrong with its arguments, which may come from elsewhere."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = shown_lines(error.message)  # type: ignore[misc]  # click has no other way
            raise

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What the commands do together, and examples."""
        super().format_help_text(ctx, formatter)
        _write_lines("Examples", self.examples, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Each command with its summary, in the order in which they were added."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary_of(command)) for name, command in self.commands.items()])


def summary_of(command: click.Command) -> str:
    """The first paragraph of a command's help, on one line."""
    return " ".join((command.help or "").partition("\n\n")[0].split())


def _write_lines(title: str, lines: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write lines as they are, under a title."""
    if lines:
        with formatter.section(title):
            formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in lines))
