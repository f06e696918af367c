"""The container image, as far as it can be told without containers."""

import json
import re
import shutil
import subprocess
import sys
import venv
from importlib.machinery import SourcelessFileLoader
from pathlib import Path

import pytest
import yaml
from programs import ROOT

from extender import __version__

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"


def instructions(name: str) -> list[str]:
    """Arguments of an instruction, of the last stage alone."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    last = text[text.rindex("\nFROM ") :]
    return re.findall(rf"^{name} (.*)$", last, re.MULTILINE)


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_it_runs_without_a_shell_as_nobody_in_particular() -> None:
    assert instructions("USER") == ["65532:65532"]
    assert instructions("ENTRYPOINT") == ['["/opt/spotmix/bin/spotmix"]']
    assert instructions("CMD") == ['["serve"]']
    assert all(run.startswith("[") for run in instructions("RUN"))


def test_traces_can_be_had() -> None:
    assert '"$(echo /wheels/*.whl)[otel]"' in DOCKERFILE.read_text()


def test_pythons_own_library_has_byte_code_without_columns(tmp_path: Path) -> None:
    (compiles,) = (json.loads(run) for run in instructions("RUN") if "compileall" in run)
    library = tmp_path / "library"
    (library / "room").mkdir(parents=True)
    source = library / "room" / "module.py"
    source.write_text("found = 1 + len([])\n")
    where = "import sysconfig; sysconfig.get_path = lambda name: {'stdlib': %r}[name]; " % str(library)  # noqa: UP031
    set_in_image = dict(line.split("=", 1) for line in instructions("ENV")[0].split())
    subprocess.run([sys.executable, "-c", where + compiles[-1]], env=set_in_image, check=True)
    (cached,) = library.rglob("*.pyc")
    code = SourcelessFileLoader("module", str(cached)).get_code("module")
    assert code is not None
    assert {column for position in code.co_positions() for column in position[2:]} == {None}


def context(target: Path) -> Path:
    """Copy what .dockerignore lets into the build: here all that is named after a `!`."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    for line in lines:
        if line.startswith("!"):
            source = ROOT / line[1:]
            copy = target / line[1:]
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
    return target


def test_the_wheel_of_the_build_context_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = context(tmp_path / "src")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(wheel, check=True)
    (built,) = tmp_path.glob("*.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([*pip, "--python", str(python), "install", "--quiet", "--no-deps", str(built)], check=True)
    # Dependencies are those of this environment; its own link to the sources is not followed from here.
    site = Path(yaml.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", str(site))

    def said(*command: str) -> str:
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert said(str(python), "-c", "import extender; print(extender.__file__)").startswith(str(tmp_path))
    assert said(str(python.with_name("spotmix")), "--version") == f"spotmix, version {__version__}\n"


def test_both_platforms_are_baked_with_labels_of_the_build() -> None:
    bake = json.loads((ROOT / "deploy" / "docker" / "bake.json").read_text())
    target = bake["target"]["spotmix"]
    assert (ROOT / target["dockerfile"]) == DOCKERFILE
    assert target["platforms"] == ["linux/amd64", "linux/arm64"]
    used = set(re.findall(r"\$\{(\w+)\}", json.dumps(target)))
    assert used == set(bake["variable"])
    # The release's version, commit and time come from make.
    given = re.search(r"^images:.*\n\t(.*)\\\n", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert given is not None
    assert set(re.findall(r"([A-Z]+)=", given[1])) == used - {"REGISTRY"}


@pytest.mark.parametrize("file", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name)
def test_workflows_call_targets_of_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    workflow = yaml.safe_load(file.read_text())
    ran = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert ran
    assert {line.removeprefix("make ") for line in ran} <= targets
