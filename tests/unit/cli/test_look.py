"""`spotmix status` and `spotmix explain` where there is no cluster, and the names the program goes by."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from unit.kube.fake_api import write_kubeconfig

from extender.cli import cli

SCRIPT = Path(sys.executable).with_name("spotmix")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("what", [("pod",), ("pod/",), ("/web",), ("pod/web", "web")])
def test_what_is_no_object_is_a_usage_error(what: tuple[str, ...]) -> None:
    result = run("explain", *what)
    assert result.exit_code == 2
    assert "is no TYPE/NAME: write pod/NAME or deploy/NAME" in result.output


@pytest.mark.parametrize("command", [("status",), ("watch",), ("drift", "plan")])
def test_one_namespace_or_all(command: tuple[str, ...]) -> None:
    result = run(*command, "-n", "shop", "-A")
    assert result.exit_code == 2
    assert "-n and -A exclude each other" in result.output


def test_unknown_formats_are_usage_errors() -> None:
    assert run("status", "-o", "xml").exit_code == 2


@pytest.mark.parametrize("command", [["status"], ["explain", "pod/p"]])
def test_errors_are_a_line_and_their_code_tells_whose(command: list[str], tmp_path: Path) -> None:
    def ran(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "extender", *command, *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    # Nobody listens on the first port.
    away = ran("--kubeconfig", str(write_kubeconfig(tmp_path / "config", "http://127.0.0.1:1")))
    assert (away.returncode, away.stdout, len(away.stderr.splitlines())) == (1, "", 1)
    assert away.stderr.startswith("spotmix: GET /")
    missing = ran("--kubeconfig", str(tmp_path / "none"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr.startswith("spotmix: kubeconfig ")


def test_as_a_plugin_it_has_kubectls_name(tmp_path: Path) -> None:
    link = tmp_path / "kubectl-spotmix"
    link.symlink_to(SCRIPT)
    for program, name in (
        (link, "kubectl spotmix"),
        (SCRIPT, "spotmix"),
        (SCRIPT.parent / link.name, "kubectl spotmix"),
    ):
        ran = subprocess.run([program, "status", "-h"], capture_output=True, text=True, check=True)
        assert ran.stdout.startswith(f"Usage: {name} status [OPTIONS]")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_it(shell: str) -> None:
    if shell == "bash":
        # click asks bash itself whether it is new enough.
        assert "_spotmix_completion" in _complete("bash_source").stdout
    completed = _complete(f"{shell}_complete", COMP_WORDS="spotmix sta", COMP_CWORD="sta" if shell == "fish" else "1")
    assert "status" in completed.stdout
    words = {"COMP_WORDS": "spotmix watch de", "COMP_CWORD": "de" if shell == "fish" else "2"}
    assert "deploy" in _complete(f"{shell}_complete", **words).stdout


def _complete(instruction: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_SPOTMIX_COMPLETE": instruction, **environ},
    )


def test_the_reference_has_every_command() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reference" / "cli.md").read_text()
    missing = [name for name in _commands(cli) if f"| `{name}" not in text]
    assert missing == []


def _commands(group: click.Group, prefix: str = "spotmix") -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}"
