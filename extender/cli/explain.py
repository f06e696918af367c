"""`spotmix explain`."""

from typing import TYPE_CHECKING

import click

from extender.cli.cluster import Seen, cluster_options, not_found, see
from extender.cli.output import output_option, print_data, print_text

if TYPE_CHECKING:
    from extender.cli.output import Format
    from extender.core.detail import WorkloadExplanation
    from extender.core.explain import PodExplanation


@click.command()
@click.argument("what", metavar="TYPE/NAME")
@click.argument("name", default="", metavar="")
@output_option
@cluster_options
def explain(config_file: str, what: str, name: str, namespace: str, *, output: "Format", **given: str | None) -> None:
    """Say why a pod is where it is or waits, or how a workload stands.

    TYPE is pod, deploy, sts, rs, job, cronjob, rc or any kind that owns pods, also with its group
    (rollouts.argoproj.io/NAME); TYPE NAME will do as well. All is computed here from what the kubeconfig lets list, so
    that Spotmix need not be installed: what would be decided now, not what was.

    \b
    Examples:
      spotmix explain pod/web-7d4b9c6f5d-x2x9l
      spotmix explain deploy/web -n shop -o wide
      kubectl spotmix explain sts db

    \b
    Exit code 0: explained; 1: no such object, or the cluster cannot be reached or refuses; 2: a flag, the configuration
    or the kubeconfig is wrong.
    """
    kind, _, rest = what.partition("/")
    if bool(rest) == bool(name) or not kind:
        raise click.UsageError(f"{what!r} is no TYPE/NAME: write pod/NAME or deploy/NAME")
    seen = see(config_file, given, namespace)
    explained = _explained(seen, kind, rest or name)
    if output in ("json", "yaml"):
        print_data(explained, output)
    else:
        from extender.cli.explain_text import text_of  # noqa: PLC0415 - see the package's docstring

        print_text(text_of(explained, seen.now, wide=output == "wide"))
    seen.note_missing("poddisruptionbudgets.policy")


def _explained(seen: Seen, kind_text: str, name: str) -> "PodExplanation | WorkloadExplanation":
    from extender.core.detail import explain_owner  # noqa: PLC0415 - see the package's docstring
    from extender.core.explain import explain_pod  # noqa: PLC0415 - likewise
    from extender.core.lookup import find_owner, find_pod, kind_named  # noqa: PLC0415 - likewise

    kind, group = kind_named(kind_text)
    if (kind, group) == ("pod", ""):
        pod = find_pod(seen.state, seen.namespace, name)
        if pod is not None:
            return explain_pod(seen.state, pod, seen.now)
    else:
        owner = find_owner(seen.state, kind, group, seen.namespace, name)
        if owner is not None:
            return explain_owner(seen.state, owner, seen.now)
    raise not_found(seen, kind, group, name)
