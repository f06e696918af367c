"""Edits of YAML and JSON text in place: each touches the lines it has to, in the style that is there.

What cannot be told from the text alone (an anchor that is replaced but still referred to) is the caller's to find, by
reading the result again.
"""

import json
import re
from collections.abc import Collection, Mapping
from itertools import groupby
from typing import Any

from extender.schedulerconfig.yamltree import YamlNode, typed

# Everything that is written otherwise is put in quotes.
_PLAIN = re.compile(r"[A-Za-z0-9/](?:[\w./@%+=~-]|:(?=[\w/.]))*$", re.ASCII)
_DASH = re.compile(r"^[ \t]*-(?=\s|$)", re.MULTILINE)


class Edits:
    """Edits to be made to a text, at positions of its trees.

    Args:
        text: what the trees were read from.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._edits: list[tuple[int, int, str]] = []

    def __bool__(self) -> bool:
        return bool(self._edits)

    def apply(self) -> str:
        """The text with all edits made."""
        parts, at = [], 0
        for start, end, new in sorted(self._edits):
            parts += [self._text[at:start], new]
            at = max(at, end)
        return "".join([*parts, self._text[at:]])

    def set(self, mapping: YamlNode, key: str, value: str | float) -> None:
        """Replace the value of a key that is there by a scalar."""
        pair = mapping.pair(key)
        if pair is None:
            return
        node = pair[1]
        new = scalar_text(value, quoted=mapping.flow)
        if node.start == node.end:
            new = " " + new
        elif self._text[node.end - 1] == "\n":
            new += self._newline
        self._edits.append((node.start, node.end, new))

    def add(self, mapping: YamlNode, pairs: Mapping[str, Any]) -> None:
        """Add keys that are not there to the end of a mapping that has some; values are scalars or mappings of them."""
        if mapping.flow:
            self._add_flow(mapping, pairs)
        else:
            margin = " " * (mapping.pairs[0][0].column - 1)
            self._insert_lines(mapping.end, block_lines(pairs, margin))

    def remove(self, mapping: YamlNode, keys: Collection[str]) -> None:
        """Remove keys, those that are there, of a mapping that has others; comments on lines of their own stay."""
        places = [at for at, (name, _) in enumerate(mapping.pairs) if name.target.value in keys]
        # What goes side by side goes in one edit: the text between belongs to both.
        for _, run in groupby(enumerate(places), lambda numbered: numbered[1] - numbered[0]):
            side_by_side = [place for _, place in run]
            self._remove(mapping, side_by_side[0], side_by_side[-1])

    def _remove(self, mapping: YamlNode, at: int, last: int) -> None:
        pairs = mapping.pairs
        start, end = pairs[at][0].start, pairs[last][1].end
        alone = not self._text[self._line_start(start) : start].strip()
        if at and mapping.flow:
            start = pairs[at - 1][1].end
        elif mapping.flow or not alone:
            # The first of a flow mapping, or one on the line of a list item's dash: the next moves up.
            end = pairs[last + 1][0].start if last + 1 < len(pairs) else end
        else:
            for name, value in pairs[at : last + 1]:
                start, end = self._line_start(name.start), self._next_line(value.end)
                self._edits.append((start, end, self._comments(value, start, end)))
            return
        self._edits.append((start, end, ""))

    def make(self, mapping: YamlNode, key: str, wanted: Mapping[str, Any]) -> bool:
        """Let the mapping of scalars under a key hold these pairs and no others; whether that takes edits."""
        pair = mapping.pair(key)
        if pair is None:
            return False
        value = pair[1].target
        present = {name.target.value: node.target for name, node in value.pairs}
        wrong = [name for name, node in present.items() if name in wanted and node.scalar != wanted[name]]
        spare = [name for name in present if name not in wanted]
        missing = {name: new for name, new in wanted.items() if name not in present}
        if not (wrong or spare or missing):
            return False
        if pair[1].kind == "alias" or (spare and value.flow) or len(spare) == len(present):
            self._replace(mapping, key, wanted)
            return True
        for name in wrong:
            self.set(value, name, wanted[name])
        self.remove(value, spare)
        if missing:
            self.add(value, missing)
        return True

    def append_to(self, root: YamlNode, key: str, entry: Mapping[str, Any]) -> None:
        """Append a mapping to the list under a key of a mapping; the key may be missing, null or an empty list."""
        pair = root.pair(key)
        if pair is not None and pair[1].target.items:
            self._append(pair[1], entry)
        elif root.flow:
            lead, unit = self._lead(root.pairs[0][0].start), self._unit(root)
            text = _json([entry], lead, unit, pretty=self._pretty(root))
            if pair is None:
                self._after_last(root, f"{json.dumps(key)}: {text}")
            else:
                self._edits.append((pair[1].start, pair[1].end, text if pair[1].end > pair[1].start else " " + text))
        else:
            margin = " " * (root.pairs[0][0].column - 1 + _list_indent(root))
            lines = item_lines(entry, margin, 2)
            if pair is None:
                self._insert_lines(root.end, [f"{' ' * (root.pairs[0][0].column - 1)}{key}:", *lines])
            else:
                # The null or empty list goes, a comment behind it stays.
                start = len(self._text[: pair[1].start].rstrip(" \t"))
                self._edits.append((start, pair[1].end, ""))
                self._insert_lines(pair[1].end, lines)

    def _append(self, sequence: YamlNode, entry: Mapping[str, Any]) -> None:
        if sequence.kind == "alias":
            # Left as it is: the caller finds that nothing has been added.
            return
        last = sequence.items[-1]
        if sequence.flow:
            inner = last.target
            pretty = last is inner and self._pretty(inner)
            lead = self._lead(last.start)
            text = _json(entry, lead, self._unit(inner), pretty=pretty)
            own_line = not self._text[self._line_start(last.start) : last.start].strip()
            gap = self._newline + lead if own_line else " "
            self._edits.append((last.end, last.end, "," + gap + self._broken(text)))
            return
        dash = sequence.start
        if self._text[dash : dash + 1] != "-" and (match := _DASH.search(self._text, sequence.start)):
            dash = match.end() - 1
        margin = self._text[self._line_start(dash) : dash]
        first = sequence.items[0]
        offset = first.column - 1 - len(margin) if first.line == sequence.line else 2
        self._insert_lines(sequence.end, item_lines(entry, margin, max(2, offset)))

    def _replace(self, mapping: YamlNode, key: str, wanted: Mapping[str, Any]) -> None:
        """Replace the whole value of a key by a mapping."""
        pair = mapping.pair(key)
        if pair is None:
            return
        name, value = pair
        if mapping.flow or value.flow:
            self._edits.append((value.start, value.end, json.dumps(wanted, ensure_ascii=False)))
            return
        start = self._text.index(":", name.end) + 1
        margin = " " * (name.column - 1 + 2)
        end = value.end - (self._text[value.end - 1] == "\n")
        kept = self._comments(value, start, end)
        text = self._newline + kept + self._newline.join(block_lines(wanted, margin))
        self._edits.append((start, end - (self._text[end - 1] == "\r"), text))

    def _add_flow(self, mapping: YamlNode, pairs: Mapping[str, Any]) -> None:
        pretty = self._pretty(mapping)
        lead, unit = self._lead(mapping.pairs[0][0].start), self._unit(mapping)
        gap = self._newline + lead if pretty else " "
        texts = [f"{json.dumps(key)}: {_json(value, lead, unit, pretty=pretty)}" for key, value in pairs.items()]
        self._after_last(mapping, self._broken(("," + gap).join(texts)))

    def _after_last(self, mapping: YamlNode, text: str) -> None:
        last = mapping.pairs[-1]
        gap = self._newline + self._lead(last[0].start) if self._pretty(mapping) else " "
        end = max(last[0].end, last[1].end)
        self._edits.append((end, end, "," + gap + self._broken(text)))

    def _insert_lines(self, end: int, lines: list[str]) -> None:
        """Insert lines after the line of the character before `end`."""
        at = self._next_line(end)
        text = "".join(line + self._newline for line in lines)
        if at and self._text[at - 1] != "\n":
            text = self._newline + text.removesuffix(self._newline)
        self._edits.append((at, at, text))

    def _comments(self, value: YamlNode, start: int, end: int) -> str:
        """The comments on lines of their own between two positions; in a block scalar, what looks like one is none."""
        if not (value.pairs or value.items):
            return ""
        lines = self._text[start:end].splitlines(keepends=True)
        return "".join(line for line in lines if line.lstrip().startswith("#"))

    def _broken(self, text: str) -> str:
        return text if self._newline == "\n" else text.replace("\r\n", "\n").replace("\n", self._newline)

    def _line_start(self, index: int) -> int:
        return self._text.rfind("\n", 0, index) + 1

    def _next_line(self, end: int) -> int:
        if end and self._text[end - 1] == "\n":
            return end
        at = self._text.find("\n", end)
        return len(self._text) if at < 0 else at + 1

    def _lead(self, index: int) -> str:
        """The white space that the line of a position begins with."""
        line = self._text[self._line_start(index) : index]
        return line[: len(line) - len(line.lstrip())]

    def _pretty(self, collection: YamlNode) -> bool:
        """Whether a flow collection has its members on lines of their own."""
        members = collection.items or [pair[0] for pair in collection.pairs]
        return bool(members) and members[0].line > collection.line

    def _unit(self, mapping: YamlNode) -> str:
        """What a flow mapping's members are indented by, beyond the line it begins on."""
        if not mapping.pairs or not self._pretty(mapping):
            return "  "
        inner, outer = self._lead(mapping.pairs[0][0].start), self._lead(mapping.start)
        return inner.removeprefix(outer) or "  "


