"""`spotmix status`."""

from typing import TYPE_CHECKING

import click

from extender.cli.cluster import cluster_options, see
from extender.cli.output import output_option, print_data, print_text

if TYPE_CHECKING:
    from extender.cli.output import Format

OFF_TARGET = 3
"""Exit code of `--exit-code` when a workload is not as its owner asked for."""


@click.command()
@click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")
@click.option(
    "--exit-code",
    "tells",
    is_flag=True,
    help="End with code 3 when a workload is off its split, below its floor, or its policy is invalid.",
)
@output_option
@cluster_options
def status(
    config_file: str,
    namespace: str,
    *,
    all_namespaces: bool,
    tells: bool,
    output: "Format",
    **given: str | None,
) -> None:
    """Show every managed workload, wanted against actual, worst first.

    All is computed here from what the kubeconfig lets list: Spotmix need not be installed. Numbers are actual/wanted
    pods of each class. Pass --config to read nodes and policies as your service does.

    \b
    Exit code 0: shown; 1: the cluster cannot be reached, or refuses; 2: a flag, the configuration or the kubeconfig is
    wrong; 3, with --exit-code alone: a workload is not as its owner asked for.
    """
    if namespace and all_namespaces:
        raise click.UsageError("-n and -A exclude each other")
    seen = see(config_file, given, namespace)
    from extender.core.overview import OFF, overview  # noqa: PLC0415 - see the package's docstring

    shown = overview(seen.state, seen.now, None if all_namespaces else {seen.namespace})
    if output in ("json", "yaml"):
        print_data(shown, output)
    else:
        from extender.cli.status_tables import tables  # noqa: PLC0415 - likewise

        print_text(tables(shown, "" if all_namespaces else seen.namespace, wide=output == "wide"))
    seen.note_missing("poddisruptionbudgets.policy", "persistentvolumeclaims", "persistentvolumes")
    off = any(OFF.intersection(row.conditions) for row in shown.workloads)
    click.get_current_context().exit(OFF_TARGET if tells and off else 0)
