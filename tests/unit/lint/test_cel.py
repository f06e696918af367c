"""What the rules of our definitions mean, judged without an API server; what is not known is refused, not guessed."""

from collections.abc import Iterator
from typing import Any

import pytest
from generate.schemas import definitions as defined
from generate.schemas import schema_of

from extender.lint.cel import compiled
from extender.lint.celvalues import CelError
from extender.lint.check import definitions
from extender.lint.schema import unknown_parts


def rules_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "x-kubernetes-validations":
                yield from (each["rule"] for each in value)
            yield from rules_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from rules_in(value)


def test_every_rule_and_every_part_of_the_definitions_is_known() -> None:
    rules = {rule for each in defined() for rule in rules_in(schema_of(each)["properties"]["spec"])}
    assert len(rules) >= 16
    assert rules == {rule for schema in definitions().values() for rule in rules_in(schema)}
    for rule in rules:
        compiled(rule)
    assert [part for schema in definitions().values() for part in unknown_parts(schema)] == []
    assert list(unknown_parts({"items": {"oneOf": []}})) == ["oneOf"]


@pytest.mark.parametrize(
    ("rule", "value", "expected"),
    [
        ("self == 1", 1, True),
        ("self == 1", True, False),
        ("self != 'a'", "b", True),
        ("self + 1", 1, None),
        ("self >= 0 && self <= 10000", 10001, False),
        ("self in ['a', 'b']", "b", True),
        ("self in ['a', 'b']", "c", False),
        ("size(self) > 0", "", False),
        ("self.filter(each, type(each) == string).size() <= 1", ["a", 1, "b"], False),
        ("!has(self.a) || self.a > 2", {"a": 2}, False),
        ("!has(self.a) || self.a > 2", {}, True),
        ("has(self.a.b)", {"a": {}}, False),
        ("self.a > 1 || true", {}, True),
        ("true || self.a > 1", {}, True),
        ("false && self.a > 1", {}, False),
        ("self.a > 1 && false", {}, False),
        ("self.exists(each, has(each.w) && each.w > 0)", [{}, {"w": 1}], True),
        ("self.all(each, each > 0)", [1, 0], False),
        ("self.exists_one(each, each > 0)", [1, 1], False),
        ("self.filter(each, each > 1) == [2, 3]", [1, 2, 3], True),
        ("self.map(each, each.n)[1] == 'b'", [{"n": "a"}, {"n": "b"}], True),
        ("type(self) == int ? self >= 1 : self.matches('^[0-9]%$')", "5%", True),
        ("type(self) == int ? self >= 1 : self.matches('^[0-9]%$')", 0, False),
        ("self.matches('^a$')", "a\n", False),
        ("self.matches('^\\\\S+$')", "a b", False),
        ("self.matches('a') && self.startsWith('b') && self.endsWith('a') && self.contains('b')", "ba", True),
        ("duration(self) <= duration('1h')", "61m", False),
        ("isQuantity(self) && !quantity(self).isLessThan(quantity('0'))", "1.5Gi", True),
        ("isQuantity(self)", "lots", False),
        ("quantity(self).isGreaterThan(quantity('500m'))", "0.4", False),
        ("(self == -1) == true", -1, True),
        ("self == null", None, True),
    ],
)
def test_what_it_means(rule: str, value: Any, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(CelError):
            compiled(rule)
    else:
        assert compiled(rule)({"self": value}) is expected


@pytest.mark.parametrize(
    ("rule", "value"), [("self.a", {}), ("self < 1", "a"), ("self[3]", [1]), ("has(self.a)", 3), ("duration(self)", 3)]
)
def test_a_value_that_is_of_no_use_to_a_rule_is_a_fault(rule: str, value: Any) -> None:
    with pytest.raises(CelError):
        compiled(rule)({"self": value})


@pytest.mark.parametrize(
    "rule",
    ["", "self ==", "other == 1", "self.sum()", "optional(self)", "self # 1", "(self", "[1", "self.all(1, x)", "1 1"],
)
def test_what_is_not_known_is_refused_when_it_is_read(rule: str) -> None:
    with pytest.raises(CelError, match="the rule"):
        compiled(rule)
