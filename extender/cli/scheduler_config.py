"""`spotmix scheduler-config`: the configuration of a kube-scheduler that is to ask Spotmix."""

import click

from extender.cli.scheduler_config_check import check
from extender.cli.scheduler_config_inject import inject
from extender.cli.scheduler_config_render import render


@click.group("scheduler-config")
def scheduler_config() -> None:
    """Attach Spotmix to a kube-scheduler.

    These commands work on the file of `kube-scheduler --config`, a KubeSchedulerConfiguration. They need no cluster.

    \b
    A scheduler of your own control plane:  spotmix scheduler-config inject FILE --in-place
    A second scheduler beside it:           spotmix scheduler-config render > FILE
    Is a file right?                        spotmix scheduler-config check FILE
    """


scheduler_config.add_command(render)
scheduler_config.add_command(inject)
scheduler_config.add_command(check)
