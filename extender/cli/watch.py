"""`spotmix watch`."""

from typing import TYPE_CHECKING, Literal

import click

from extender.cli.objects import OBJECT, parts_of
from extender.cli.options import options_of, settings_from
from extender.cli.service import Target, default_namespace, service_options
from extender.core.model.reasons import OBSTACLES, OF_DECISIONS, Reason

if TYPE_CHECKING:
    from extender.cli.watch_follow import Wanted

MOST = 10_000
_REASONS = {str(reason): reason for reason in OF_DECISIONS if reason not in (Reason.UNMANAGED, *OBSTACLES)}
INTERRUPTED = 130


@click.command()
@click.argument("what", metavar="[TYPE/NAME]", type=OBJECT, default="")
@click.argument("name", default="", metavar="")
@click.option("-n", "--namespace", default="", metavar="NS", help="Namespace; without it that of the context.")
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice(list(_REASONS)),
    help="Only decisions for this reason; may be repeated.",
)
@click.option(
    "--class", "classes", multiple=True, metavar="CLASS", help="Only where this class was wanted or given; likewise."
)
@click.option("--last", type=click.IntRange(0, MOST), default=0, metavar="N", help="Show the last N decisions first.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="Format; json is an object on each line.",
)
@service_options
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
    """Show decisions as they are made, a line each, until Ctrl-C.

    A running Spotmix is asked, which is found through the kubeconfig. When it is lost it is looked for again, and what
    it decided meanwhile is shown as far as it is kept. Standard error tells of that, and of decisions that were lost.

    \b
    Examples:
      spotmix watch -A
      spotmix watch deploy/web -n shop --last 20
      spotmix watch -A --reason fallback --reason wait-class -o json

    \b
    Exit code 1: there is no service, or it refuses; 2: a flag, the configuration or the kubeconfig is wrong; 130:
    stopped by Ctrl-C.
    """
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")
    import asyncio

    from extender.cli.watch_follow import Watching
    from extender.cli.watch_text import Lines

    settings = settings_from(config_file, given)
    meant = "" if all_namespaces else namespace or default_namespace(settings, target)
    wanted = _wanted(what, name, meant, classes, reasons)
    watching = Watching(target, settings, wanted, Lines(as_json=output == "json"), _note)
    try:
        asyncio.run(watching.run(last))
    except KeyboardInterrupt:
        click.get_current_context().exit(INTERRUPTED)


def _wanted(what: str, name: str, namespace: str, classes: tuple[str, ...], reasons: tuple[str, ...]) -> "Wanted":
    from extender.cli.watch_follow import Wanted
    from extender.core.state.lookup import kind_named

    kind, pod = "", ""
    if what or name:
        kind, name = parts_of(what, name)
        if kind_named(kind) == ("pod", ""):
            kind, pod, name = "", name, ""
    return Wanted(namespace, kind, name, pod, classes, tuple(_REASONS[each] for each in reasons))


def _note(text: str) -> None:
    click.echo(f"spotmix: {text}", err=True)
