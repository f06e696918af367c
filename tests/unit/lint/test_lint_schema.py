"""Offline the API server's verdict on policy objects is foretold; the cases are those that it is asked about itself."""

from typing import Any

import pytest
from integration.policyobjects.test_schema import INVALID, INVALID_OF_CLUSTER, VALID, VALID_OF_CLUSTER

from extender.lint.check import definitions
from extender.lint.schema import flaws, named


def judged(spec: Any, kind: str) -> str:
    if spec is None:
        return "spec: Required value"
    return "; ".join(f"{named(each.path)}: {each.text}" for each in flaws(definitions()[kind], spec, ("spec",)))


@pytest.mark.parametrize("kind", ["PlacementPolicy", "ClusterPlacementPolicy"])
def test_what_is_right_is_taken(kind: str) -> None:
    specs = VALID + VALID_OF_CLUSTER * (kind != "PlacementPolicy")
    assert [(spec, judged(spec, kind)) for spec in specs if judged(spec, kind)] == []


@pytest.mark.parametrize(
    ("cases", "kind"), [(INVALID, "PlacementPolicy"), (INVALID_OF_CLUSTER, "ClusterPlacementPolicy")]
)
def test_what_is_wrong_is_refused_in_the_same_words(cases: list[tuple[Any, str]], kind: str) -> None:
    assert [(spec, part, judged(spec, kind)) for spec, part in cases if part not in judged(spec, kind)] == []


def test_a_default_stands_in_for_null_and_no_other_field_may_be_null() -> None:
    schema = definitions()["PlacementPolicy"]
    assert flaws(schema, {"mode": "Audit", "priority": None, "selector": None}) == []
    (found,) = flaws(schema, {"mode": "Audit", "classes": None})
    assert (found.path, found.text) == (("classes",), "Invalid value: 'null': must be of type array")


def test_of_a_field_that_there_is_not_the_one_that_was_meant_is_told() -> None:
    (found,) = flaws(definitions()["PlacementPolicy"], {"mode": "Audit", "clases": []})
    assert found.fix == "did you mean classes?"
    (found,) = flaws(definitions()["PlacementPolicy"], {"mode": "Audit", "zzz": 1})
    assert found.fix.startswith("fields are selector, priority")


def test_a_huge_list_takes_no_time() -> None:
    (found,) = flaws(definitions()["PlacementPolicy"], {"classes": [[]] * 1_000_000})
    assert found.text == "Too many: 1000000: must have at most 16 items"
