"""The architecture page: its files exist, its glossary names what the code has, and rooms stand in its order."""

import re
import tomllib

import pytest
from programs import ROOT

PAGE = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
SOURCES = [path.read_text() for path in sorted((ROOT / "extender").rglob("*.py"))]


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    part = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(extender/[\w/.]+)`", PAGE))))
def test_each_file_is_there(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\(`(\w+\.py)`\)", PAGE))))
def test_each_file_of_the_drift_room_is_there(name: str) -> None:
    assert (ROOT / "extender" / "core" / "drift" / name).exists()


def test_each_room_has_a_row_in_the_order_of_the_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each.get("containers") == ["extender.core"])
    table = [
        room.strip("`") for room, *_ in rows("The rooms") if (ROOT / "extender" / "core" / room.strip("`")).is_dir()
    ]
    assert table == list(reversed(layers))
    assert sorted(table) == sorted(path.parent.name for path in (ROOT / "extender" / "core").glob("*/__init__.py"))


def test_each_name_of_the_glossary_is_defined_once_and_explained_once() -> None:
    words = [word for word, *_ in rows("Glossary")]
    assert len(words) == len(set(words)) > 20
    for _, _, names in rows("Glossary"):
        for name in re.findall(r"`(\w+)`", names):
            pattern = re.compile(rf"^(?:class|def) {name}\b|^{name}\b.* = ", re.MULTILINE)
            found = sum(len(pattern.findall(source)) for source in SOURCES)
            assert found == 1, name
