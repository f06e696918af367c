"""YAML read with the place of every node, typed as the scheduler types it."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.model.errors import WireError
from extender.schedulerconfig.yamltree import MAX_CHARS, MAX_DEPTH, YamlNode, documents, typed


def root(text: str) -> YamlNode:
    (node,) = documents(text)
    return node


def test_nodes_know_where_they_stand() -> None:
    text = "# top\na: 1 # one\nb:\n- x: 'two'\n  y: [3]\n\n# end\n"
    node = root(text)
    (_, one), (_, listed) = node.pairs
    entry = listed.items[0]
    assert [text[n.start : n.end] for n in (one, listed, entry)] == [
        "1",
        "- x: 'two'\n  y: [3]",
        "x: 'two'\n  y: [3]",
    ]
    assert [(n.line, n.column) for n in (one, listed, entry)] == [(2, 4), (4, 1), (4, 3)]
    found = entry.get("y")
    assert found is not None
    assert (found.flow, listed.flow) == (True, False)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("yes", True),
        ("Off", False),
        ("15", 15),
        ("0x0f", 15),
        ("017", 15),
        ("1_000", 1000),
        ("15.0", 15.0),
        ("1e3", 1000.0),
        ("5s", "5s"),
        ("0x", "0x"),
        ("1:30", "1:30"),
        ("9" * 500, float("9" * 500)),
    ],
)
def test_scalars_are_typed_as_the_scheduler_types_them(text: str, value: object) -> None:
    assert typed(text) == value
    assert type(typed(text)) is type(value)
    assert root(f'a: "{text}"').pairs[0][1].scalar == text


def test_aliases_and_merges_are_followed() -> None:
    node = root("base: &b {x: 1, y: 2}\nmore: &m {z: 3}\nuse: {<<: [*b, *m], y: 4}\nsame: *b\n")
    use, same = node.find("use"), node.find("same")
    assert use is not None
    assert same is not None
    assert [found.scalar for name in "xyz" if (found := use.find(name))] == [1, 4, 3]
    assert same.digest == node.pairs[0][1].digest
    assert use.find("w") is None


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("a: [1, b]", "a:\n- 1\n- 'b'", True),
        ("a: 0xf", "a: 15", True),
        ("a: 15", "a: '15'", False),
        ("a: &x {b: 1}\nc: *x", "a: {b: 1}\nc: {b: 1}", True),
        ("a: 1\nb: 2", "b: 2\na: 1", False),
    ],
)
def test_digests_are_equal_for_equal_values(one: str, other: str, *, equal: bool) -> None:
    assert (root(one).digest == root(other).digest) is equal


BOMB = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" if n else "a0: &a0 [lol]" for n in range(40))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: b: c", "line 1, column 5: is not YAML: mapping values are not allowed"),
        ("a:\n\tb: 1", "line 2, column 1: .*indent with spaces, not with tabs"),
        ("a: {b: 1", "is not YAML: did not find expected"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: a stands twice, first in line 1"),
        ('{"a": 1, "a": 2}', "line 1, column 10: a stands twice"),
        ("a: *b", r"line 1, column 4: the alias \*b has no anchor"),
        ("a: &b [*b]", r"line 1, column 8: the alias \*b stands inside its own anchor"),
        ("? [a]\n: b", "line 1, column 3: the key is a list"),
        ("a: \x00", r"line 1, column 4: the character U\+0000 is not allowed"),
        ("a:\n  - \ud800", r"line 2, column 5: the character U\+D800"),
        ("[" * 10**5, f"nested more than {MAX_DEPTH} levels"),
        ("- " * 10**5, f"nested more than {MAX_DEPTH} levels"),
        ("a: " + "x" * MAX_CHARS, f"no more than {MAX_CHARS} are read"),
        ("%YAML 9.0\n---\na", "is not YAML: found incompatible YAML document"),
        (BOMB + "\n" + "".join(f"b{n}: &b{n} [*a39, *b{n - 1 or 1}]\n" for n in range(2, 99)), "has no anchor"),
        ("\n".join(f"a{n}: &a{n} [*a{n - 1}]" if n else "a0: &a0 x" for n in range(99)), "nested more than"),
    ],
)
def test_faults_name_line_and_column(text: str, error: str) -> None:
    with pytest.raises(WireError, match=error) as caught:
        documents(text)
    assert len(str(caught.value)) < 300


def test_a_billion_laughs_take_no_memory() -> None:
    tracemalloc.start()
    try:
        assert root(BOMB).height == 41
        assert tracemalloc.get_traced_memory()[1] < 2**21
    finally:
        tracemalloc.stop()


def test_a_merge_bomb_is_searched_once() -> None:
    text = "\n".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" if n else "a0: &a0 {x: 1}" for n in range(25))
    last = root(text).find("a24")
    assert last is not None
    assert last.find("none") is None
    found = last.find("x")
    assert found is not None
    assert found.scalar == 1


def test_json_may_escape_what_yaml_may_not() -> None:
    text = '{"a": "\\ud83d\\ude00", "b": 1}'
    found = root(text).get("b")
    assert found is not None
    assert text[found.start : found.end] == "1"


@given(
    st.text(alphabet=st.sampled_from(list("ab:-[]{},&*!|>#'\"%@ \n\r\t<1\x85\u2028é\ufeff\U0001f600?\\")), max_size=60)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        roots = documents(text)
    except WireError as error:
        assert re.match(r"line \d+, column \d+: |is not YAML", str(error))  # noqa: PT017 - most texts raise nothing
    else:
        assert all(0 <= node.start <= node.end <= len(text) for node in roots)
