"""Label selectors as people write them: what they mean, and what is said of what is none."""

import pytest

from extender.core.model.errors import SelectorError
from extender.core.model.labelquery import read_selector

WEB, EDGE, BARE = {"app": "web", "tier": "front"}, {"example.com/app": "edge", "n": "5", "empty": ""}, dict[str, str]()


SELECTED: list[tuple[str, list[dict[str, str]]]] = [
    ("", [WEB, EDGE, BARE]),
    ("  ", [WEB, EDGE, BARE]),
    ("app", [WEB]),
    ("!app", [EDGE, BARE]),
    (" ! app ", [EDGE, BARE]),
    ("app=web", [WEB]),
    ("app==web,tier = front", [WEB]),
    ("app=web,tier=back", []),
    ("app!=web", [EDGE, BARE]),
    ("app in (web,edge)", [WEB]),
    ("app in(web)", [WEB]),
    ("app notin ( web , api )", [EDGE, BARE]),
    ("example.com/app=edge", [EDGE]),
    ("n>4", [EDGE]),
    ("n<5", []),
    ("empty=", [EDGE]),
    ("empty=,n", [EDGE]),
    ("app in (,web)", [WEB]),
    ("empty in ()", [EDGE]),
    ("in=x", []),
    ("notin", []),
]
"""Selectors, and what they select of the three above."""

WRONG = [
    ("=web", "after '' '=' stands; the name of a label is expected"),
    ("app=web,", "after 'app=web,' it ends; the name of a label is expected"),
    ("app web", "after 'app' 'web' stands; one of = == != in notin < > is expected"),
    ("app=web tier", "after 'app=web' 'tier' stands; a comma, or the end is expected"),
    ("app in (web", "after 'app in (web' it ends; a comma, or ) is expected"),
    ("app in web", "after 'app in' 'web' stands; ( and the values is expected"),
    ("a=b=c", "after 'a=b' '=' stands; a comma, or the end is expected"),
    ("-app", "after '-app' '-app' is no name of a label; write it as app or example.com/app"),
    ("x/y/z", "after 'x/y/z' 'x/y/z' is no name of a label; write it as app or example.com/app"),
    (f"{'a' * 64}", f"after '{'a' * 64}' '{'a' * 64}' is no name of a label; write it as app or example.com/app"),
    ("app=-", "after 'app=-' '-' is no value of a label; use letters, digits, and - _ . between them"),
    ("n>x", "after 'n>x' > takes a whole number, not 'x'; name one, or use = or !="),
    ("!app=web", "after '!app' '=' stands; a comma, or the end is expected"),
]
"""Texts that are none, and what is said of them."""


@pytest.mark.parametrize(("text", "selected"), SELECTED)
def test_what_is_selected(text: str, selected: list[dict[str, str]]) -> None:
    selector = read_selector(text)
    assert [labels for labels in (WEB, EDGE, BARE) if selector.matches(labels)] == selected


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_no_selector(text: str, told: str) -> None:
    with pytest.raises(SelectorError) as caught:
        read_selector(text)
    assert str(caught.value) == f"label selector {text!r}: {told}"
