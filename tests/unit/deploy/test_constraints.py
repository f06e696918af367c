"""What is installed: every version is written down with the hashes of its files, and no registry is named."""

import re
from pathlib import Path

import pytest
from generate.constraints import ALL, FILES

REQUIREMENT = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)(?: ; [^\\\n]+)?(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n",
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


def test_what_the_project_asks_for_is_there() -> None:
    project = (ALL.parent / "pyproject.toml").read_text()
    listed = project[project.index("\ndependencies") : project.index("[project.scripts]")]
    asked = set(re.findall(r'^    "([a-z-]+)(?:[>=]=[^"]+)?",', listed, re.MULTILINE))
    assert len(asked) > 30
    assert asked <= {*pins(ALL)}
