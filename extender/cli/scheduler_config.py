"""`spotmix scheduler-config`: the configuration of a kube-scheduler that is to ask Spotmix."""

import difflib
import io
from collections.abc import Iterator, Sequence

import click

from extender.cli.help import CommandGroup
from extender.cli.options import options_of, settings_from
from extender.cli.output import Screen, note, print_file, print_line
from extender.schedulerconfig.scheduler import Remark

SECTIONS = ("schedulerConfig", "extender.addr", "extender.urlPrefix", "extender.tls.cert", "extender.tls.key")
"""The settings that our entry in a scheduler's configuration is made of."""
PIPE_WIDTH = 160
"""Columns of the table where there is no terminal to fit it to."""
STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


@click.group(
    "scheduler-config",
    cls=CommandGroup,
    examples=(
        "spotmix scheduler-config inject FILE --in-place  # the scheduler you run",
        "spotmix scheduler-config render > FILE           # a second scheduler",
        "spotmix scheduler-config check FILE              # is a file right?",
    ),
)
def scheduler_config() -> None:
    """Attach Spotmix to a kube-scheduler, by the scheduler's configuration file.

    The file is that of `kube-scheduler --config`, a KubeSchedulerConfiguration. No cluster is needed.
    """


@scheduler_config.command(
    examples=(
        "spotmix scheduler-config render > scheduler.yaml",
        "spotmix scheduler-config render --scheduler-name batch --scheduler-name web",
        "spotmix scheduler-config render \\",
        "  --scheduler-config-url-prefix https://spotmix.example:8888/scheduler \\",
        "  --scheduler-config-ca-file /etc/spotmix/ca.crt",
    ),
    exit_codes={0: "printed", 2: "a setting or a name is wrong"},
)
@click.option(
    "--scheduler-name",
    "names",
    multiple=True,
    metavar="NAME",
    help="Name by which pods ask for the second scheduler (spec.schedulerName). May be repeated.  [default: spotmix]",
)
@click.option(
    "--lease-name",
    default="",
    metavar="NAME",
    help="Lease by which the second scheduler elects its leader.  [default: the first NAME, with -scheduler]",
)
@click.option(
    "--lease-namespace", default="", metavar="NAMESPACE", help="Namespace of the Lease.  [default: spotmix-system]"
)
@click.option(
    "--scheduler-kubeconfig",
    default="",
    type=click.Path(),
    metavar="FILE",
    help="Kubeconfig of the second scheduler, a path on its machine.  [default: the service account of its pod]",
)
@click.option(
    "--percentage-of-nodes-to-score",
    "percentage",
    type=click.IntRange(1, 100),
    metavar="PERCENT",
    help="Share of the nodes that the second scheduler looks at for a pod.  [default: the scheduler's own choice]",
)
@options_of(*SECTIONS)
def render(
    *,
    names: tuple[str, ...],
    lease_name: str,
    lease_namespace: str,
    scheduler_kubeconfig: str,
    percentage: int | None,
    config_file: str,
    **given: str | None,
) -> None:
    """Print a complete configuration for a second kube-scheduler that asks Spotmix.

    Comments in it say why each line is there. Where Spotmix listens is taken from the settings, as `spotmix serve`
    takes them; --scheduler-config-url-prefix gives the address where the scheduler reaches it by another one.
    """
    from extender.schedulerconfig.render import (
        LEASE_NAMESPACE,
        SCHEDULER_NAME,
    )
    from extender.schedulerconfig.render import render as rendered
    from extender.settings import stanza_from

    text = rendered(
        stanza_from(settings_from(config_file, given)),
        names or (SCHEDULER_NAME,),
        lease_name=lease_name,
        lease_namespace=lease_namespace or LEASE_NAMESPACE,
        kubeconfig=scheduler_kubeconfig,
        percentage=percentage,
    )
    print_file(text)


