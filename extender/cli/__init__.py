"""The command line, a file per command. What a command needs is imported when it runs: `--help` stays fast."""

import sys
from pathlib import PurePath

import click

from extender import __version__
from extender.cli.config import config
from extender.cli.drift import drift
from extender.cli.explain import explain
from extender.cli.sandbox import sandbox
from extender.cli.scheduler_config import scheduler_config
from extender.cli.serve import serve
from extender.cli.simulate import simulate
from extender.cli.status import status
from extender.cli.watch import watch
from extender.cli.what_if import what_if
from extender.core.model.errors import ApiError, NotFoundError, ServiceError, SpotmixError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spotmix")
def cli() -> None:
    """Keep every Kubernetes workload at the split between spot and on-demand nodes that its owner asked for.

    \b
    Try it without a cluster:   spotmix sandbox demo
    See how workloads stand:    spotmix status -A
    Why is this pod here:       spotmix explain pod/NAME
    Decisions as they are made: spotmix watch -A
    What would be moved:        spotmix drift plan
    What if it were larger:     spotmix what-if deploy/NAME --replicas N
    Try a policy over a day:    spotmix simulate SCENARIO
    Run the scheduler extender: spotmix serve
    Attach it to a scheduler:   spotmix scheduler-config inject FILE
    See the configuration:      spotmix config show
    """


cli.add_command(serve)
cli.add_command(status)
cli.add_command(explain)
cli.add_command(watch)
cli.add_command(drift)
cli.add_command(what_if)
cli.add_command(config)
cli.add_command(scheduler_config)
cli.add_command(sandbox)
cli.add_command(simulate)


def main() -> None:
    """Run the command line; an error of ours is a line on standard error.

    Its exit code is 1 when the cluster is the reason, else 2. As `kubectl-spotmix` it is a plugin of kubectl.
    """
    name = PurePath(sys.argv[0]).name
    plugin = name.startswith("kubectl-")
    try:
        cli(standalone_mode=True, prog_name="kubectl spotmix" if plugin else None)
    except SpotmixError as error:
        click.echo(f"spotmix: {error}", err=True)
        sys.exit(1 if isinstance(error, ApiError | NotFoundError | ServiceError) else 2)
