"""JSONPath as kubectl has it: what a template writes, and what is said of one that cannot be read."""

from typing import Any

import pytest

from extender.cli.jsonpath import JsonPathError, read_path, read_template, render

TREE: dict[str, Any] = {
    "kind": "List",
    "at": 1.5,
    "items": [
        {"name": "web", "surplus": 2, "on": True, "labels": {"app.kubernetes.io/name": "web", "a b": "c"}},
        {"name": "api", "surplus": 0, "on": False, "labels": {"team": "core"}, "note": None},
        {"name": "db", "surplus": 11, "on": True, "labels": {}},
    ],
}


def written(template: str) -> str:
    return render(read_template(template), TREE, TREE)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{.kind}", "List"),
        ("{ $.kind } at {.at}!", "List at 1.5!"),
        ("{.items[*].name}", "web api db"),
        ("{.items.*.name}", "web api db"),
        ("{.items[0].name}{.items[-1].name}", "webdb"),
        ("{.items[0:2].name}", "web api"),
        ("{.items[::2].name}", "web db"),
        ("{.items[-2:].name}", "api db"),
        ("{.items[0,2].name}", "web db"),
        ("{.items[7].name}|{.none}|{.kind.name}", "||"),
        ("{..name}", "web api db"),
        ("{.items[0]['name']}", "web"),
        ("{.items[0].labels['app.kubernetes.io/name']}", "web"),
        (r"{.items[0].labels.app\.kubernetes\.io/name}", "web"),
        ('{.items[0].labels["a b"]}', "c"),
        ("{.items[?(@.surplus>0)].name}", "web db"),
        ("{.items[?(@.surplus >= 11)].name}", "db"),
        ('{.items[?(@.name=="api")].surplus}', "0"),
        ("{.items[?(@.name!='api')].name}", "web db"),
        ("{.items[?(@.on==true)].name}", "web db"),
        ("{.items[?(@.labels.team)].name}", "api"),
        ("{.items[?(@.name > 1)].name}", ""),
        ("{.items[1].on} {.items[1].note} {.items[1].labels}", 'false null {"team":"core"}'),
        ('{range .items[*]}{.name}{"\\t"}{@.surplus}{"\\n"}{end}', "web\t2\napi\t0\ndb\t11\n"),
        ("{range .items[0:2]}[{range .labels.*}<{@}>{end}]{end}", "[<web><c>][<core>]"),
        ("{range .items[*]}{$.kind} {end}", "List List List "),
    ],
)
def test_what_a_template_writes(template: str, text: str) -> None:
    assert written(template) == text


@pytest.mark.parametrize("path", [".kind", "{.kind}", "kind", "$.kind", "['kind']"])
def test_a_path_of_a_column_needs_no_braces(path: str) -> None:
    assert read_path(path).find(TREE, TREE) == ["List"]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{.kind", "'{.kind' is no end of an action, which is }"),
        ("{kind}", "'kind}' is no path, which begins with a dot"),
        ("{.items[}", "'}' has [ without ]"),
        ("{.items[x]}", "[x] is no index: write a number, a slice such as 1:3, *, a quoted name or ?()"),
        ("{.items['name}", "has a quotation without an end"),
        ("{.items['name'}", "'}' is no end of a name, which is ]"),
        ("{.items[?(@.a==1]}", "']}' is no end of a filter, which is )]"),
        ("{..}", "'}' is no name"),
        ("{range .items[*]}x", "has {range} without {end}"),
        ("x{end}", "'{end}' has {end} without {range}"),
    ],
)
def test_what_is_no_template_says_why(template: str, why: str) -> None:
    with pytest.raises(JsonPathError) as caught:
        read_template(template)
    assert str(caught.value).endswith(why)


@pytest.mark.parametrize("path", ["", "{}", ".a b", ".a}", ".items[*"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(JsonPathError):
        read_path(path)


def test_what_a_terminal_obeys_is_escaped_but_not_what_the_template_says() -> None:
    tree = {"name": "a\x1b[2J\nb"}
    assert render(read_template('{.name}{"\\n"}'), tree, tree) == "a\\u001b[2J\\u000ab\n"
