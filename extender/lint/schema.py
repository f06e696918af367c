"""What the API server says of an object of a kind that a CustomResourceDefinition defines, in its words.

The schema is read as it reads it when it creates the object under strict field validation: unknown fields are refused,
defaults are set first, then shapes are judged, then the rules in CEL of what has the right shape. Status is not looked
at: it is dropped at a creation. Only what our definitions use is here; what is not, is a fault when a schema is read.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from msgspec import Struct

from extender.lint.cel import compiled
from extender.lint.celvalues import CelError

Schema = Mapping[str, Any]
Path = tuple[str | int, ...]

_KNOWN = frozenset(
    {
        *("type", "description", "default", "properties", "required", "additionalProperties", "maxProperties", "items"),
        *("minItems", "maxItems", "minLength", "maxLength", "pattern", "minimum", "maximum", "enum", "format"),
        *("x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations"),
        *("x-kubernetes-int-or-string", "nullable"),
    }
)
_LONGEST = 63
_PART = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")
_MOST = 100
"""Items of a list, or keys of a map, that are looked at beyond what the schema allows."""


class Flaw(Struct, frozen=True, gc=False):
    """What is wrong with a value: where it is, the value, and the API server's words.

    `fix` is empty where these say what to do. `blocks` where no rule is asked any more: the value is of another shape.
    """

    path: Path
    value: Any
    text: str
    fix: str = ""
    blocks: bool = True


def unknown_parts(schema: Schema) -> Iterator[str]:
    """What a schema has that is not read here."""
    yield from (key for key in schema if key not in _KNOWN)
    for inner in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from unknown_parts(inner)
    for each in schema.get("x-kubernetes-validations", ()):
        yield from (f"x-kubernetes-validations.{key}" for key in each if key not in ("rule", "message"))


def flaws(schema: Schema, value: Any, path: Path = ()) -> list[Flaw]:
    """What is wrong with a value by a schema; it says nothing of null, which nothing of ours may be."""
    found = list(_shape(schema, value, path))
    return found if any(each.blocks for each in found) else [*found, *_by_rules(schema, value, path)]


def named(path: Path) -> str:
    """A path as people write it: `spec.classes[0].base`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def path_of(field: str) -> Path:
    """What `named` makes of a path, back again; an empty index ends it: `spec.classes[].weight` is of all classes."""
    parts = _PART.finditer(field.partition("[]")[0])
    return tuple(int(match[2]) if match[2] else match[1] for match in parts)


def unknown_field(path: Path, value: Any, known: Iterable[str]) -> Flaw:
    """There is no such field: the name that was meant, if one of those known is near, or all of them."""
    names = list(known)
    near = difflib.get_close_matches(str(path[-1])[:_LONGEST], names, 1)
    fix = f"did you mean {near[0]}?" if near else f"fields are {', '.join(names)}"
    return Flaw(path, value, f'unknown field "{named(path)}"', fix)


def _shape(schema: Schema, value: Any, path: Path) -> Iterator[Flaw]:
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield Flaw(path, value, f"Invalid value: must be of type integer or string: {_kind(value)!r}")
        else:
            yield from _text(schema, value, path)
            yield from _bounds(schema, value, path)
        return
    wanted = schema.get("type", "object")
    if not _IS[wanted](value):
        yield Flaw(path, value, f"Invalid value: {_kind(value)!r}: must be of type {wanted}")
        return
    if "enum" in schema and value not in schema["enum"]:
        supported = ", ".join(f'"{each}"' for each in schema["enum"])
        yield Flaw(path, value, f"Unsupported value: {value!r}: supported values: {supported}")
    if wanted == "object":
        yield from _object(schema, value, path)
    elif wanted == "array":
        yield from _array(schema, value, path)
    else:
        yield from _text(schema, value, path)
        yield from _bounds(schema, value, path)