@scheduler_config.command(
    examples=(
        "spotmix scheduler-config inject scheduler.yaml --diff",
        "spotmix scheduler-config inject /etc/kubernetes/scheduler.yaml --in-place",
        r"kubectl -n kube-system get cm scheduler -o jsonpath='{.data.config\.yaml}' |",
        "  spotmix scheduler-config inject -",
    ),
    exit_codes={0: "done, or nothing to do", 2: "FILE or a setting is wrong; nothing is written"},
)
@click.argument("file")
@click.option("--in-place", is_flag=True, help="Replace FILE, in one step; it is not touched when nothing changes.")
@click.option("--diff", is_flag=True, help="Print what changes, as a unified diff, instead of the result.")
@options_of(*SECTIONS)
def inject(*, file: str, in_place: bool, diff: bool, config_file: str, **given: str | None) -> None:
    """Put Spotmix's entry into the scheduler configuration in FILE, or in standard input for `-`.

    An entry of ours that is there is brought up to date. Other extenders, fields, comments and the order of lines stay
    as they are; YAML stays YAML and JSON stays JSON. Of several YAML documents those of kind KubeSchedulerConfiguration
    are changed, others are left alone. The result goes to standard output, what was done to standard error.
    """
    from extender.cli.textfile import STDIN, read_text, replace_text
    from extender.core.model.errors import WireError
    from extender.schedulerconfig.inject import injected
    from extender.settings import stanza_from

    if in_place and file == STDIN:
        raise click.UsageError("--in-place needs a file; standard input cannot be replaced")
    stanza = stanza_from(settings_from(config_file, given))
    before = read_text(file)
    name = "standard input" if file == STDIN else file
    try:
        result = injected(before, stanza)
    except WireError as error:
        raise WireError(f"{name}: {error}") from error
    if in_place and result.changes:
        replace_text(file, result.text)
    if diff:
        print_file("".join(_diff(before, result.text, name)))
    elif not in_place:
        print_file(result.text)
    for change in result.changes:
        note(f"{name}: {change}")
    if not result.configurations:
        note(f"{name}: holds no KubeSchedulerConfiguration, so nothing is changed")
    elif not result.changes:
        note(f"{name}: our extender is there and up to date, so nothing is changed")


def _diff(before: str, after: str, name: str) -> Iterator[str]:
    lines = [io.StringIO(text, newline="\n").readlines() for text in (before, after)]
    for line in difflib.unified_diff(lines[0], lines[1], f"{name} (before)", f"{name} (after)"):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


@scheduler_config.command(
    examples=(
        "spotmix scheduler-config check /etc/kubernetes/scheduler.yaml",
        "spotmix scheduler-config render | spotmix scheduler-config check -",
    ),
    exit_codes={0: "no error", 1: "at least one error", 2: "FILE is invalid, or a setting is wrong"},
)
@click.argument("file")
@click.option(
    "--own-scheduler-name",
    default="default-scheduler",
    show_default=True,
    metavar="NAME",
    help="Scheduler of Spotmix's own pods (their spec.schedulerName), which must not have to wait for Spotmix.",
)
@options_of(*SECTIONS)
@click.pass_context
def check(
    context: click.Context, /, *, file: str, own_scheduler_name: str, config_file: str, **given: str | None
) -> None:
    """Say what would go wrong with the scheduler configuration in FILE, or in standard input for `-`.

    An error keeps Spotmix from doing its work, or the scheduler from starting; a warning may do harm; an info names a
    choice and what it means. Every finding has its line, and says what to do.
    """
    from extender.cli.textfile import STDIN, read_text
    from extender.core.model.errors import WireError
    from extender.schedulerconfig.check import check as checked
    from extender.settings import stanza_from

    stanza = stanza_from(settings_from(config_file, given))
    name = "standard input" if file == STDIN else file
    try:
        findings = checked(read_text(file), stanza, own_scheduler_name)
    except WireError as error:
        raise WireError(f"{name}: {error}") from error
    _print(findings)
    counts = {severity: sum(finding.severity == severity for finding in findings) for severity in STYLES}
    print_line(f"{name}: " + ", ".join(f"{severity}s: {count}" for severity, count in counts.items()))
    context.exit(1 if counts["error"] else 0)


def _print(findings: Sequence[Remark]) -> None:
    if not findings:
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("line", justify="right")
    table.add_column("severity")
    table.add_column("field", overflow="fold")
    table.add_column("finding", overflow="fold", ratio=1)
    for finding in findings:
        severity = Text(finding.severity, style=STYLES[finding.severity])
        table.add_row(str(finding.line), severity, Text(finding.field), Text(finding.text))
    Screen(fit=PIPE_WIDTH).print(table)
