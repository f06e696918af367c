"""Every setting as a command-line option."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from extender.settings import LEAVES, Leaf, Settings, load_settings

F = TypeVar("F", bound=Callable[..., Any])


def _help(leaf: Leaf) -> str:
    default = leaf.default
    if isinstance(default, str):
        shown = default or "none"
    elif isinstance(default, tuple):
        shown = "[" + ", ".join(default) + "]"
    elif isinstance(default, bool):
        shown = str(default).lower()
    elif isinstance(default, int | float):
        shown = str(default)
    else:
        shown = "built in, see `spotmix config show`" if default else "{}"
    return f"{leaf.text}. [{leaf.env}; default: {shown}]"


def _parameter(leaf: Leaf) -> str:
    return leaf.flag.removeprefix("--").replace("-", "_")


def settings_options(command: F) -> F:
    """Give a command `--config` and an option for each setting."""
    return _with_options(command, LEAVES)


def options_of(*sections: str) -> Callable[[F], F]:
    """Give a command `--config` and an option for each setting of some sections, such as `extender.tls`."""
    leaves = [leaf for leaf in LEAVES if any(f"{'.'.join(leaf.path)}.".startswith(f"{s}.") for s in sections)]
    return lambda command: _with_options(command, leaves)


def _with_options(command: F, leaves: Sequence[Leaf]) -> F:
    for leaf in reversed(leaves):
        metavar = "DURATION" if leaf.duration else None
        command = click.option(leaf.flag, _parameter(leaf), help=_help(leaf), metavar=metavar)(command)
    return click.option(
        "--config",
        "config_file",
        default="",
        metavar="FILE",
        help="YAML configuration file. [SPOTMIX_CONFIG]",
    )(command)


def settings_from(config_file: str, given: dict[str, str | None]) -> Settings:
    """The settings of a command that was decorated with `settings_options` or `options_of`.

    Raises:
        ConfigError: a flag, variable or the file is wrong.
    """
    flags = {leaf.path: value for leaf in LEAVES if (value := given.get(_parameter(leaf))) is not None}
    return load_settings(config_file, flags)
