"""What is installed: every version is written down with the hashes of its files, and no registry is named."""

import re
from pathlib import Path

import pytest
from generate.constraints import ALL, FILES
from packaging.markers import Marker

REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)(?: ; (?P<marker>[^\\\n]+?))?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n",
    re.MULTILINE,
)


def pins(file: Path) -> dict[str, tuple[str, str]]:
    """Version and hashes by name, of a file that has nothing else in it."""
    text = file.read_text()
    assert REQUIREMENT.sub("", text) == ""
    return {each["name"]: (each["version"], each["hashes"]) for each in REQUIREMENT.finditer(text)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_has_its_version_and_hashes_and_no_registry_is_named(file: Path) -> None:
    assert "://" not in file.read_text()
    everything = pins(ALL)
    found = pins(file)
    assert found
    assert {name: everything[name] for name in found} == found


@pytest.mark.parametrize(("platform", "there"), [("linux", True), ("darwin", True), ("win32", False)])
def test_uvloop_is_installed_where_there_is_one(platform: str, *, there: bool) -> None:
    for file in (ALL, ALL.with_name("requirements.txt")):
        (uvloop,) = (each for each in REQUIREMENT.finditer(file.read_text()) if each["name"] == "uvloop")
        assert Marker(uvloop["marker"]).evaluate({"sys_platform": platform}) is there


def test_what_the_project_asks_for_is_there() -> None:
    project = (ALL.parent / "pyproject.toml").read_text()
    listed = project[project.index("\ndependencies") : project.index("[project.scripts]")]
    asked = set(re.findall(r'^    "([a-z-]+)(?:[>=]=[^"]+)?",', listed, re.MULTILINE))
    assert len(asked) > 30
    assert asked <= {*pins(ALL)}
