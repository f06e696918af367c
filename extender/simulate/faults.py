"""Says what is wrong with a file in the words of the file: msgspec's text, with the value seen and the fix."""

import difflib
import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_NO_TEXT = re.compile(r"Expected `str(?: \| null)?`, got `(\w+)`")
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|(\[\.\.\.\])")


def explained(fault: str, tree: Any, part: type[Struct]) -> str:
    """A fault of `msgspec.convert`, with the fix.

    Args:
        fault: the error's text.
        tree: what was converted.
        part: to which type.
    """
    match = _PLACE.fullmatch(fault)
    text, path = match.groups(default="") if match else (fault, "")
    where = path.removeprefix(".")
    unknown = _UNKNOWN.fullmatch(text)
    if unknown:
        known = _keys(_type_at(path, part))
        near = difflib.get_close_matches(unknown.group(1), known, 1)
        fix = f"did you mean {near[0]}?" if near else "known are " + ", ".join(known)
        return f"{where or 'the file'} has no key {unknown.group(1)!r}; {fix}"
    not_text = _NO_TEXT.fullmatch(text)
    if not_text and path.endswith("[...]"):
        return f'{where.removesuffix("[...]")}: a value is of type {not_text.group(1)}; write it in quotes, as "70"'
    allowed = _type_at(path, part)
    if get_origin(allowed) is Literal:
        text += "; write one of " + ", ".join(get_args(allowed))
    elif text.startswith(("Expected", "Invalid")):
        text += _seen(path, tree)
    return f"{where}: {text}" if where else text


def _seen(path: str, tree: Any) -> str:
    here = tree
    for key, index, unsaid in _STEP.findall(path):
        if unsaid:
            return ""
        here = here[key] if key else here[int(index)]
    return f"; seen {here!r}"


def _keys(part: Any) -> list[str]:
    return [each.encode_name for each in msgspec.structs.fields(part)] if _is_part(part) else []


def _type_at(path: str, part: Any) -> Any:
    """The type at a path such as `.pools[0].reclaim`."""
    for key, _, _ in _STEP.findall(path):
        if key:
            hints = get_type_hints(part)
            name = next(each.name for each in msgspec.structs.fields(part) if each.encode_name == key)
            part = _inner(hints[name])
    return part


def _is_part(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Struct)


def _inner(hint: Any) -> Any:
    """The part, or the choice of values, that a type is made of."""
    if _is_part(hint) or get_origin(hint) is Literal:
        return hint
    if get_origin(hint) in (Union, UnionType, tuple, dict, Annotated):
        inner = [_inner(each) for each in get_args(hint)]
        return next((each for each in inner if _is_part(each) or get_origin(each) is Literal), hint)
    return hint
