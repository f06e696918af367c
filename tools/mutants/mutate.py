"""Makes mutants of Python source: copies that differ in one place, as a slip of the pen might have left them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

FLIPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
OPPOSITES = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one module.

    Attributes:
        module: the path of the module, as it was given.
        line: where the change begins, from 1.
        scope: the class and function around it, `Planner.choose`; empty at the top of the module.
        before: the source text that is replaced.
        after: the text in its place.
        start: the first byte of `before` in the UTF-8 text of the module.
        at: the text of the line where the change begins, without what indents it.
    """

    module: str
    line: int
    scope: str
    before: str
    after: str
    start: int
    at: str

    def apply(self, source: str) -> str:
        """The module's source with the change in it."""
        data = source.encode()
        end = self.start + len(self.before.encode())
        return (data[: self.start] + self.after.encode() + data[end:]).decode()

    @property
    def change(self) -> str:
        """The change in a line, without regard to how the source is laid out."""
        return f"{' '.join(self.before.split())} => {' '.join(self.after.split())}"


def mutants(source: str, module: str) -> list[Mutant]:
    """All mutants of a module, in the order of the source.

    Raises:
        SyntaxError: `source` is not Python.
    """
    found = _Mutator(source, module).of(ast.parse(source))
    unique = {(mutant.start, mutant.before, mutant.after): mutant for mutant in found}
    return sorted(unique.values(), key=lambda mutant: (mutant.start, mutant.after))


class _Mutator:
    def __init__(self, source: str, module: str) -> None:
        self._source, self._module = source.encode(), module
        self._starts = [0]
        for line in source.encode().splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._scope: list[str] = []

    def of(self, node: ast.AST) -> Iterator[Mutant]:
        if isinstance(node, (ast.JoinedStr, ast.pattern)):
            return  # The text for people is no decision; patterns take no parentheses.
        scope = isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            self._scope.append(node.name)
        if isinstance(node, ast.expr):
            yield from self._of_expression(node)
        elif isinstance(node, ast.stmt):
            yield from self._of_statement(node)
        for child in _parts(node):
            yield from self.of(child)
        if scope:
            self._scope.pop()

    def _of_expression(self, node: ast.expr) -> Iterator[Mutant]:
        for changed in _expressions(node):
            yield self._mutant(node, f"({ast.unparse(changed)})")
        if isinstance(node, ast.IfExp):
            yield self._mutant(node.test, f"(not ({ast.unparse(node.test)}))")

    def _of_statement(self, node: ast.stmt) -> Iterator[Mutant]:
        if isinstance(node, (ast.If, ast.While)):
            yield self._mutant(node.test, f"(not ({ast.unparse(node.test)}))")
        elif isinstance(node, ast.Return) and node.value is not None and not _is_as_none(node.value):
            yield self._mutant(node, "return None")
        elif _may_be_dropped(node):
            yield self._mutant(node, "pass")

    def _mutant(self, node: ast.expr | ast.stmt, after: str) -> Mutant:
        start = self._starts[node.lineno - 1] + node.col_offset
        end = self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = self._source[start:end].decode()
        at = self._source[self._starts[node.lineno - 1] : self._starts[node.lineno]].decode().strip()
        return Mutant(self._module, node.lineno, ".".join(self._scope), before, after, start, at)


def _parts(node: ast.AST) -> Iterator[ast.AST]:
    """The children that run: no annotations, decorators or base classes."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases", "keywords") and not isinstance(node, ast.Call):
            continue
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, ast.AST):
                yield each


def _expressions(node: ast.expr) -> Iterator[ast.expr]:
    """What may stand in the place of an expression."""
    match node:
        case ast.Compare(left, ops, comparators):
            for at, operator in enumerate(ops):
                yield ast.Compare(left, [*ops[:at], FLIPS[type(operator)](), *ops[at + 1 :]], comparators)
        case ast.Constant(value):
            yield from map(ast.Constant, _constants(value))
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.And() if isinstance(operator, ast.Or) else ast.Or(), values)
            for at in range(len(values)):
                left_over = values[:at] + values[at + 1 :]
                yield left_over[0] if len(left_over) == 1 else ast.BoolOp(operator, left_over)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC:
            if not _is_text(left) and not _is_text(right):
                yield ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.Call(ast.Name(name), args, keywords):
            yield from _calls(name, args, keywords)


def _constants(value: object) -> list[int | float]:
    if isinstance(value, bool):
        return [not value]
    return [value + 1, value - 1] if isinstance(value, (int, float)) else []


def _calls(name: str, args: list[ast.expr], keywords: list[ast.keyword]) -> Iterator[ast.expr]:
    if name in OPPOSITES:
        yield ast.Call(ast.Name(OPPOSITES[name]), args, keywords)
    elif name == "sorted":
        yield ast.Call(ast.Name("list"), args, [])


def _may_be_dropped(node: ast.stmt) -> bool:
    """Whether the module still compiles, and names stay bound, without a statement."""
    match node:
        case ast.Expr(ast.Call() | ast.Yield() | ast.YieldFrom() | ast.Await()):
            return True
        case ast.Assign(targets):
            return all(isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets)
        case ast.AugAssign() | ast.Delete() | ast.Continue() | ast.Break() | ast.Raise():
            return True
    return False


def _is_as_none(node: ast.expr) -> bool:
    """Whether a value is None, or False, which whoever asks a yes-or-no question cannot tell from it."""
    return isinstance(node, ast.Constant) and (node.value is None or node.value is False)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
