"""`spotmix serve`."""

import click

from extender.cli.options import settings_from, settings_options


@click.command()
@settings_options
def serve(config_file: str, **given: str | None) -> None:
    """Run the scheduler extender until SIGTERM.

    A flag wins over its environment variable, that over the file, that over the default. Attach it to a scheduler
    with an `extenders` entry in its KubeSchedulerConfiguration: urlPrefix http://HOST:8888/scheduler, filterVerb
    filter, prioritizeVerb prioritize, weight 15, nodeCacheCapable true.
    """
    import asyncio
    import os

    import uvloop

    from extender.runtime import serve as run
    from extender.runtime.whoami import service_attributes
    from extender.telemetry.logs import configure
    from extender.telemetry.traces import open_tracer

    settings = settings_from(config_file, given)
    configure(settings.log.level, settings.log.format)
    tracer = open_tracer(os.environ, service_attributes())
    if tracer.on:
        configure(settings.log.level, settings.log.format, tracer.log_keys)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings, tracer))
