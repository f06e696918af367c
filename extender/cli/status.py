"""`spotmix status`."""

from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from extender.cli.cluster import cluster_options, see
from extender.cli.connection import connection_options
from extender.cli.formats import Output, output_option, print_answer, type_name
from extender.cli.help import COMMON_EXIT_CODES, INTERRUPTED, Command
from extender.cli.options import settings_from
from extender.cli.service import Target, ask, note_obstacle, service_or_local_options
from extender.cli.wanted import Wanted, wanted, wanted_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from extender.cli.client import Client
    from extender.cli.output import Part
    from extender.cli.questions import StatusAnswer
    from extender.core.answers.overview import Overview, WorkloadRow
    from extender.settings import Settings

ROWS = ("table", "wide", "name", "custom-columns")
"""Formats that show rows, which can go on."""
OFF_TARGET = 3
"""Exit code of `--exit-code` when a workload is not as its owner asked for."""


@click.command(
    cls=Command,
    examples=(
        "spotmix status -A                  # all namespaces",
        "spotmix status -n shop -o wide",
        "spotmix status -A -l team=payments",
        "spotmix status -A -w               # and again as workloads change",
        "spotmix status -A --exit-code      # for scripts: fails when one is off",
    ),
    exit_codes={
        0: "shown",
        **COMMON_EXIT_CODES,
        INTERRUPTED: "with -w, stopped by Ctrl-C",
        OFF_TARGET: "with --exit-code alone: a workload is not as its owner asked for",
    },
)
@wanted_options
@click.option(
    "--exit-code",
    "tells",
    is_flag=True,
    help="End with code 3 when a workload is off its split, has fewer on-demand pods than its policy asks for at "
    "least, or has an invalid policy.",
)
@click.option(
    "-w",
    "--watch",
    "follows",
    is_flag=True,
    help="Go on until Ctrl-C, and show workloads again as they change, looked at every 2 s; asks a running Spotmix.",
)
@output_option
@service_or_local_options
@connection_options
@cluster_options
def status(
    config_file: str,
    namespace: str,
    selector: str,
    target: Target,
    *,
    all_namespaces: bool,
    tells: bool,
    follows: bool,
    output: Output,
    **given: str | None,
) -> None:
    """Show every managed workload with its pods by class of nodes, the worst first.

    Pairs of numbers are pods there / pods wanted. A workload is managed once it, or its Namespace, has the label
    spotmix.io/enabled: "true".

    A running Spotmix is asked, which is found through the kubeconfig. Where there is none, or with --local, the answer
    is computed here from what the kubeconfig lets list. With --config, and with options that say how nodes
    and policies are read, it is computed here too.
    """
    from extender.core.answers.overview import OFF

    if follows and (tells or target.local or output.name not in ROWS):
        raise click.UsageError(
            f"-w goes neither with --exit-code nor with --local, and with -o {', '.join(ROWS)} alone"
        )
    settings = settings_from(config_file, given)
    meant = wanted(settings, target, namespace, selector, all_namespaces=all_namespaces)
    if follows:
        _follow(settings, target, meant, output)
    shown = _seen(settings, config_file, given, target, meant)

    def people() -> "Iterator[Part]":
        from extender.cli.status_text import tables

        return tables(shown, meant.where, wide=output.wide)

    print_answer(output, shown, [(type_name(row.kind, row.name), row) for row in shown.workloads], people)
    off = any(OFF.intersection(row.conditions) for row in shown.workloads)
    click.get_current_context().exit(OFF_TARGET if tells and off else 0)


def _follow(settings: "Settings", target: Target, meant: Wanted, output: Output) -> None:
    """Show workloads as they change, until Ctrl-C."""
    from extender.cli.interrupt import until_interrupted
    from extender.cli.status_follow import follow
    from extender.cli.status_text import Rows

    table = Rows(wide=output.wide)
    headers = output.headers

    def show(shown: "Overview", rows: "Sequence[WorkloadRow]") -> None:
        nonlocal headers
        named = [(type_name(row.kind, row.name), row) for row in rows]
        print_answer(replace(output, headers=headers), rows, named, lambda: [table.table(shown, rows)])
        headers = False

    until_interrupted(follow(target, settings, meant, show))


def _seen(
    settings: "Settings", config_file: str, given: dict[str, str | None], target: Target, meant: Wanted
) -> "Overview":
    """How the workloads that are meant stand."""
    import asyncio

    from extender.core.answers.overview import overview

    async def question(client: "Client") -> "StatusAnswer":
        from extender.cli.questions import workloads

        return await workloads(client, meant)

    answer = asyncio.run(ask(target, settings, {"config_file": config_file, **given}, question))
    if answer is not None:
        note_obstacle(answer.obstacle)
        return answer.overview
    seen = see(config_file, given, meant.namespace)
    seen.note_missing(
        "poddisruptionbudgets.policy", "persistentvolumeclaims", "persistentvolumes", "csinodes.storage.k8s.io"
    )
    return overview(seen.state, seen.now, meant.scope())
