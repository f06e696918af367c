"""`spotmix config show` and `spotmix config reference`."""

import click

from extender.cli.options import settings_from, settings_options


@click.group()
def config() -> None:
    """Look at the configuration."""


@config.command()
@settings_options
def show(config_file: str, **given: str | None) -> None:
    """Print the configuration that `spotmix serve` would run with, as a file it reads back.

    Takes the flags, environment and file that `spotmix serve` takes.
    """
    from extender.settings import render_settings

    click.echo(render_settings(settings_from(config_file, given)), nl=False)


@config.command()
def reference() -> None:
    """Print every setting with its type, default and effect, as Markdown."""
    from extender.settings import render_reference

    click.echo(render_reference(), nl=False)
