"""Each numbered statement of docs/reference/drift-statements.md has tests of its number."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Of these the API server has a say, so that one of their tests asks a real one.
REAL = {9, 10, 11, 12, 13, 14, 16, 21, 22, 23, 24, 27, 28}


def numbers(text: str) -> set[int]:
    """The statements that the tests in a source are named after: `test_statement_06_and_07_..` is of two."""
    found = re.findall(r"def test_statement_(\d\d)(?:_and_(\d\d))?_", text)
    return {int(number) for pair in found for number in pair if number}


def test_every_statement_has_a_test() -> None:
    page = (ROOT / "docs" / "reference" / "drift-statements.md").read_text()
    stated = {int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    assert stated == set(range(1, 33))
    everywhere = {path: numbers(path.read_text()) for path in (ROOT / "tests").rglob("test_*.py")}
    assert set().union(*everywhere.values()) == stated
    real = [found for path, found in everywhere.items() if "integration" in path.parts]
    assert set().union(*real) >= REAL
