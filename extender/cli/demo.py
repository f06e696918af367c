"""`spotmix sandbox demo`."""

import click


@click.command()
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
        from extender.sandbox.demo import DemoOptions, run_demo  # noqa: PLC0415 - see the package's docstring

        context.exit(run_demo(DemoOptions(stay=stay, speed=speed)))
    except KeyboardInterrupt:
        # Before or after the time in which the demo handles it in order.
        context.exit(130)
