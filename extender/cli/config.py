"""`spotmix config show` and `spotmix config reference`."""

import click

from extender.cli.help import CommandGroup
from extender.cli.options import settings_from, settings_options
from extender.cli.output import print_file


@click.group(cls=CommandGroup)
def config() -> None:
    """Look at the settings."""


@config.command(
    examples=(
        "spotmix config show                            # defaults and the environment",
        "spotmix config show --log-level debug > spotmix.yaml",
        "spotmix config show --config spotmix.yaml      # is the file right?",
    ),
    exit_codes={0: "printed", 2: "an option, a variable or the file is wrong"},
)
@settings_options
def show(config_file: str, **given: str | None) -> None:
    """Print the configuration that `spotmix serve` would run with, as a file that it reads.

    Takes the options, environment variables and file that `spotmix serve` takes.
    """
    from extender.settings import render_settings

    print_file(render_settings(settings_from(config_file, given)))


@config.command(examples=("spotmix config reference > settings.md",))
def reference() -> None:
    """Print every setting with its type, default and effect, as Markdown."""
    from extender.settings import render_reference

    print_file(render_reference())