def _object(schema: Schema, value: Mapping[str, Any], path: Path) -> Iterator[Flaw]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name in schema.get("required", ()):
        if value.get(name) is None:
            yield Flaw((*path, name), None, "Required value", f"add {name}")
    most = schema.get("maxProperties")
    if most is not None and len(value) > most:
        yield Flaw(path, len(value), f"Too many: {len(value)}: must have at most {most} items")
        return
    for name, inner in list(value.items())[:_MOST]:
        here = (*path, name)
        known = properties.get(name, others)
        if not isinstance(known, dict):
            yield unknown_field(here, inner, properties)
        elif inner is not None or ("default" not in known and name not in schema.get("required", ())):
            yield from _shape(known, inner, here)


def _array(schema: Schema, value: Sequence[Any], path: Path) -> Iterator[Flaw]:
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if len(value) < least:
        yield Flaw(path, len(value), f"Invalid value: {len(value)}: should have at least {least} items", blocks=False)
    if most is not None and len(value) > most:
        yield Flaw(path, len(value), f"Too many: {len(value)}: must have at most {most} items")
        return
    for number, item in enumerate(value[:_MOST]):
        yield from _shape(schema["items"], item, (*path, number))
    seen: list[Any] = []
    keys = schema.get("x-kubernetes-list-map-keys", ())
    for number, item in enumerate(value[:_MOST] if keys else ()):
        mark = [item.get(key) for key in keys] if isinstance(item, dict) else item
        if mark in seen:
            said = mark[0] if isinstance(item, dict) and len(keys) == 1 else mark
            yield Flaw((*path, number), said, "Duplicate value", "name each once", blocks=False)
        seen.append(mark)


def _text(schema: Schema, value: Any, path: Path) -> Iterator[Flaw]:
    if not isinstance(value, str):
        return
    if len(value) > schema.get("maxLength", len(value)):
        yield Flaw(path, value, f"Too long: may not be more than {schema['maxLength']} bytes")
    if len(value) < schema.get("minLength", 0):
        least = schema["minLength"]
        yield Flaw(path, value, f"Invalid value: {value!r}: should be at least {least} chars long", blocks=False)
    pattern = schema.get("pattern")
    if pattern is not None and not re.search(pattern, value, re.ASCII):
        yield Flaw(path, value, f"Invalid value: {value!r}: should match '{pattern}'", _fix(schema), blocks=False)


def _fix(schema: Schema) -> str:
    """What to write, by the description of a field, which gives examples."""
    said: str = schema.get("description", "")
    return f"write t{said[1:].removesuffix('.')}" if said.startswith("The ") else ""


def _bounds(schema: Schema, value: Any, path: Path) -> Iterator[Flaw]:
    if isinstance(value, str):
        return
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and value < low:
        yield Flaw(path, value, f"Invalid value: {value}: should be greater than or equal to {low}", blocks=False)
    if high is not None and value > high:
        yield Flaw(path, value, f"Invalid value: {value}: should be less than or equal to {high}", blocks=False)


def _by_rules(schema: Schema, value: Any, path: Path) -> Iterator[Flaw]:
    value = with_defaults(schema, value)
    for each in schema.get("x-kubernetes-validations", ()):
        try:
            right = _rule(each["rule"])({"self": value})
        except CelError as error:
            right, why = False, f": {error}"
        else:
            why = ""
        if not right:
            yield Flaw(path, value, f"Invalid value: {each['message']}{why}")
    if isinstance(value, dict):
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            known = properties.get(name, others)
            if isinstance(known, dict):
                yield from _by_rules(known, inner, (*path, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _by_rules(schema["items"], item, (*path, number))


def with_defaults(schema: Schema, value: Any) -> Any:
    """A value with the defaults of its schema, one level deep; null counts as nothing where there is one."""
    if not isinstance(value, dict):
        return value
    defaults = {
        name: inner["default"]
        for name, inner in schema.get("properties", {}).items()
        if "default" in inner and value.get(name) is None
    }
    return {**value, **defaults} if defaults else value


_rule = cache(compiled)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_IS: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "boolean": lambda value: isinstance(value, bool),
    "number": lambda value: _is_integer(value) or isinstance(value, float),
}


def _kind(value: Any) -> str:
    return "null" if value is None else next(name for name in (*_ORDER,) if _IS[name](value))


_ORDER = ("boolean", "integer", "number", "string", "array", "object")
