"""Every help text stands alone: what a command does, what its options take, examples that it understands."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from extender.cli import cli
from extender.cli.help import Command, HeadedOption, summary_of
from extender.core.model.errors import ConfigError
from extender.settings import LEAVES, SECTIONS, Leaf, load_settings
from extender.settings.values import CONTEXT, FILE, HOST, IDENTITY, IMAGE, PATH, PEM, URL

ANYTHING = {CONTEXT, FILE, HOST, IDENTITY, IMAGE, PATH, PEM, URL}
"""Kinds of values of which none is wrong by itself."""
REFUSED = [leaf for leaf in LEAVES if leaf.kind not in ANYTHING and leaf.key != "webhook.defaultSchedulerName"]
WRONG = "no such value"


def commands(command: click.Command = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from commands(inner, *path, name)


ALL = dict(commands())
LAST = {path: command for path, command in ALL.items() if isinstance(command, Command)}
OPTIONS = [
    pytest.param(path, option, id=" ".join((*path, option.opts[-1])))
    for path, command in ALL.items()
    for option in command.params
    if isinstance(option, click.Option)
]


def name_of(path: tuple[str, ...]) -> str:
    return " ".join(path) or "spotmix"


def help_of(path: tuple[str, ...], width: int = 80) -> str:
    result = CliRunner().invoke(cli, [*path, "--help"], terminal_width=width)
    assert result.exit_code == 0
    return result.output


def option_of(command: str, flag: str) -> click.Parameter:
    return next(each for each in LAST[command,].params if flag in each.opts)


def told(text: str) -> str:
    """A text without its line ends."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _no_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("SPOTMIX_"):
            monkeypatch.delenv(name)


def test_there_are_groups_and_commands() -> None:
    assert {(), ("drift",), ("sandbox",), ("config",), ("scheduler-config",)} == ALL.keys() - LAST.keys()
    assert len(LAST) >= 15


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_a_command_says_what_it_does_in_a_sentence(path: tuple[str, ...]) -> None:
    summary = summary_of(ALL[path])
    assert summary.endswith(".")
    assert summary[0].isupper()
    assert summary in told(help_of(path))
    if path:
        assert summary in told(help_of(path[:-1])), "the list of commands has it whole"


@pytest.mark.parametrize("path", LAST, ids=name_of)
def test_a_command_has_examples_that_it_understands(path: tuple[str, ...]) -> None:
    lines = "\n".join(LAST[path].examples).replace("\\\n", " ").replace("|\n", "| ").splitlines()
    ours = [words[words.index("spotmix") + 1 :] for line in lines for words in words_of(line) if "spotmix" in words[:2]]
    assert any(tuple(words[: len(path)]) == path for words in ours)
    for words in ours:
        understand(words)


def words_of(line: str) -> Iterator[list[str]]:
    """The words of each command in a line for a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in "|>":
            yield words
            words = []
        else:
            words.append(word)
    yield words


def understand(words: list[str]) -> None:
    """Read a command line as click does, and run nothing."""
    command: click.Command = cli
    context = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        command = command.commands[words.pop(0)]
    assert command.make_context(command.name, words, parent=context).args == []


@pytest.mark.parametrize("path", LAST, ids=name_of)
def test_a_command_says_what_its_exit_codes_mean(path: tuple[str, ...]) -> None:
    text = help_of(path)
    assert (LAST[path].exit_codes != {}) == ("\nExit codes:\n" in text)
    assert path == ("config", "reference") or {2} <= LAST[path].exit_codes.keys()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_no_line_is_wider_than_the_terminal(path: tuple[str, ...], width: int) -> None:
    assert [line for line in help_of(path, width).splitlines() if len(line) > width] == []


@pytest.mark.parametrize(("path", "option"), OPTIONS)
def test_an_option_says_what_it_does_and_what_it_takes(path: tuple[str, ...], option: click.Option) -> None:
    text = told(help_of(path))
    effect = told(option.help or "")
    assert effect.partition(" [")[0].endswith(".")
    assert effect[0].isupper()
    assert effect in text
    metavar = option.make_metavar(click.Context(ALL[path]))
    assert metavar != "TEXT"
    if isinstance(option.type, click.Choice):
        assert all(choice in f"{metavar} {option.help}" for choice in option.type.choices)
    if isinstance(option.type, click.IntRange | click.FloatRange):
        assert option.type._describe_range() in text


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.key)
def test_a_setting_stands_under_its_section_with_its_kind(leaf: Leaf) -> None:
    option = option_of("serve", leaf.flag)
    assert isinstance(option, HeadedOption)
    section = leaf.path[:-1]
    assert option.heading.text == SECTIONS[section]
    assert option.heading.title == f"Settings of {'.'.join(section) or 'the top level'}"
    assert option.metavar == leaf.metavar
    text = help_of(("serve",))
    assert f"\n  {leaf.flag} {leaf.metavar}\n" in text
    assert f"{leaf.env}; {leaf.key}; {'reload' if leaf.reloads else 'restart'}]" in told(text)
    for choice in leaf.choices:
        assert choice in option.metavar
    if not leaf.choices:
        assert f" {leaf.kind.metavar} {leaf.kind.looks} " in told(text[text.index("\nValues:") :])
    assert leaf.limits in (option.help or "")


@pytest.mark.parametrize("leaf", REFUSED, ids=lambda leaf: leaf.key)
def test_a_wrong_setting_names_the_option_the_value_and_the_fix(leaf: Leaf) -> None:
    result = CliRunner().invoke(cli, ["config", "show", leaf.flag, WRONG])
    assert isinstance(result.exception, ConfigError)
    text = str(result.exception)
    assert text.startswith(f"flag {leaf.flag}: ")
    assert f"'{WRONG}'" in text
    _, written, fix = text.rpartition("; write ")
    assert written
    assert fix


def test_the_reference_shows_a_setting_and_a_fault_as_they_are() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text()
    help_text = help_of(("serve",))
    shown = page[page.index("    --drift-min-pod-age") : page.index("The option wins over the variable")].rstrip()
    assert "\n".join(line.removeprefix("  ") for line in shown.splitlines()) in help_text
    result = CliRunner().invoke(cli, ["config", "show", "--log-level", "loud"])
    assert f"\n    spotmix: {result.exception}\n" in page


def test_a_wrong_file_names_the_key_the_value_and_the_fix(tmp_path: Path) -> None:
    file = tmp_path / "spotmix.yaml"
    file.write_text("apiVersion: spotmix.io/v1alpha1\nkind: SpotmixConfiguration\ncache: {pageSize: many}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(str(file), environ={})
    assert str(caught.value) == (
        f"configuration file {file}: 'many' is wrong: Expected `int`, got `str` - at `$.cache.pageSize`; "
        "write a whole number (1 to 5000)"
    )


def test_shells_are_offered_the_choices_of_settings() -> None:
    context = click.Context(LAST["serve",])
    level, file = option_of("serve", "--log-level"), option_of("serve", "--tls-cert")
    assert [item.value for item in level.shell_complete(context, "")] == ["debug", "info", "warning", "error"]
    assert [item.value for item in level.shell_complete(context, "w")] == ["warning"]
    assert [item.type for item in file.shell_complete(context, "c")] == ["file"]
