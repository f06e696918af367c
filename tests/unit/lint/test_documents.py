"""Manifests as kubectl takes them: many documents, comments, anchors, JSON; each field knows its line."""

import pytest

from extender.core.model.errors import WireError
from extender.lint import documents as module
from extender.lint.documents import documents, line_of

TEXT = """\
# Source: chart/templates/a.yaml
---
# a comment alone
---
kind: List
items:
- &first
  kind: A
  on: yes
  port: 0x10
- <<: *first
  kind: B
---
{"c": ["d", 1.5, null]}
"""


def test_documents_values_and_lines() -> None:
    found = documents(TEXT)
    assert [each.line for each in found] == [5, 14]
    a, b = {"kind": "A", "true": True, "port": 16}, {"kind": "B", "true": True, "port": 16}
    assert [each.value for each in found] == [{"kind": "List", "items": [a, b]}, {"c": ["d", 1.5, None]}]
    value = found[0].value
    assert line_of(value, ("items", 0, "port"), 5) == 10
    assert line_of(value, ("items", 1, "kind"), 5) == 12
    assert line_of(value, ("items", 1, "port"), 5) == 10
    assert line_of(value, ("items", 0, "spec", "x"), 5) == 8
    assert line_of(value, ("items", 7), 5) == 6


def test_json_that_is_no_yaml() -> None:
    first, second = documents('{\n\t"a": "\\ud83d\\ude00"}\n\n{"b": 1}\n')
    assert (first.value, first.line, second.value, second.line) == ({"a": "😀"}, 1, {"b": 1}, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML: did not find expected node content"),
        ("a: 1\nb: 2\na: 3", "line 3: a stands twice, first in line 1; remove one"),
        ("a: *b", "line 1: the alias *b has no anchor"),
        ("a: &b [*b]", "line 1: the alias *b has no anchor before it that is complete"),
        ("? [a]\n: 1", "the key is a mapping or a list"),
        ("kind: {{ .Values.kind }}", "is a template of Helm, which is no YAML before it is rendered"),
        ("kind: A\n{{- if .Values.on }}\n", "is a template of Helm"),
        ("a: " + "[" * 300 + "]" * 300, "nested more than 200 levels deep"),
    ],
)
def test_what_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(WireError) as caught:
        documents(text)
    assert said in str(caught.value)


def test_aliases_cannot_make_it_long(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(WireError, match="more than 2000000 values"):
        documents("\n".join(lines))
    monkeypatch.setattr(module, "MAX_CHARS", 10)
    with pytest.raises(WireError, match="no more than 10 are read"):
        documents("a: 12345678")
