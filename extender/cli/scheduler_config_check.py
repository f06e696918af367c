"""`spotmix scheduler-config check`."""

from collections.abc import Sequence

import click

from extender.cli.options import options_of, settings_from
from extender.cli.scheduler_config_render import SECTIONS
from extender.schedulerconfig.scheduler import Finding

PIPE_WIDTH = 160
"""Columns of the table where there is no terminal to fit it to."""
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


@click.command()
@click.argument("file")
@click.option(
    "--own-scheduler-name",
    default="default-scheduler",
    show_default=True,
    metavar="NAME",
    help="spec.schedulerName of Spotmix's own pods.",
)
@options_of(*SECTIONS)
@click.pass_context
def check(
    context: click.Context, /, *, file: str, own_scheduler_name: str, config_file: str, **given: str | None
) -> None:
    """Say what would hurt in the scheduler configuration in FILE, or in standard input for `-`.

    An error keeps Spotmix from doing its work, or the scheduler from starting; a warning may hurt; an info names a
    choice and what it means. Every finding has its line, and says what to do.

    \b
    Exit code 0: no error; 1: at least one error; 2: FILE is invalid, or a setting is wrong.

    \b
    Examples:
      spotmix scheduler-config check /etc/kubernetes/spotmix/scheduler.yaml
      spotmix scheduler-config render | spotmix scheduler-config check -
    """
    from extender.cli.textfile import STDIN, read_text  # noqa: PLC0415 - see the package's docstring
    from extender.core.model.errors import WireError  # noqa: PLC0415 - likewise
    from extender.schedulerconfig.check import check as checked  # noqa: PLC0415 - likewise
    from extender.settings import stanza_from  # noqa: PLC0415 - likewise

    stanza = stanza_from(settings_from(config_file, given))
    name = "standard input" if file == STDIN else file
    try:
        findings = checked(read_text(file), stanza, own_scheduler_name)
    except WireError as error:
        raise WireError(f"{name}: {error}") from error
    _print(findings)
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in STYLES}
    click.echo(f"{name}: " + ", ".join(f"{severity}s: {count}" for severity, count in counts.items()))
    context.exit(1 if counts["error"] else 0)


def _print(findings: Sequence[Finding]) -> None:
    if not findings:
        return
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - see the package's docstring
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("line", justify="right")
    table.add_column("severity")
    table.add_column("field", overflow="fold")
    table.add_column("finding", overflow="fold", ratio=1)
    for finding in findings:
        severity = Text(finding.severity, style=STYLES[finding.severity])
        table.add_row(str(finding.line), severity, Text(finding.field), Text(finding.text))
    console = Console()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    console.print(table)
