"""Label selectors as people write them on a command line: `app=web,tier in (front, edge),!legacy`.

Source: the grammar of `apimachinery/pkg/labels` (`Parse`) of Kubernetes 1.36, which `kubectl -l` goes by.
"""

import re
from collections.abc import Iterator

from extender.core.model.errors import SelectorError
from extender.core.model.selectors import LabelSelector, Requirement

_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_SIGNS = frozenset("=!<>(),") | {"==", "!="}
_PART = "[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"(?=.{{1,253}}/|[^/]*\Z)([a-z0-9]([-.a-z0-9]*[a-z0-9])?/)?{_PART}")
_VALUE = re.compile(rf"({_PART})?")
_OPERATORS = {"=": "In", "==": "In", "!=": "NotIn", "in": "In", "notin": "NotIn", ">": "Gt", "<": "Lt"}


def read_selector(text: str) -> LabelSelector:
    """The selector that a text means; an empty one selects everything.

    Raises:
        SelectorError: it is none; the error says where, and what is expected there.
    """
    return LabelSelector(expressions=tuple(_Reader(text).requirements()))


class _Reader:
    """Reads a selector from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text.rstrip()
        self._at = 0

    def requirements(self) -> Iterator[Requirement]:
        """What is required, in the order that it is written in."""
        if not self._text:
            return
        yield self._requirement()
        while self._token("a comma, or the end", ",", ""):
            yield self._requirement()

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._token("!", "!")
            return Requirement(self._key(), "DoesNotExist")
        key = self._key()
        if self._peek() in ("", ","):
            return Requirement(key, "Exists")
        sign = self._token("one of = == != in notin < >", *_OPERATORS)
        return Requirement(key, _OPERATORS[sign], self._values() if sign in ("in", "notin") else (self._value(sign),))

    def _values(self) -> tuple[str, ...]:
        """Those of a list in parentheses; one that is left out is the empty one."""
        self._token("( and the values", "(")
        values = [self._value("in")]
        while self._token("a comma, or )", ",", ")") == ",":
            values.append(self._value("in"))
        return tuple(values)

    def _key(self) -> str:
        key = self._token("the name of a label")
        if not _KEY.fullmatch(key):
            raise self._wrong(f"{key!r} is no name of a label", "write it as app or example.com/app")
        return key

    def _value(self, sign: str) -> str:
        value = "" if self._peek() in _SIGNS | {""} else self._token("a value")
        if not _VALUE.fullmatch(value):
            raise self._wrong(f"{value!r} is no value of a label", "use letters, digits, and - _ . between them")
        if sign in ("<", ">") and not re.fullmatch(r"\d+", value):
            raise self._wrong(f"{sign} takes a whole number, not {value!r}", "name one, or use = or !=")
        return value

    def _peek(self) -> str:
        """The next token; empty at the end."""
        found = _TOKEN.match(self._text, self._at)
        return found[1] if found else ""

    def _token(self, expected: str, *choices: str) -> str:
        """Go over the next token, which has to be one of `choices`; without those no sign."""
        token = self._peek()
        if token not in choices if choices else not token or token in _SIGNS:
            raise self._wrong(f"{token!r} stands" if token else "it ends", f"{expected} is expected")
        found = _TOKEN.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return token

    def _wrong(self, fault: str, fix: str) -> SelectorError:
        return SelectorError(f"label selector {self._text!r}: after {self._text[: self._at]!r} {fault}; {fix}")