def _list_indent(root: YamlNode) -> int:
    """How far the lists below a block mapping's keys are indented, by the first that there is; else by two."""
    for key, value in root.pairs:
        if value.kind == "sequence" and not value.flow:
            return max(0, value.column - key.column)
    return 2


def item_lines(entry: Mapping[str, Any], margin: str, offset: int) -> list[str]:
    """A mapping as the lines of a block sequence's item: a dash after the margin, keys `offset` further."""
    first, *rest = block_lines(entry, margin + " " * offset)
    return [margin + "-" + first[len(margin) + 1 :], *rest]


def block_lines(pairs: Mapping[str, Any], margin: str) -> list[str]:
    """A mapping of scalars, or of mappings of them, as lines of block style, each after a margin."""
    lines = []
    for key, value in pairs.items():
        if isinstance(value, Mapping):
            lines += [f"{margin}{key}:", *block_lines(value, margin + "  ")]
        else:
            lines.append(f"{margin}{key}: {scalar_text(value)}")
    return lines


def _json(value: Any, lead: str, unit: str, *, pretty: bool) -> str:
    if not pretty:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", "\n" + lead)


def scalar_text(value: str | float, *, quoted: bool = False) -> str:
    """A scalar as YAML text, in quotes only where it needs them; quoted is as JSON."""
    if isinstance(value, str) and not quoted and _PLAIN.match(value) and isinstance(typed(value), str):
        return value
    return json.dumps(value, ensure_ascii=False)
