"""`spotmix scheduler-config`: what it renders, puts into a file, checks, and how it ends."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from extender.cli import cli
from extender.cli.textfile import read_text, replace_text
from extender.core.model.errors import ConfigError, SpotmixError
from extender.schedulerconfig.inject import inject
from extender.schedulerconfig.read import Stanza

TEXT = "# ours\r\napiVersion: kubescheduler.config.k8s.io/v1\r\nkind: KubeSchedulerConfiguration # stays é\r\n"
STANZA = Stanza(url_prefix="http://127.0.0.1:8888/scheduler")
URL = "--scheduler-config-url-prefix"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in list(os.environ):
        if name.startswith("SPOTMIX_"):
            monkeypatch.delenv(name)
    return CliRunner()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scheduler.yaml"
    path.write_bytes(TEXT.encode())
    return path


def run(runner: CliRunner, *args: str | Path, stdin: bytes | None = None) -> Result:
    return runner.invoke(cli, ["scheduler-config", *map(str, args)], input=stdin)


def test_render_injects_and_checks_clean(runner: CliRunner) -> None:
    rendered = run(
        runner, "render", "--scheduler-name", "a", "--scheduler-name", "b", URL, "http://spotmix:1/scheduler"
    )
    assert rendered.exit_code == 0
    seen = yaml.safe_load(rendered.stdout)
    assert [profile["schedulerName"] for profile in seen["profiles"]] == ["a", "b"]
    assert seen["extenders"][0]["urlPrefix"] == "http://spotmix:1/scheduler"
    again = run(runner, "inject", "-", URL, "http://spotmix:1/scheduler", stdin=rendered.stdout_bytes)
    assert (again.exit_code, again.stdout) == (0, rendered.stdout)
    assert again.stderr == "spotmix: standard input: our extender is there and up to date, so nothing is changed\n"
    checked = run(runner, "check", "-", URL, "http://spotmix:1/scheduler", stdin=rendered.stdout_bytes)
    assert checked.exit_code == 0
    assert checked.stdout.endswith("standard input: errors: 0, warnings: 0, infos: 3\n")


def test_render_takes_what_serve_takes(runner: CliRunner, tmp_path: Path) -> None:
    config = tmp_path / "spotmix.yaml"
    config.write_text("apiVersion: spotmix.io/v1alpha1\nkind: SpotmixConfiguration\nschedulerConfig: {weight: 21}\n")
    result = runner.invoke(
        cli,
        ["scheduler-config", "render", "--config", str(config), "--extender-addr", ":99"],
        env={"SPOTMIX_SCHEDULER_CONFIG_HTTP_TIMEOUT": "9s"},
    )
    entry = yaml.safe_load(result.stdout)["extenders"][0]
    assert (entry["urlPrefix"], entry["weight"], entry["httpTimeout"]) == ("http://127.0.0.1:99/scheduler", 21, "9s")


def test_inject_prints_the_result_byte_for_byte(runner: CliRunner, file: Path) -> None:
    result = run(runner, "inject", file)
    assert result.exit_code == 0
    assert result.stdout_bytes == inject(TEXT, STANZA).encode()
    assert result.stderr == f"spotmix: {file}: line 2: our extender is added as extenders[0]\n"
    assert file.read_bytes() == TEXT.encode()


def test_inject_shows_a_diff(runner: CliRunner, file: Path) -> None:
    result = run(runner, "inject", file, "--diff")
    lines = result.stdout_bytes.split(b"\n")
    assert lines[:2] == [f"--- {file} (before)".encode(), f"+++ {file} (after)".encode()]
    assert b"+    nodeCacheCapable: true\r" in lines
    assert not any(line.startswith(b"-") for line in lines[2:])
    assert file.read_bytes() == TEXT.encode()
    file.write_bytes(TEXT.removesuffix("\r\n").encode())
    unended = run(runner, "inject", file, "--diff").stdout
    assert unended.count("\n\\ No newline at end of file\n") == 2


def test_in_place_replaces_once_and_keeps_the_mode(runner: CliRunner, file: Path) -> None:
    file.chmod(0o640)
    link = file.parent / "link.yaml"
    link.symlink_to(file.name)
    result = run(runner, "inject", link, "--in-place", "--diff")
    assert result.exit_code == 0
    assert b"+extenders:" in result.stdout_bytes
    assert file.read_bytes() == inject(TEXT, STANZA).encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in file.parent.iterdir()) == ["link.yaml", "scheduler.yaml"]
    before = file.stat()
    again = run(runner, "inject", file, "--in-place")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "up to date" in again.stderr
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_failed_replacement_leaves_nothing_behind(file: Path) -> None:
    folder = file.parent / "scheduler.yaml.d"
    folder.mkdir()
    (folder / "x").touch()
    with pytest.raises(ConfigError, match=r"cannot be replaced: Is a directory; write the result elsewhere"):
        replace_text(str(folder), "new")
    assert sorted(path.name for path in file.parent.iterdir()) == ["scheduler.yaml", "scheduler.yaml.d"]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_text(str(tmp_path / "x"))
    with pytest.raises(ConfigError, match="cannot be replaced: No such file"):
        replace_text(str(tmp_path / "x"), "")
    assert list(tmp_path.iterdir()) == []


def test_inject_leaves_other_documents_alone(runner: CliRunner) -> None:
    result = run(runner, "inject", "-", stdin=b"kind: Pod\n")
    assert (result.exit_code, result.stdout_bytes) == (0, b"kind: Pod\n")
    assert result.stderr == "spotmix: standard input: holds no KubeSchedulerConfiguration, so nothing is changed\n"


def test_standard_input_cannot_be_replaced(runner: CliRunner) -> None:
    result = run(runner, "inject", "-", "--in-place", stdin=b"")
    assert result.exit_code == 2
    assert "--in-place needs a file" in result.stderr


def test_check_fails_on_errors_alone(runner: CliRunner, file: Path) -> None:
    missing = run(runner, "check", file)
    assert missing.exit_code == 1
    assert "Spotmix is not among them" in missing.stdout
    assert missing.stdout.endswith(f"{file}: errors: 1, warnings: 1, infos: 0\n")
    file.write_text(inject(TEXT, STANZA))
    deadlock = run(runner, "check", file)
    assert deadlock.exit_code == 0
    assert "places Spotmix's own pods too" in deadlock.stdout
    assert "warnings: 2" in deadlock.stdout
    elsewhere = run(runner, "check", file, "--own-scheduler-name", "other")
    assert "warnings: 1" in elsewhere.stdout


@pytest.mark.parametrize("command", ["inject", "check"])
def test_an_invalid_file_is_a_line_and_code_2(command: str, file: Path) -> None:
    file.write_text(TEXT + "extenders: {}\n")
    done = subprocess.run(
        [sys.executable, "-m", "extender", "scheduler-config", command, str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    where = f"spotmix: {file}: line 4, column 12: "
    assert done.stderr.startswith(where + "extenders is a mapping; write a list")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"\xff", "is not UTF-8 at byte 1; save it as UTF-8"), (TEXT.encode() + b"a: [", "line 5, column 1: is not YAML")],
)
def test_what_is_no_text_or_no_yaml(runner: CliRunner, file: Path, content: bytes, text: str) -> None:
    file.write_bytes(content)
    for command in ("inject", "check"):
        result = run(runner, command, file)
        assert isinstance(result.exception, SpotmixError)
        assert str(result.exception).startswith(f"{file}: {text}")


@pytest.mark.parametrize("command", ["render", "inject", "check"])
def test_help_teaches(runner: CliRunner, command: str) -> None:
    text = runner.invoke(cli, ["scheduler-config", command, "--help"], terminal_width=500).output
    assert "Exit codes:\n  0  " in text
    assert f"spotmix scheduler-config {command}" in text
    for flag in ("--scheduler-config-url-prefix", "--scheduler-config-ca-file", "--extender-addr", "--config"):
        assert flag in text
    assert "--cache-page-size" not in text
