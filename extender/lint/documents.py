"""Manifests as objects that know in which line each of their fields stands.

YAML is typed as kubectl types it (YAML 1.1: `yes` is true), by the events of libyaml's scanner, so that neither depth
nor aliases can make it take long. JSON that is no YAML is read too, without lines.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct

from extender.core.model.errors import WireError
from extender.schedulerconfig.yamltree import typed

MAX_CHARS = 16 * 1024 * 1024
"""Longest text that is read: four times what one release of Helm may be."""
MAX_DEPTH = 200
MAX_VALUES = 2_000_000
"""Values of a document, those included that aliases stand for once more."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNRENDERED = "is a template of Helm, which is no YAML before it is rendered: give what `helm template` prints"
_TEMPLATE = re.compile(r"\{\{-?\s*(?:[.$]|include|if|range|with|define|toYaml)")


class Fields(dict[str, Any]):
    """A mapping; `lines` are those of its keys."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


class Items(list[Any]):
    """A list; `lines` are those of its items."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []


class Document(Struct, frozen=True):
    """A document of a text: its number, from 1 on, its value, and the line that it begins in (0: not known)."""

    number: int
    value: Any
    line: int


def line_of(value: Any, path: tuple[str | int, ...], line: int) -> int:
    """The line of what is at a path in a value that begins in `line`, or of the nearest above it that is there."""
    for part in path:
        known: Any = value.lines if isinstance(value, Fields | Items) else ()
        try:
            line, value = known[part], value[part]
        except (LookupError, TypeError):
            break
    return line


def documents(text: str) -> list[Document]:
    """The documents of a text; those that hold nothing, such as a comment alone, are left out.

    Raises:
        WireError: it is neither YAML nor JSON, too long, too deep, or has a key twice; the text names the line.
    """
    if len(text) > MAX_CHARS:
        raise WireError(f"the text has {len(text)} characters; no more than {MAX_CHARS} are read: split it")
    text = text.removeprefix("\ufeff")
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except WireError as error:
        if _TEMPLATE.search(text):
            raise WireError(_UNRENDERED) from error
        raise
    except yaml.YAMLError as error:
        found = _json(text) if text.lstrip()[:1] in ("{", "[") else None
        if found is not None:
            return found
        raise _no_yaml(text, error) from error
    return [each for each in builder.documents if each.value is not None]


def _no_yaml(text: str, error: yaml.YAMLError) -> WireError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    said = getattr(error, "problem", None) or str(error)
    if _TEMPLATE.search(text):
        return WireError(_UNRENDERED)
    return WireError(f"{where}is not YAML: {said}; check the indentation, quotes and brackets there")


def _json(text: str) -> list[Document] | None:
    """A stream of JSON values; None where it is none."""
    decoder, at = json.JSONDecoder(), 0
    found: list[Document] = []
    try:
        while at < len(text):
            start = at + len(text[at:]) - len(text[at:].lstrip())
            if start == len(text):
                break
            value, at = decoder.raw_decode(text, start)
            found.append(Document(len(found) + 1, value, text.count("\n", 0, start) + 1))
    except (ValueError, RecursionError):
        return None
    return found


class _Builder:
    """Makes values from the scanner's events, without recursion."""

    def __init__(self) -> None:
        self.documents: list[Document] = []
        self._number = 0
        self._open: list[Fields | Items] = []
        self._keys: list[str | None] = []
        self._names: list[str] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._counts: list[int] = []
        self._written: list[set[str]] = []

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line = mark.line + 1 if mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            self._number += 1
            self._anchors = {}
        elif isinstance(event, yaml.AliasEvent):
            name = event.anchor or ""
            if name not in self._anchors:
                raise WireError(f"line {line}: the alias *{name} has no anchor before it that is complete")
            self._add(*self._anchors[name], line)
        elif isinstance(event, yaml.ScalarEvent):
            bare = not event.style and event.implicit[0]
            value = typed(event.value) if bare else event.value
            self._anchor(event.anchor or "", value, 1)
            self._add(value, 1, line)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= MAX_DEPTH:
                raise WireError(f"line {line}: is nested more than {MAX_DEPTH} levels deep; no object is")
            self._open.append(Fields() if isinstance(event, yaml.MappingStartEvent) else Items())
            self._keys.append(None)
            self._names.append(event.anchor or "")
            self._counts.append(1)
            self._written.append(set())
        elif isinstance(event, yaml.CollectionEndEvent):
            made, count = self._open.pop(), self._counts.pop()
            self._keys.pop()
            self._written.pop()
            self._anchor(self._names.pop(), made, count)
            self._add(made, count, _first_line(made, line))

    def _anchor(self, name: str, value: Any, count: int) -> None:
        if name:
            self._anchors[name] = (value, count)

    def _add(self, value: Any, count: int, line: int) -> None:
        if not self._open:
            self.documents.append(Document(self._number, value, line))
            return
        self._counts[-1] += count
        if self._counts[-1] > MAX_VALUES:
            raise WireError(f"line {line}: the document has more than {MAX_VALUES} values; split it, or use no aliases")
        parent = self._open[-1]
        if isinstance(parent, Items):
            parent.append(value)
            parent.lines.append(line)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = self._key(parent, value, line, self._written[-1])
            return
        self._keys[-1] = None
        if key == "<<" and isinstance(value, Fields | Items):
            _merge(parent, value)
            return
        parent[key] = value

    @staticmethod
    def _key(parent: Fields, value: Any, line: int, written: set[str]) -> str:
        if isinstance(value, Fields | Items):
            raise WireError(f"line {line}: the key is a mapping or a list; write a name")
        key = value if isinstance(value, str) else json.dumps(value)
        if key in written and key != "<<":
            raise WireError(f"line {line}: {key[:60]} stands twice, first in line {parent.lines[key]}; remove one")
        written.add(key)
        parent.lines[key] = line
        return key


def _first_line(value: Fields | Items, otherwise: int) -> int:
    """The line of the first of a collection's entries."""
    lines: Iterator[int] = iter(value.lines.values() if isinstance(value, Fields) else value.lines)
    return next(lines, otherwise)


def _merge(parent: Fields, merged: Fields | Items) -> None:
    for source in merged if isinstance(merged, Items) else [merged]:
        for key, value in source.items() if isinstance(source, Fields) else ():
            if key not in parent:
                parent[key] = value
                parent.lines.setdefault(key, source.lines[key])
