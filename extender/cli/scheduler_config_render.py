"""`spotmix scheduler-config render`."""

import click

from extender.cli.options import options_of, settings_from

SECTIONS = ("schedulerConfig", "extender.addr", "extender.urlPrefix", "extender.tls.cert", "extender.tls.key")
"""The settings that our entry in a scheduler's configuration is made of."""


@click.command()
@click.option(
    "--scheduler-name",
    "names",
    multiple=True,
    metavar="NAME",
    help="spec.schedulerName of the pods it schedules; may be repeated. [default: spotmix]",
)
@click.option("--lease-name", default="", metavar="NAME", help="Lease of its own. [default: NAME-scheduler]")
@click.option("--lease-namespace", default="", metavar="NAME", help="Namespace of the Lease. [default: spotmix-system]")
@click.option(
    "--scheduler-kubeconfig",
    default="",
    metavar="FILE",
    help="How it reaches the API server, a path on its machine. [default: its pod's service account]",
)
@click.option(
    "--percentage-of-nodes-to-score",
    "percentage",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Share of the nodes that it looks at for a pod. [default: its own]",
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
    """Print a complete configuration for a second kube-scheduler with Spotmix attached.

    Comments in it say why each line is there. Where Spotmix listens is taken from the settings, as `spotmix serve`
    takes them; --scheduler-config-url-prefix gives the address where it is another one to the scheduler.

    \b
    Exit code 0: printed; 2: a setting or name is wrong.

    \b
    Examples:
      spotmix scheduler-config render > scheduler.yaml
      spotmix scheduler-config render --scheduler-name spotmix --scheduler-name batch
      spotmix scheduler-config render \\
        --scheduler-config-url-prefix https://spotmix.spotmix-system.svc:8888/scheduler \\
        --scheduler-config-ca-file /etc/spotmix/ca.crt
    """
    from extender.schedulerconfig.render import (  # noqa: PLC0415 - likewise
        LEASE_NAMESPACE,
        SCHEDULER_NAME,
    )
    from extender.schedulerconfig.render import render as rendered  # noqa: PLC0415 - likewise
    from extender.settings import stanza_from  # noqa: PLC0415 - see the package's docstring

    text = rendered(
        stanza_from(settings_from(config_file, given)),
        names or (SCHEDULER_NAME,),
        lease_name=lease_name,
        lease_namespace=lease_namespace or LEASE_NAMESPACE,
        kubeconfig=scheduler_kubeconfig,
        percentage=percentage,
    )
    click.echo(text, nl=False)
