r"""JSONPath as kubectl has it: `-o jsonpath=TEMPLATE`, and the paths of `-o custom-columns=SPEC`.

A template is text with actions in braces: a path (`{.workloads[*].name}`), a text (`{"\n"}`), and `{range PATH}..{end}`
for each value. A path has names (`.name`, `['name']`, `\.` for a dot in one), `*`, `..name` for all below, numbers
(`[0]`, `[-1]`, `[1:3]`, `[0,2]`), and filters that compare (`[?(@.surplus>0)]`). What is not there is no value, and no
error.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeAlias

from msgspec import Struct

from extender.core.model.foreign import json_escaped, plain

Step: TypeAlias = Callable[[Any, Any], Iterable[Any]]
"""From a value, and the value that is the root, to those it leads to."""

_NAME = re.compile(r"(?:\\.|[^\s.\[\](){}'\"=!<>,*\\])+")
_INDEX = re.compile(r"-?\d+$")
_SLICE = re.compile(r"(-?\d*):(-?\d*)(?::(\d+))?$")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_OPERATOR = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*")
_KEYWORD = re.compile(r"(range|end)\b\s*")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_COMPARE = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class JsonPathError(ValueError):
    """A template that cannot be read; the text says where."""


class Path(Struct, frozen=True):
    """Where values are: from the root if `absolute`, else from the value that is looked at."""

    steps: tuple[Step, ...]
    absolute: bool = False

    def find(self, value: Any, root: Any) -> list[Any]:
        """The values there, in order; none where there is nothing."""
        found = [root if self.absolute else value]
        for step in self.steps:
            found = [inner for each in found for inner in step(each, root)]
        return found


class Range(Struct, frozen=True):
    """What is written for each value of a path."""

    path: Path
    body: "tuple[str | Path | Range, ...]"


Part = str | Path | Range


def render(parts: Sequence[Part], value: Any, root: Any) -> str:
    """The text of a template for a tree of JSON, of which `value` is looked at."""
    return "".join(_rendered(part, value, root) for part in parts)


def _rendered(part: Part, value: Any, root: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, Path):
        return " ".join(map(text_of, part.find(value, root)))
    return "".join(render(part.body, each, root) for each in part.path.find(value, root))


def text_of(value: Any) -> str:
    """A value as it is written: texts as they are, with what a terminal would obey escaped, all else as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "".join(each if plain(each) else json_escaped(each) for each in text)


def read_template(text: str) -> tuple[Part, ...]:
    """Read a template.

    Raises:
        JsonPathError: it is none.
    """
    return _Reader(text).template()


def read_path(text: str) -> Path:
    """Read one path, with or without braces and the dot before it, as columns have it.

    Raises:
        JsonPathError: it is none.
    """
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    reader = _Reader(bare if bare[:1] in (".", "[", "$", "@", "") else f".{bare}")
    path = reader.path()
    if not bare or reader.rest:
        raise reader.fault("is no path such as .name")
    return path


