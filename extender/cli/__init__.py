"""The command line, a file per command. What a command needs is imported when it runs: `--help` stays fast."""

import gc
import sys
from pathlib import PurePath

import click

from extender import __version__
from extender.cli.config import config
from extender.cli.drift import drift
from extender.cli.explain import explain
from extender.cli.help import WIDTH, CommandGroup
from extender.cli.lint import lint
from extender.cli.output import note
from extender.cli.release_gates import release_gates
from extender.cli.sandbox import sandbox
from extender.cli.scheduler_config import scheduler_config
from extender.cli.serve import serve
from extender.cli.simulate import simulate
from extender.cli.status import status
from extender.cli.watch import watch
from extender.cli.what_if import what_if
from extender.core.model.errors import (
    ApiError,
    NotFoundError,
    SandboxError,
    ServiceError,
    SpotmixError,
    WorkloadFaultError,
)


@click.group(
    cls=CommandGroup,
    examples=(
        "spotmix sandbox demo                          # try it without a cluster",
        "spotmix status -A                             # how workloads stand",
        "spotmix explain pod/NAME                      # why is this pod here?",
        "spotmix watch -A                              # decisions as they are made",
        "spotmix drift plan -A                         # what would be moved?",
        "spotmix what-if deploy/NAME --replicas 40     # what if it were larger?",
        "spotmix simulate SCENARIO                     # try a policy over a day",
        "spotmix lint FILE..                           # are manifests right?",
        "spotmix scheduler-config inject FILE          # attach it to a scheduler",
        "spotmix serve                                 # run the scheduler extender",
        "spotmix config show                           # see the configuration",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
@click.version_option(__version__, prog_name="spotmix", help="Show the version and exit.")
def cli() -> None:
    """Keep every Kubernetes workload at the split between spot and on-demand nodes that its owner asked for.

    A workload's owner writes the split as annotations, such as spotmix.io/spot-percentage: "70". Spotmix runs beside
    kube-scheduler and says which nodes a pod may go to; commands show what it does and why. `spotmix COMMAND --help`
    says more about each.
    """


for command in (
    *(status, explain, watch, what_if, drift, simulate, lint),
    *(sandbox, scheduler_config, release_gates, config, serve),
):
    cli.add_command(command)


COLLECT_AFTER = 10_000
"""Objects that are made before the youngest are looked at."""


def main() -> None:
    """Run the command line; an error of ours is a line on standard error.

    Its exit code is 1 when the cluster is the reason, else 2. As `kubectl-spotmix` it is a plugin of kubectl.
    """
    # What a command imports makes much and frees nothing: the collector's looks at it were a tenth of the start.
    gc.set_threshold(COLLECT_AFTER, 10, 10)
    name = PurePath(sys.argv[0]).name
    plugin = name.startswith("kubectl-")
    try:
        cli(standalone_mode=True, prog_name="kubectl spotmix" if plugin else None)
    except SpotmixError as error:
        note(str(error), lines=isinstance(error, SandboxError))
        sys.exit(1 if isinstance(error, ApiError | NotFoundError | ServiceError | WorkloadFaultError) else 2)
