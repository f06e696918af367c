"""No constructor takes more than seven parameters: what belongs together comes as one value."""

import ast
from collections.abc import Iterator

from programs import ROOT

MOST = 7


def constructors() -> Iterator[tuple[str, int]]:
    """Every `__init__` of the product, as file:line, with the number of its parameters but for self."""
    for path in sorted((ROOT / "extender").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                given = node.args
                count = len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs) - 1
                yield f"{path.relative_to(ROOT)}:{node.lineno}", count


def test_no_constructor_takes_too_much() -> None:
    found = dict(constructors())
    assert len(found) > 100
    assert {where: count for where, count in found.items() if count > MOST} == {}
