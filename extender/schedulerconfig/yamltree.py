"""YAML and JSON text as a tree that knows where in the text each value stands, so that it can be edited in place.

A round trip through objects would lose indentation, line ends and the place of comments; here nothing is rendered
again but what changes. The scanner is libyaml's, which kube-scheduler's own parser descends from: both accept the same.
Aliases are never expanded, depth and length are bounded, so no document takes long.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from extender.core.model.errors import WireError

MAX_CHARS = 256 * 1024
"""Longest text that is read; takes a second at most."""
MAX_DEPTH = 64
"""Deepest nesting that is read, through aliases too."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]{1,16}|0[bB][01]{1,64}|0[oO]?[0-7]{1,22}|0|[1-9][0-9_]{0,30})$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")

Value = str | int | float | bool | None
Kind = Literal["mapping", "sequence", "scalar", "alias"]


class YamlNode(Struct, kw_only=True):
    """A value in the text.

    Attributes:
        kind: what it is; see `target` for what an alias stands for.
        start: index of its first character, anchor and tag included.
        end: index after its last character; trailing comments are no part of it.
        line: 1-based line of its start.
        column: 1-based column of its start.
        flow: it is written in brackets or braces.
        bare: a scalar without quotes, block indicator and tag.
        value: a scalar's text; an alias's name.
        pairs: keys and values of a mapping.
        places: index in `pairs` by key, as it is written.
        items: values of a sequence.
        of: the node an alias stands for.
        digest: equal for values that are equal, whatever their style.
        height: levels below it.
    """

    kind: Kind
    start: int
    end: int
    line: int
    column: int
    flow: bool = False
    bare: bool = False
    value: str = ""
    pairs: list[tuple["YamlNode", "YamlNode"]] = msgspec.field(default_factory=list)
    places: dict[str, int] = msgspec.field(default_factory=dict)
    items: list["YamlNode"] = msgspec.field(default_factory=list)
    of: "YamlNode | None" = None
    digest: bytes = b""
    height: int = 0
    _found: dict[str, "YamlNode | None"] = msgspec.field(default_factory=dict)

    @property
    def target(self) -> "YamlNode":
        """The value itself, or what the alias stands for."""
        return self.of or self

    def get(self, key: str) -> "YamlNode | None":
        """The value under a key of a mapping as it is written, without merges; None when there is none."""
        pair = self.pair(key)
        return pair[1] if pair else None

    def pair(self, key: str) -> "tuple[YamlNode, YamlNode] | None":
        """Key and value under a key of a mapping as it is written."""
        at = self.places.get(key)
        return self.pairs[at] if at is not None else None

    def find(self, key: str) -> "YamlNode | None":
        """The value under a key of a mapping, merges included; None when there is none."""
        if self.of is not None:
            return self.of.find(key)
        if key not in self._found:
            # Kept, for one mapping may be merged into many, and many into one.
            self._found[key] = self._look_up(key)
        return self._found[key]

    def _look_up(self, key: str) -> "YamlNode | None":
        if (value := self.get(key)) is not None:
            return value.target
        merged = self.get("<<")
        sources = (merged.target.items or [merged]) if merged is not None else []
        return next((found for source in sources if (found := source.find(key)) is not None), None)

    @property
    def scalar(self) -> Value:
        """A scalar's value as kube-scheduler's parser types it; None for a collection too."""
        node = self.target
        if node.kind != "scalar":
            return None
        return typed(node.value) if node.bare else node.value

    @property
    def seen(self) -> str:
        """What it is, for a message."""
        node = self.target
        if node.kind != "scalar":
            return "a mapping" if node.kind == "mapping" else "a list"
        value = node.scalar
        if isinstance(value, str):
            return json.dumps(value[:60], ensure_ascii=False)
        return "null" if value is None else node.value[:60]


