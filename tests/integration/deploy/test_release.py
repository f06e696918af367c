"""`make release` on this tree: what it makes is whole, says where it comes from, and comes out the same twice."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from generate.chart import CHART
from release.__main__ import main
from release.bill import pinned
from release.origin import Origin, ReleaseError, check_versions
from release.single import PYTHONS, single_files

import extender

pytestmark = pytest.mark.tools

VERSION = extender.__version__
NAMES = [
    f"spotmix-{VERSION}.tar.gz",
    f"spotmix-{VERSION}-py3-none-any.whl",
    f"spotmix-{VERSION}.tgz",
    f"spotmix-{VERSION}.cdx.json",
    f"spotmix-{VERSION}.provenance.json",
    "SHA256SUMS",
]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    assert main(["--dist", str(folder), "--allow-dirty", "--platforms"]) == 0
    return folder


def test_twice_gives_the_same_bytes(dist: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dist", str(tmp_path), "--allow-dirty", "--platforms"]) == 0
    assert capsys.readouterr().out.split() == NAMES
    for name in NAMES:
        assert (dist / name).read_bytes() == (tmp_path / name).read_bytes(), name
    assert main(["--dist", str(tmp_path), "--allow-dirty", "--platforms"]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_the_wheel_starts_without_the_tree(dist: Path, tmp_path: Path) -> None:
    wheel = dist / NAMES[1]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(tmp_path)]
    subprocess.run([*pip, str(wheel)], check=True)
    script = "import extender.cli, sys; print(extender.cli.__file__); extender.cli.main()"
    command = [sys.executable, "-c", script, "--version"]
    ran = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith(str(tmp_path))
    assert VERSION in ran.stdout
    (metadata,) = tmp_path.glob("spotmix-*.dist-info/METADATA")
    page = metadata.read_text()
    assert f"https://github.com/spotmix/spotmix/blob/v{VERSION}/docs/README.md" in page
    # The page of a package index has no files beside it.
    assert re.findall(r"\]\((?!https?://|#)[^)]*\)|src(?:set)?=\"(?!https?://)", page) == []


def test_one_file_is_the_whole_program_and_krew_knows_it(dist: Path, tmp_path: Path) -> None:
    origin = Origin.look(allow_dirty=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert python in PYTHONS
    made = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(dist / NAMES[1], tmp_path / name)
        made.append(single_files(tmp_path / name, origin, ["linux-amd64"], [python]))
    (archive, manifest), again = made
    assert [each.read_bytes() for each in again] == [archive.read_bytes(), manifest.read_bytes()]
    (platform,) = yaml.safe_load(manifest.read_text())["spec"]["platforms"]
    assert platform["selector"]["matchLabels"] == {"os": "linux", "arch": "amd64"}
    assert platform["uri"].endswith(f"/v{VERSION}/{archive.name}")
    assert platform["sha256"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    with tarfile.open(archive) as packed:
        assert {each["from"] for each in platform["files"]} == set(packed.getnames())
        packed.extractall(tmp_path, filter="data")
    program = tmp_path / platform["bin"]
    environ = {"SHIV_ROOT": str(tmp_path / "unpacked"), "PATH": str(Path(sys.executable).parent)}
    for arguments, said in ((["--version"], VERSION), (["simulate", "--help"], "--seed"), (["serve", "--help"], "--")):
        ran = subprocess.run(
            [program, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
        )
        assert said in ran.stdout
    # None of this came from the tree, whose path is in no file.
    unpacked = next((tmp_path / "unpacked").glob("*/site-packages/extender/__init__.py"))
    assert unpacked.is_file()


def test_the_sdist_has_what_the_wheel_is_made_of_and_no_more(dist: Path) -> None:
    with tarfile.open(dist / NAMES[0]) as archive:
        tops = {name.split("/")[1] for name in archive.getnames()}
    assert tops == {
        ".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md",
        "extender", "pyproject.toml", "requirements.txt", "spotmix",
    }  # fmt: skip


def test_the_chart_is_whole(dist: Path) -> None:
    with tarfile.open(dist / NAMES[2]) as archive:
        names = set(archive.getnames())
        described = archive.extractfile("spotmix/Chart.yaml")
        assert described is not None
        assert yaml.safe_load(described.read())["version"] == VERSION
    assert {f"spotmix/{file.relative_to(CHART)}" for file in CHART.rglob("*.yaml")} <= names


def test_the_bill_names_all_that_is_pinned(dist: Path) -> None:
    bill = json.loads((dist / NAMES[3]).read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["metadata"]["component"]["version"]) == (
        "CycloneDX",
        "1.6",
        VERSION,
    )
    listed = {(each["name"], each["version"], each["purl"]) for each in bill["components"]}
    pins = {(pin.name, next(iter(pin.specifier)).version) for pin in pinned()}
    assert listed == {(name, version, f"pkg:pypi/{name}@{version}") for name, version in pins}
    assert {name for name, _ in pins} >= {"msgspec", "aiohttp"}


def test_checksums_and_provenance_are_of_these_files(dist: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=dist, check=True)
    assert len((dist / "SHA256SUMS").read_text().splitlines()) == 5
    statement = json.loads((dist / NAMES[4]).read_text())
    assert {each["name"]: each["digest"]["sha256"] for each in statement["subject"]} == {
        name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in NAMES[:4]
    }
    (dependency,) = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert dependency["digest"] == {"gitCommit": Origin.look(allow_dirty=True).commit}


def test_another_version_than_the_charts_is_refused() -> None:
    with pytest.raises(ReleaseError, match=r"version of Chart.yaml is .*, and the package's version 9\.9\.9"):
        check_versions("9.9.9")
