"""Every setting as a command-line option; what is said of it comes from the sections of `extender.settings`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from extender.cli.help import HeadedOption, Heading
from extender.settings import LEAVES, SECTIONS, Leaf, Settings, load_settings
from extender.settings.values import FILE

F = TypeVar("F", bound=Callable[..., Any])

_PREFACE = (
    "Settings can be given as options, as environment variables and as keys of the configuration file; the option wins "
    "over the variable, the variable over the file. Each setting names its default, variable and key in brackets, and "
    "what a change in the file needs while spotmix serve runs: reload (it is taken up by itself) or restart."
)


class SettingType(click.ParamType[str]):
    """The value of a setting, taken as it is: `load_settings` checks it, as it checks variables and the file."""

    name = "setting"

    def __init__(self, leaf: Leaf) -> None:
        self._leaf = leaf

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The choices that begin so; shells look for files by themselves."""
        if self._leaf.kind is FILE:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(choice) for choice in self._leaf.choices if choice.startswith(incomplete)]


def _help(leaf: Leaf) -> str:
    facts = [f"default: {_default(leaf)}", *([leaf.limits] if leaf.limits else []), leaf.env, leaf.key, leaf.change]
    return f"{leaf.text}.\n[{'; '.join(facts)}]"


def _default(leaf: Leaf) -> str:
    default = leaf.default
    if isinstance(default, str):
        return default or "empty"
    if isinstance(default, tuple):
        return "[" + ", ".join(default) + "]"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, int | float):
        return f"{default:g}" if isinstance(default, float) else str(default)
    return "built in, see `spotmix config show`" if default else "{}"


def _parameter(leaf: Leaf) -> str:
    return leaf.flag.removeprefix("--").replace("-", "_")


def _option(leaf: Leaf) -> Callable[[F], F]:
    section = leaf.path[:-1]
    return click.option(
        leaf.flag,
        _parameter(leaf),
        cls=HeadedOption,
        type=SettingType(leaf),
        metavar=leaf.metavar,
        help=_help(leaf),
        heading=Heading(f"Settings of {'.'.join(section) or 'the top level'}", SECTIONS[section], _PREFACE),
        value="" if leaf.choices else leaf.kind.looks,
    )


def settings_options(command: F) -> F:
    """Give a command `--config` and an option for each setting."""
    return _with_options(command, LEAVES)


def options_of(*sections: str) -> Callable[[F], F]:
    """Give a command `--config` and an option for each setting of some sections, such as `extender.tls`."""
    leaves = [leaf for leaf in LEAVES if any(f"{leaf.key}.".startswith(f"{section}.") for section in sections)]
    return lambda command: _with_options(command, leaves)


def _with_options(command: F, leaves: Sequence[Leaf]) -> F:
    for leaf in reversed(leaves):
        command = _option(leaf)(command)
    return click.option(
        "--config",
        "config_file",
        default="",
        type=click.Path(),
        metavar="FILE",
        help="YAML file with settings, as `spotmix config show` prints it. [SPOTMIX_CONFIG]",
    )(command)


def settings_from(config_file: str, given: dict[str, str | None]) -> Settings:
    """The settings of a command that was decorated with `settings_options` or `options_of`.

    Raises:
        ConfigError: a flag, variable or the file is wrong.
    """
    flags = {leaf.path: value for leaf in LEAVES if (value := given.get(_parameter(leaf))) is not None}
    return load_settings(config_file, flags)
