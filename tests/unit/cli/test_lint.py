"""`spotmix lint`: what it prints, for people, programs and GitHub, and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from extender.cli import cli
from extender.cli.lint import SAMPLE
from extender.core.model.errors import SpotmixError

WRONG = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations: {spotmix.io/max-spot: few}
spec: {replicas: 2}
"""
DOUBTFUL = WRONG.replace("max-spot: few", "maxspot: '1'")
TOLD = "Deployment default/web: spotmix.io/max-spot='few' is not a number of replicas; write a whole number"


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("SPOTMIX_"):
            monkeypatch.delenv(name)
    return tmp_path / "a.yaml"


def run(file: Path | str, text: str, *options: str) -> Result:
    if isinstance(file, Path):
        file.write_text(text)
    return CliRunner().invoke(cli, ["lint", str(file), *options], input=text)


def test_people_are_told_file_line_and_fix(file: Path) -> None:
    result = run(file, WRONG)
    assert result.exit_code == 1
    first, last = result.stdout.splitlines()
    assert first.startswith(f"{file}:5: error: {TOLD}")
    assert last == "objects: 1, workloads: 1, policies that act: 0; errors: 1, warnings: 0"


def test_whom_policies_speak_for_is_told(file: Path) -> None:
    workload = WRONG.replace("name: web", "name: web\n  namespace: shop\n  labels: {tier: web}").replace("few", "'3'")
    result = run(file, f"{SAMPLE}---\n{workload.replace('replicas: 2', 'replicas: 9')}")
    assert result.exit_code == 0, result.stdout
    assert result.stdout.splitlines()[0] == (
        "PlacementPolicy shop/web: workloads here that it speaks for: 1 (Deployment shop/web)"
    )


def test_programs_are_given_all_there_is(file: Path) -> None:
    result = run(file, WRONG, "-o", "json")
    assert result.exit_code == 1
    (found,) = json.loads(result.stdout)["findings"]
    assert (found["file"], found["line"], found["document"], found["severity"]) == (str(file), 5, 1, "error")
    assert (found["object"], found["field"]) == ("Deployment default/web", "spotmix.io/max-spot")
    assert found["value"] == "'few'"
    assert found["fix"].startswith("write a whole number")


def test_github_shows_findings_at_their_lines(file: Path) -> None:
    result = run(file, WRONG, "--output", "github")
    assert result.stdout.startswith(f"::error file={file},line=5,title=spotmix lint::{TOLD}")
    assert result.stderr == "spotmix: objects: 1, workloads: 1, policies that act: 0; errors: 1, warnings: 0\n"


def test_warnings_count_when_it_is_strict(file: Path) -> None:
    assert run(file, DOUBTFUL).exit_code == 0
    assert run(file, DOUBTFUL, "--strict").exit_code == 1
    assert run(file, SAMPLE, "--strict").exit_code == 0


def test_standard_input_and_the_namespace_of_what_names_none() -> None:
    result = run("-", WRONG, "-n", "shop")
    assert result.stdout.startswith("standard input:5: error: Deployment shop/web:")


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is not YAML"), ("a: {{ .Values.a }}", "give what `helm template` prints")]
)
def test_what_cannot_be_read_is_another_matter(file: Path, text: str, said: str) -> None:
    result = run(file, text)
    assert isinstance(result.exception, SpotmixError)
    assert str(result.exception).startswith(f"{file}: ")
    assert said in str(result.exception)


def test_a_file_that_there_is_not(file: Path) -> None:
    code = f"import sys; sys.argv = ['spotmix', 'lint', {str(file)!r}]; from extender.cli import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot be read: No such file or directory" in ended.stderr


def test_it_needs_nothing_heavy(file: Path) -> None:
    file.write_text(WRONG)
    heavy = (
        "aiohttp",
        "kubernetes",
        "prometheus_client",
        "structlog",
        "cryptography",
        "rich",
        "grpc",
        "google",
        "uvicorn",
    )
    code = (
        f"import sys; from extender.cli import cli; cli(['lint', {str(file)!r}], standalone_mode=False); "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
