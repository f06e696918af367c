"""`spotmix serve`."""

import click

from extender.cli.help import COMMON_EXIT_CODES, Command
from extender.cli.options import settings_from, settings_options
from extender.core.model.errors import ConfigError


@click.command(
    cls=Command,
    examples=(
        "spotmix serve",
        "spotmix serve --config spotmix.yaml --log-level debug",
        "spotmix serve --drift-read-only true     # plan moves, carry out none",
    ),
    exit_codes={0: "stopped by SIGTERM", 1: "the cluster cannot be reached, or refuses", 2: COMMON_EXIT_CODES[2]},
)
@settings_options
def serve(config_file: str, **given: str | None) -> None:
    """Run Spotmix: answer the scheduler, move pods back to their split, serve metrics, console and API.

    Runs until SIGTERM. A changed configuration file is taken up within seconds, and at SIGHUP: settings marked `reload`
    below count at once, those marked `restart` from the next start.

    It needs a kubeconfig or a pod's service account, and a kube-scheduler that calls it: `spotmix scheduler-config`
    writes that scheduler's configuration.
    """
    import asyncio
    import os

    try:
        from extender.kube.eventloop import new_event_loop
    except ImportError as error:
        raise ConfigError(
            "spotmix serve needs uvloop, which there is for Linux and macOS; run it there, and use other commands here"
        ) from error

    from extender.runtime import serve as run
    from extender.runtime.whoami import service_attributes
    from extender.settings import ConfigSource
    from extender.telemetry.logs import configure
    from extender.telemetry.traces import open_tracer

    settings = settings_from(config_file, given)
    configure(settings.log.level, settings.log.format)
    source = ConfigSource(
        lambda: settings_from(config_file, given), config_file or os.environ.get("SPOTMIX_CONFIG", "")
    )
    tracer = open_tracer(os.environ, service_attributes())
    if tracer.on:
        configure(settings.log.level, settings.log.format, tracer.log_keys)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(settings, tracer, source))