class _Reader:
    """Reads from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    def fault(self, why: str) -> JsonPathError:
        return JsonPathError(f"{self.rest or self._text!r} {why}")

    def template(self) -> tuple[Part, ...]:
        parts = tuple(self._parts())
        if self.rest:
            raise self.fault("has {end} without {range}")
        return parts

    def _parts(self) -> Iterator[Part]:
        """Up to an {end}, which is left, or the end."""
        while self.rest:
            text, brace, _ = self.rest.partition("{")
            if text:
                self._at += len(text)
                yield text
            if not brace or self.rest.startswith("{end}"):
                return
            self._at += 1
            yield self._action()

    def _action(self) -> Part:
        self._skip_spaces()
        if self.rest[:1] in ("'", '"'):
            part: Part = self._quoted()
            self._close()
            return part
        keyword = _KEYWORD.match(self.rest)
        if keyword is None:
            part = self.path()
            self._close()
            return part
        self._at += keyword.end()
        path = self.path()
        self._close()
        body = tuple(self._parts())
        if not self._taken("{end}"):
            raise JsonPathError(f"{self._text!r} has {{range}} without {{end}}")
        return Range(path, body)

    def path(self) -> Path:
        absolute = self._taken("$")
        if not absolute and not self._taken("@") and self.rest[:1] not in (".", "["):
            raise self.fault("is no path, which begins with a dot")
        return Path(tuple(self._steps()), absolute)

    def _steps(self) -> Iterator[Step]:
        while self.rest[:1] in (".", "["):
            if self._taken("["):
                yield self._bracket()
            elif self._taken(".."):
                yield _all_below
                yield _member("*") if self._taken("*") else _member(self._name())
            elif self._taken(".*"):
                yield _member("*")
            else:
                self._at += 1
                # A dot alone is the value itself.
                if _NAME.match(self.rest):
                    yield _member(self._name())

    def _bracket(self) -> Step:
        if self._taken("?("):
            step = self._filter()
            if not self._taken(")]"):
                raise self.fault("is no end of a filter, which is )]")
            return step
        if self.rest[:1] in ("'", '"'):
            name = self._quoted()
            if not self._taken("]"):
                raise self.fault("is no end of a name, which is ]")
            return _key(name)
        inside, closed, _ = self.rest.partition("]")
        if not closed:
            raise self.fault("has [ without ]")
        chosen = _chooser(inside.strip())
        if chosen is None:
            raise JsonPathError(f"[{inside}] is no index: write a number, a slice such as 1:3, *, a quoted name or ?()")
        self._at += len(inside) + 1
        return chosen

    def _filter(self) -> Step:
        left = self._operand()
        sign = _OPERATOR.match(self.rest)
        if sign is None:
            self._skip_spaces()
            return lambda value, root: (each for each in _elements(value) if left.find(each, root))
        self._at += sign.end()
        right, compare = self._operand(), _COMPARE[sign[1]]
        self._skip_spaces()
        return lambda value, root: (
            each for each in _elements(value) if _holds(compare, left.find(each, root), right.find(each, root))
        )

    def _operand(self) -> Path:
        self._skip_spaces()
        if self.rest[:1] in ("'", '"'):
            return _constant(self._quoted())
        number = _NUMBER.match(self.rest)
        if number is not None:
            self._at += number.end()
            return _constant(json.loads(number[0]))
        for word, value in (("true", True), ("false", False), ("null", None)):
            if self._taken(word):
                return _constant(value)
        return self.path()

    def _name(self) -> str:
        found = _NAME.match(self.rest)
        if found is None:
            raise self.fault("is no name")
        self._at += found.end()
        return re.sub(r"\\(.)", r"\1", found[0])

    def _quoted(self) -> str:
        quote, text = self.rest[0], []
        self._at += 1
        while self.rest and self.rest[0] != quote:
            escaped = self._taken("\\")
            text.append(_ESCAPES.get(self.rest[:1], self.rest[:1]) if escaped else self.rest[0])
            self._at += 1
        if not self._taken(quote):
            raise JsonPathError(f"{self._text!r} has a quotation without an end")
        return "".join(text)

    def _close(self) -> None:
        self._skip_spaces()
        if not self._taken("}"):
            raise self.fault("is no end of an action, which is }")

    def _taken(self, text: str) -> bool:
        """Whether it stands here; then it has been read."""
        there = self.rest.startswith(text)
        self._at += len(text) * there
        return there

    def _skip_spaces(self) -> None:
        self._at += len(self.rest) - len(self.rest.lstrip())


def _elements(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _key(name: str) -> Step:
    return lambda value, _: [value[name]] if isinstance(value, dict) and name in value else []


def _member(name: str) -> Step:
    return (lambda value, _: _elements(value)) if name == "*" else _key(name)


def _all_below(value: Any, root: Any) -> Iterator[Any]:
    yield value
    for each in _elements(value):
        yield from _all_below(each, root)


def _constant(value: Any) -> Path:
    return Path((lambda _, __: [value],))


def _chooser(text: str) -> Step | None:
    """What numbers in brackets choose; None when they are none."""
    if text == "*":
        return _member("*")
    sliced = _SLICE.match(text)
    if sliced is not None:
        first, last, by = (int(each) if each else None for each in sliced.groups())
        return lambda value, _: value[first : last : by or None] if isinstance(value, list) else []
    numbers = [each.strip() for each in text.split(",")]
    if not all(_INDEX.match(each) for each in numbers):
        return None
    indices = [int(each) for each in numbers]
    return lambda value, _: (
        [value[i] for i in indices if -len(value) <= i < len(value)] if isinstance(value, list) else []
    )


def _holds(compare: Callable[[Any, Any], bool], left: list[Any], right: list[Any]) -> bool:
    """Whether a value compares so with another; values of different kinds do not."""
    try:
        return bool(left and right) and compare(left[0], right[0])
    except TypeError:
        return False
