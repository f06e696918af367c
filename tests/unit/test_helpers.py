"""Helpers of unit tests have names of their own: whoever reads one need not ask which."""

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_no_two_classes_of_unit_tests_and_their_support_share_a_name() -> None:
    places = defaultdict[str, list[str]](list)
    for folder in ("unit", "support"):
        for path in sorted((TESTS / folder).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(TESTS)))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
