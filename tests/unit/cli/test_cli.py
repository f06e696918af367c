"""The command line: what each command prints, takes from the environment, and says of wrong settings."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from extender import __version__
from extender.cli import cli
from extender.core.model.errors import ConfigError
from extender.settings import LEAVES, Settings, load_settings, render_settings


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in list(os.environ):
        if name.startswith("SPOTMIX_"):
            monkeypatch.delenv(name)
    return CliRunner()


def test_show_prints_a_file_that_reads_back(runner: CliRunner, tmp_path: Path) -> None:
    result = runner.invoke(cli, ["config", "show"])
    assert (result.exit_code, result.output) == (0, render_settings(Settings()))
    file = tmp_path / "spotmix.yaml"
    file.write_text(result.output)
    again = runner.invoke(cli, ["config", "show", "--config", str(file), "--log-level", "debug"])
    assert yaml.safe_load(again.output)["log"]["level"] == "debug"
    file.write_text(again.output)
    assert load_settings(str(file), environ={}).log.level == "debug"


def test_the_environment_counts(runner: CliRunner) -> None:
    environ = {"SPOTMIX_EXTENDER_ADDR": ":1", "SPOTMIX_METRICS_ADDR": ":2"}
    shown = yaml.safe_load(runner.invoke(cli, ["config", "show", "--metrics-addr", ":3"], env=environ).output)
    assert (shown["extender"]["addr"], shown["metrics"]["addr"]) == (":1", ":3")


@pytest.mark.parametrize("command", [["serve"], ["config", "show"]])
def test_help_names_every_setting(runner: CliRunner, command: list[str]) -> None:
    text = runner.invoke(cli, [*command, "--help"], terminal_width=500).output
    for leaf in LEAVES:
        assert leaf.flag in text
        assert leaf.env in text
        assert leaf.text in text
    assert "SPOTMIX_CONFIG" in text
    assert "default: 0.1s" in text


def test_the_page_of_all_settings_is_current(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["config", "reference"])
    page = Path(__file__).parents[3] / "docs" / "reference" / "settings.md"
    assert result.output == page.read_text(), "run make reference"
    assert all(f"`{'.'.join(leaf.path)}`" in result.output and leaf.text in result.output for leaf in LEAVES)
    assert "| `log.level` | `debug`, `info`, `warning`, `error` | `info` |" in result.output
    assert "| `extender.tls.cert` (flag `--tls-cert`) | `FILE` | empty |" in result.output


def test_commands_and_version(runner: CliRunner) -> None:
    text = runner.invoke(cli, ["-h"]).output
    assert {"serve", "config", "sandbox"} <= set(text.split())
    assert runner.invoke(cli, ["--version"]).output == f"spotmix, version {__version__}\n"


def test_unknown_flags_are_errors(runner: CliRunner) -> None:
    result = runner.invoke(cli, ["serve", "--extender-adr", ":1"])
    assert result.exit_code == 2
    assert "No such option" in result.output


@pytest.mark.parametrize("command", [["serve"], ["config", "show"]])
def test_a_wrong_setting_is_a_line_and_code_2(command: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "extender", *command, "--cache-page-size", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("spotmix: flag --cache-page-size: '0' is wrong: Expected `int` >= 1")
    assert len(result.stderr.splitlines()) == 1


def test_where_there_is_no_uvloop_serve_says_so(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    monkeypatch.delitem(sys.modules, "extender.kube.eventloop", raising=False)
    result = runner.invoke(cli, ["serve"])
    assert isinstance(result.exception, ConfigError)
    assert "needs uvloop, which there is for Linux and macOS" in str(result.exception)


def test_help_imports_nothing_heavy() -> None:
    heavy = (
        "aiohttp",
        "uvicorn",
        "kubernetes",
        "prometheus_client",
        "structlog",
        "cryptography",
        "rich",
        "grpc",
        "google",
    )
    code = f"import sys, extender.cli; print([m for m in {heavy!r} if m in sys.modules])"
    started = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "[]\n"
    assert time.perf_counter() - started < 10
