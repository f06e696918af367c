"""Every log line is made of the words of the vocabulary: read off the code, so that no line escapes."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import ROOT

from extender.telemetry.vocabulary import KEYS, LINE, named

METHODS = frozenset(
    ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log", "msg", "bind", "new")
)
LEVELLED = {"log": 1}
ALLOWED = frozenset(key.name for key in KEYS)
FILES = sorted((ROOT / "extender").rglob("*.py"))


def is_logger(node: ast.expr) -> bool:
    """`log`, `self.log`, `self._log` or `logger()`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.strip("_") in ("log", "logger")
        case ast.Call(func=ast.Name(id="logger")):
            return True
    return False


def faults(code: str) -> Iterator[str]:
    """What is wrong with the log calls of a module, by line."""
    tree = ast.parse(code)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Attribute) and node.attr in METHODS and is_logger(node.value)):
            continue
        call = calls.get(id(node))
        if call is None:
            yield f"{node.lineno}: a method under another name hides its keys"
            continue
        positional = call.args[LEVELLED.get(node.attr, 0) :]
        if node.attr not in ("bind", "new") and not (len(positional) == 1 and constant(positional[0])):
            yield f"{node.lineno}: the event is not in constant words, and alone"
        for keyword in call.keywords:
            if keyword.arg is None:
                yield f"{node.lineno}: keys that cannot be read off the code"
            elif keyword.arg.removesuffix("_") not in ALLOWED:
                yield f"{node.lineno}: the vocabulary has no {keyword.arg}"


def constant(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return constant(node.body) and constant(node.orelse)
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_log_calls_keep_to_the_vocabulary(path: Path) -> None:
    assert list(faults(path.read_text())) == []


def test_there_are_calls_to_look_at() -> None:
    text = "".join(path.read_text() for path in FILES)
    assert text.count("_log.") >= 10


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ('self._log.info("move", podname="a")', "1: the vocabulary has no podname"),
        ('logger().warning("move", pod="a", to="spot")', "1: the vocabulary has no to"),
        ('log.info(f"moved {pod}")', "1: the event is not in constant words, and alone"),
        ('self._log.info("moved %s", pod)', "1: the event is not in constant words, and alone"),
        ('self._log.log(20, text, pod="a")', "1: the event is not in constant words, and alone"),
        ('log.info("move", **keys)', "1: keys that cannot be read off the code"),
        ("told = self._log.info", "1: a method under another name hides its keys"),
        ('self.log.bind(owner="a")', "1: the vocabulary has no owner"),
    ],
)
def test_what_does_not_keep_to_it_is_found(code: str, fault: str) -> None:
    assert list(faults(code)) == [fault]


@pytest.mark.parametrize(
    "code",
    [
        'self._log.log(20, "move", pod="a", class_="spot")',
        'self._log.warning("policy warning" if doubtful else "policy invalid", error=text)',
        'self.log.bind(workload="Deployment/web")',
    ],
)
def test_what_keeps_to_it_is_not(code: str) -> None:
    assert list(faults(code)) == []


def test_each_word_is_there_once() -> None:
    names = [key.name for key in (*LINE, *KEYS)]
    assert len(set(names)) == len(names)
    attributes = [key.attribute for key in KEYS if key.attribute]
    assert len(set(attributes)) == len(attributes)


def test_a_workload_is_called_by_kind_and_name() -> None:
    assert (named("Deployment", "web"), named("", "")) == ("Deployment/web", "")
