"""`spotmix watch`."""

from typing import TYPE_CHECKING, Literal

import click

from extender.cli.cluster import all_namespaces_option
from extender.cli.connection import connection_options
from extender.cli.help import COMMON_EXIT_CODES, INTERRUPTED, Command
from extender.cli.objects import object_argument, parts_of
from extender.cli.options import options_of, settings_from
from extender.cli.output import note
from extender.cli.service import Target, namespace_meant, service_options
from extender.core.model.reasons import OBSTACLES, OF_DECISIONS, Reason

if TYPE_CHECKING:
    from extender.cli.watch_follow import Narrowing

MOST = 10_000
_REASONS = {str(reason): reason for reason in OF_DECISIONS if reason not in (Reason.UNMANAGED, *OBSTACLES)}


@click.command(
    cls=Command,
    examples=(
        "spotmix watch -A",
        "spotmix watch deploy/web -n shop --last 20",
        "spotmix watch -A --reason fallback --reason wait-class -o json",
    ),
    exit_codes={
        1: "there is no running Spotmix, or it refuses",
        2: COMMON_EXIT_CODES[2],
        INTERRUPTED: "stopped by Ctrl-C",
    },
)
@object_argument(required=False)
@all_namespaces_option
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice(list(_REASONS)),
    metavar="REASON",
    help=f"Only decisions for this reason, one of {', '.join(_REASONS)}. May be repeated.",
)
@click.option(
    "--class",
    "classes",
    multiple=True,
    metavar="CLASS",
    help="Only decisions in which this class of nodes, spot or on-demand, was wanted or given. May be repeated.",
)
@click.option(
    "--last",
    type=click.IntRange(0, MOST),
    default=0,
    metavar="COUNT",
    show_default=True,
    help="Show this many of the last decisions first, as far as they are kept.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="Format of a decision: a line of a table, or a JSON object on a line.",
)
@service_options
@connection_options
@options_of("kubeconfig", "context")
def watch(
    config_file: str,
    what: str,
    name: str,
    namespace: str,
    target: Target,
    *,
    all_namespaces: bool,
    reasons: tuple[str, ...],
    classes: tuple[str, ...],
    last: int,
    output: Literal["table", "json"],
    **given: str | None,
) -> None:
    """Show the decisions of a running Spotmix as it makes them, a line each, until Ctrl-C.

    A decision says which class of nodes a pod was to go to, which one it got, and why. TYPE/NAME is a pod or a
    workload, as of `spotmix explain`; without it all decisions in the namespace are shown.

    The running Spotmix is found through the kubeconfig. When the connection is lost it is looked for again, and what it
    decided meanwhile is shown as far as it is kept. Standard error says so, and says how many decisions were lost.
    """
    from extender.cli.interrupt import until_interrupted
    from extender.cli.watch_follow import Watching
    from extender.cli.watch_text import Lines

    settings = settings_from(config_file, given)
    meant = namespace_meant(settings, target, namespace, all_namespaces=all_namespaces)
    wanted = _wanted(what, name, meant, classes, reasons)
    watching = Watching(target, settings, wanted, Lines(as_json=output == "json"), note)
    until_interrupted(watching.run(last))


def _wanted(what: str, name: str, namespace: str, classes: tuple[str, ...], reasons: tuple[str, ...]) -> "Narrowing":
    from extender.cli.watch_follow import Narrowing
    from extender.core.state.lookup import kind_named

    kind, pod = "", ""
    if what or name:
        kind, name = parts_of(what, name)
        if kind_named(kind) == ("pod", ""):
            kind, pod, name = "", name, ""
    return Narrowing(namespace, kind, name, pod, classes, tuple(_REASONS[each] for each in reasons))
