"""The part of CEL, the Common Expression Language, that the rules of our definitions are written in.

A library would bring an interpreter of all of it, and without the functions that Kubernetes adds. What is not here is
refused when a rule is read, so that a rule is never judged by half.

Source: github.com/google/cel-spec `doc/langdef.md`; Kubernetes' `staging/src/k8s.io/apiserver/pkg/cel/library`.
"""

import ast
import operator
import re

from extender.lint.celvalues import (
    COMPARED,
    CONSTANTS,
    FUNCTIONS,
    MACROS,
    METHODS,
    CelError,
    Expression,
    at,
    called,
    either,
    field_of,
    has,
    same,
    sizes,
)

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[0-9]+) | (?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*") | (?P<name>[A-Za-z_]\w*)
      | (?P<sign>\|\||&&|[=!<>]=|[-?:!<>().,\[\]])
    )""",
    re.VERBOSE,
)
_END = ("end", "")


def compiled(rule: str) -> Expression:
    """Read an expression.

    Raises:
        CelError: it is none, or uses what is not known here.
    """
    reader = _Reader(rule)
    found = reader.choice()
    reader.expect("")
    return found


class _Reader:
    """Reads an expression by descent; each method one level of precedence, the loosest first."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._known = ["self"]
        self._tokens = self._split()

    def _split(self) -> list[tuple[str, str]]:
        tokens, at = [], 0
        text = self._rule.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise self._fault(f"{text[at : at + 20]!r} is not known")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            at = match.end()
        return [*reversed([*tokens, _END])]

    def _fault(self, text: str) -> CelError:
        return CelError(f"the rule {self._rule!r}: {text}")

    def _take(self, *signs: str) -> str:
        """The next token, if it is one of these; else an empty text."""
        kind, text = self._tokens[-1]
        if kind not in ("sign", "name") or text not in signs:
            return ""
        self._tokens.pop()
        return text

    def expect(self, sign: str) -> None:
        """The next token has to be this one; an empty text is the end."""
        kind, text = self._tokens.pop()
        if text != sign or kind == "text":
            raise self._fault(f"{text or 'the end'!r} is seen where {sign or 'the end'!r} is expected")

    def choice(self) -> Expression:
        test = self._sides("||")
        if not self._take("?"):
            return test
        then = self.choice()
        self.expect(":")
        otherwise = self.choice()
        return lambda names: then(names) if test(names) else otherwise(names)

    def _sides(self, sign: str) -> Expression:
        below = self._relation if sign == "&&" else lambda: self._sides("&&")
        found = below()
        while self._take(sign):
            found = self._joined(found, below(), decided=sign == "||")
        return found

    @staticmethod
    def _joined(left: Expression, right: Expression, *, decided: bool) -> Expression:
        return lambda names: either(left, right, names, decided=decided)

    def _relation(self) -> Expression:
        left = self._unary()
        sign = self._take("==", "!=", "<", "<=", ">", ">=", "in")
        if not sign:
            return left
        right = self._unary()
        if sign == "in":
            return lambda names: any(same(left(names), each) for each in right(names))
        if sign in ("==", "!="):
            return lambda names: same(left(names), right(names)) is (sign == "==")
        compare = COMPARED[sign]
        return lambda names: compare(*sizes(left(names), right(names)))

    def _unary(self) -> Expression:
        if self._take("!"):
            denied = self._unary()
            return lambda names: not denied(names)
        if self._take("-"):
            negative = self._unary()
            return lambda names: called(operator.neg, negative(names))
        return self._member(self._primary())

    def _member(self, found: Expression) -> Expression:
        while sign := self._take(".", "["):
            if sign == "[":
                found = self._indexed(found, self.choice())
                self.expect("]")
                continue
            name = self._name()
            found = self._method(found, name) if self._take("(") else self._selected(found, name)
        return found

    @staticmethod
    def _indexed(found: Expression, place: Expression) -> Expression:
        return lambda names: at(found(names), place(names))

    @staticmethod
    def _selected(found: Expression, name: str) -> Expression:
        return lambda names: field_of(found(names), name)

    def _method(self, of: Expression, name: str) -> Expression:
        if name in MACROS:
            each = self._name()
            self.expect(",")
            self._known.append(each)
            test, macro = self.choice(), MACROS[name]
            self._known.pop()
            self.expect(")")
            return lambda names: macro(of(names), test, names, each)
        if name == "size":
            self.expect(")")
            return lambda names: called(len, of(names))
        if name not in METHODS:
            raise self._fault(f"the method {name} is not known")
        argument, method = self.choice(), METHODS[name]
        self.expect(")")
        return lambda names: called(method, of(names), argument(names))

    def _name(self) -> str:
        kind, text = self._tokens.pop()
        if kind != "name":
            raise self._fault(f"{text!r} is no name")
        return text

    def _primary(self) -> Expression:
        kind, text = self._tokens.pop()
        if kind == "number":
            number = int(text)
            return lambda _: number
        if kind == "text":
            literal = ast.literal_eval(text)
            return lambda _: literal
        if text == "(":
            found = self.choice()
            self.expect(")")
            return found
        if text == "[":
            return self._list()
        if kind != "name":
            raise self._fault(f"{text or 'the end'!r} is no value")
        return self._call(text) if self._take("(") else self._named(text)

    def _named(self, name: str) -> Expression:
        if name in self._known:
            return lambda names: names[name]
        if name not in CONSTANTS:
            raise self._fault(f"the name {name} is not known")
        constant = CONSTANTS[name]
        return lambda _: constant

    def _list(self) -> Expression:
        items: list[Expression] = []
        while not self._take("]"):
            items.append(self.choice())
            if not self._take(","):
                self.expect("]")
                break
        return lambda names: [item(names) for item in items]

    def _call(self, name: str) -> Expression:
        if name == "has":
            return self._presence()
        if name not in FUNCTIONS:
            raise self._fault(f"the function {name} is not known")
        argument, function = self.choice(), FUNCTIONS[name]
        self.expect(")")
        return lambda names: called(function, argument(names))

    def _presence(self) -> Expression:
        """`has(self.base)`: the last name is what may be missing."""
        of = self._named(self._name())
        self.expect(".")
        path = [self._name()]
        while self._take("."):
            path.append(self._name())
        self.expect(")")
        for name in path[:-1]:
            of = self._selected(of, name)
        last = path[-1]
        return lambda names: has(of(names), last)
