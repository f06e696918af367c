"""Classes have names of their own, those of the product and of its unit tests: whoever reads one need not ask which."""

import ast
from collections import defaultdict
from collections.abc import Iterable

from programs import ROOT


def shared_names(folders: Iterable[str]) -> dict[str, list[str]]:
    """Names of classes that two or more modules below these folders define, and which do."""
    places = defaultdict[str, list[str]](list)
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(str(path.relative_to(ROOT)))
    return {name: where for name, where in places.items() if len(where) > 1}


def test_no_two_classes_of_unit_tests_and_their_support_share_a_name() -> None:
    assert shared_names(["tests/unit", "tests/support"]) == {}


def test_no_two_classes_that_a_module_gives_to_others_share_a_name() -> None:
    found = shared_names(["extender"])
    # What begins with a line is of one module alone.
    assert {name: where for name, where in found.items() if not name.startswith("_")} == {}
