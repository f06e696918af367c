"""The reasons of Events: closed, and told in full on docs/reference/events.md."""

import re

import pytest
from generate.reference import REFERENCE
from programs import ROOT

from extender.core.model.eventreasons import EventReason

PAGE = (REFERENCE / "events.md").read_text()


@pytest.mark.parametrize("reason", EventReason)
def test_every_reason_has_a_row_that_says_it_all(reason: EventReason) -> None:
    row = f"| `{reason.value}` | {reason.type} | {reason.about} | {reason.when} | {reason.what_to_do} |"
    assert PAGE.count(row) == 1
    assert re.fullmatch(r"([A-Z][a-z]+)+", reason.value)
    assert reason.what_to_do.endswith("."), "it says what to do"


@pytest.mark.parametrize("reason", EventReason)
def test_every_reason_is_posted_somewhere(reason: EventReason) -> None:
    home = ROOT / "extender" / "core" / "eventreasons.py"
    places = [path for path in (ROOT / "extender").rglob("*.py") if path != home]
    assert any(f"EventReason.{reason.name}" in path.read_text() for path in places)


def test_the_page_has_no_other_reasons() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == {reason.value for reason in EventReason}
