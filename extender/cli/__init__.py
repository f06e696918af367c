"""The command line, a file per command. What a command needs is imported when it runs: `--help` stays fast."""

import sys

import click

from extender import __version__
from extender.cli.config import config
from extender.cli.sandbox import sandbox
from extender.cli.scheduler_config import scheduler_config
from extender.cli.serve import serve
from extender.core.errors import SpotmixError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spotmix")
def cli() -> None:
    """Keep every Kubernetes workload at the split between spot and on-demand nodes that its owner asked for.

    \b
    Try it without a cluster:   spotmix sandbox demo
    Run the scheduler extender: spotmix serve
    Attach it to a scheduler:   spotmix scheduler-config inject FILE
    See the configuration:      spotmix config show
    """


cli.add_command(serve)
cli.add_command(config)
cli.add_command(scheduler_config)
cli.add_command(sandbox)


def main() -> None:
    """Run the command line; an error of ours is a line on standard error and exit code 2."""
    try:
        cli(standalone_mode=True)
    except SpotmixError as error:
        click.echo(f"spotmix: {error}", err=True)
        sys.exit(2)