def typed(text: str) -> Value:
    """The value of an unquoted scalar, as kube-scheduler's parser (YAML 1.1) types it."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.match(text):
        digits = text.replace("_", "")
        octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
        return int(f"{octal[1]}0o{octal[2]}", 0) if octal else int(digits, 0)
    return float(text) if _FLOAT.match(text) else text


def fault(at: YamlNode, path: str, text: str) -> WireError:
    """An error about a value: where it stands, its path, what is wrong and what to do."""
    return WireError(f"line {at.line}, column {at.column}: {path} {text}")


def documents(text: str) -> list[YamlNode]:
    """The root of each document of a text that begins without a byte order mark.

    Raises:
        WireError: it is no YAML, too long or too deep, or has a key twice; the text names line and column.
    """
    if len(text) > MAX_CHARS:
        raise WireError(f"the text has {len(text)} characters; no more than {MAX_CHARS} are read")
    if match := _UNPRINTABLE.search(text):
        line, column = text.count("\n", 0, match.start()) + 1, match.start() - text.rfind("\n", 0, match.start())
        code = f"U+{ord(match[0]):04X}"
        raise WireError(f"line {line}, column {column}: the character {code} is not allowed in YAML; remove it")
    builder = _Builder()
    try:
        for event in yaml.parse(_scannable(text), Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        context = f" {error.context}" if error.context else ""
        raise WireError(f"{where}is not YAML: {error.problem}{context}; {_hint(text, mark)}") from error
    except yaml.YAMLError as error:
        raise WireError(f"is not YAML: {error}") from error
    return builder.roots


def _hint(text: str, mark: yaml.Mark | None) -> str:
    lines = text.split("\n")
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "indent with spaces, not with tabs"
    return "check the indentation, quotes and brackets there"


def expect_json(text: str) -> None:
    """Check a text that `documents` has read: kube-scheduler takes all that begins with a brace for JSON.

    Raises:
        WireError: it begins so, and is no JSON.
    """
    try:
        if text.lstrip().startswith("{"):
            json.loads(text, parse_int=str)
    except json.JSONDecodeError as error:
        what = f"begins with a brace, so that kube-scheduler reads JSON, but is none: {error.msg}"
        where = f"line {error.lineno}, column {error.colno}"
        raise WireError(f"{where}: {what}; write JSON, or YAML without the outer braces") from error


def _scannable(text: str) -> str:
    """The text for a YAML scanner, at the same positions: JSON may escape surrogates, which YAML may not."""
    return _SURROGATE.sub(r"\\u0041", text) if text.lstrip().startswith("{") else text


class _Builder:
    """Makes the trees from the scanner's events, without recursion."""

    def __init__(self) -> None:
        self.roots: list[YamlNode] = []
        self._open: list[YamlNode] = []
        self._keys: list[YamlNode | None] = []
        self._anchors: dict[str, YamlNode] = {}

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(event))
        elif isinstance(event, yaml.ScalarEvent):
            node = self._node("scalar", event)
            node.bare = not event.style and event.implicit[0]
            node.value, node.end = event.value, _index(event.end_mark)
            self._anchor(event, node)
            self._add(node)
        elif isinstance(event, yaml.CollectionStartEvent):
            node = self._node("mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence", event)
            node.flow = bool(event.flow_style)
            self._anchor(event, node)
            self._open.append(node)
            self._keys.append(None)
            if len(self._open) > MAX_DEPTH:
                raise _too_deep(node)
        elif isinstance(event, yaml.CollectionEndEvent):
            node = self._open.pop()
            self._keys.pop()
            if node.flow:
                node.end = _index(event.end_mark)
            self._add(node)

    def _node(self, kind: Kind, event: yaml.NodeEvent) -> YamlNode:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        return YamlNode(kind=kind, start=_index(mark), end=_index(mark), line=line, column=column)

    def _anchor(self, event: yaml.NodeEvent, node: YamlNode) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _alias(self, event: yaml.AliasEvent) -> YamlNode:
        node = self._node("alias", event)
        node.end, node.value = _index(event.end_mark), event.anchor or ""
        node.of = self._anchors.get(node.value)
        if node.of is None:
            raise fault(node, f"the alias *{node.value}", f"has no anchor; write &{node.value} before it")
        if node.of.kind != "scalar" and not node.of.digest:
            raise fault(node, f"the alias *{node.value}", "stands inside its own anchor; write the value out")
        return node

    def _add(self, node: YamlNode) -> None:
        _close(node)
        if not self._open:
            self.roots.append(node)
            return
        parent = self._open[-1]
        parent.end = max(parent.end, node.end)
        if parent.kind == "sequence":
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            if node.target.kind != "scalar":
                raise fault(node, "the key", f"is {node.seen}; write a name")
            name = node.target.value
            if (first := parent.places.setdefault(name, len(parent.pairs))) != len(parent.pairs):
                raise fault(node, name[:60], f"stands twice, first in line {parent.pairs[first][0].line}; remove one")
            self._keys[-1] = node
        else:
            parent.pairs.append((key, node))
            self._keys[-1] = None


def _index(mark: Any) -> int:
    index: int = mark.index if mark else 0
    return index


def _too_deep(node: YamlNode) -> WireError:
    return fault(node, "the value", f"is nested more than {MAX_DEPTH} levels deep; no scheduler configuration is")


def _children(node: YamlNode) -> Iterator[YamlNode]:
    if node.of is not None:
        yield node.of
    yield from node.items
    for pair in node.pairs:
        yield from pair


def _close(node: YamlNode) -> None:
    """Complete a node whose children are complete."""
    if node.of is not None:
        node.digest, node.height = node.of.digest, node.of.height
        return
    node.height = 1 + max((child.height for child in _children(node)), default=-1)
    if node.height > MAX_DEPTH:
        raise _too_deep(node)
    head = node.kind + (ascii(node.scalar) if node.kind == "scalar" else "")
    parts = [head.encode(), *(child.digest for child in _children(node))]
    node.digest = hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()
