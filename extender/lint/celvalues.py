"""What the functions, methods and signs of CEL give, for values as JSON has them; see `cel`."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from extender.core.model.quantity import parse_quantity
from extender.core.policy.values import parse_duration

Names = Mapping[str, Any]
Expression = Callable[[Names], Any]
"""A part of a rule: gives its value where these names stand for these values."""

_NANO = 10**9
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class CelError(ValueError):
    """An expression is none that is known here, or its values are of no use to it."""


class _Type(str):
    """The type of a value, by CEL's name."""

    __slots__ = ()


_TYPES = {name: _Type(name) for name in ("int", "string", "bool", "list", "map", "double", "null_type")}
CONSTANTS: Mapping[str, Any] = {**_TYPES, "true": True, "false": False, "null": None}


def _type(value: Any) -> _Type:
    kinds: Sequence[tuple[type, str]] = (
        (bool, "bool"),
        (int, "int"),
        (float, "double"),
        (str, "string"),
        (list, "list"),
        (dict, "map"),
    )
    return _TYPES[next((name for kind, name in kinds if isinstance(value, kind)), "null_type")]


def same(left: Any, right: Any) -> bool:
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)


def sizes(left: Any, right: Any) -> tuple[Any, Any]:
    kinds = {str(_type(each)) for each in (left, right)}
    if not (kinds <= {"int", "double"} or kinds == {"string"}):
        raise CelError(f"{left!r} and {right!r} do not compare")
    return left, right


def _matches(text: Any, pattern: Any) -> bool:
    # RE2: `$` is the end alone, and classes are of ASCII.
    return bool(re.search(pattern.replace("$", r"\Z"), text, re.ASCII))


def _quantity(text: Any) -> int:
    return parse_quantity(text, _NANO)


def _is_quantity(text: Any) -> bool:
    try:
        _quantity(text)
    except ValueError:
        return False
    return True


FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "size": len,
    "int": int,
    "string": str,
    "type": _type,
    "duration": parse_duration,
    "quantity": _quantity,
    "isQuantity": _is_quantity,
}
METHODS: Mapping[str, Callable[[Any, Any], Any]] = {
    "matches": _matches,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
    "isLessThan": operator.lt,
    "isGreaterThan": operator.gt,
}
MACROS: Mapping[str, Callable[[Sequence[Any], Expression, Names, str], Any]] = {
    "all": lambda values, test, names, name: all(test({**names, name: each}) for each in values),
    "exists": lambda values, test, names, name: any(test({**names, name: each}) for each in values),
    "exists_one": lambda values, test, names, name: sum(test({**names, name: each}) for each in values) == 1,
    "filter": lambda values, test, names, name: [each for each in values if test({**names, name: each})],
    "map": lambda values, test, names, name: [test({**names, name: each}) for each in values],
}


def called(function: Callable[..., Any], *values: Any) -> Any:
    try:
        return function(*values)
    except CelError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise CelError(str(error)) from error


def field_of(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise CelError(f"there is no {name}")
    return value[name]


def has(value: Any, name: str) -> bool:
    if not isinstance(value, dict):
        raise CelError(f"{value!r} has no fields")
    return name in value


def at(value: Any, place: Any) -> Any:
    try:
        return value[place]
    except (LookupError, TypeError) as error:
        raise CelError(f"there is no {place!r}") from error


def either(left: Expression, right: Expression, names: Names, *, decided: bool) -> bool:
    """`||` and `&&`: a side that decides it makes up for a fault of the other."""
    try:
        found = bool(left(names))
    except CelError:
        if bool(right(names)) is decided:
            return decided
        raise
    return decided if found is decided else bool(right(names))
