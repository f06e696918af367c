"""The drift loop's history as it is stored, and evictions as they are sent."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extender.core.drift.history import DirectionBackoff, InFlight, WorkloadHistory
from extender.core.drift.moves import Move, WorkloadRef
from extender.core.model.errors import WireError
from extender.core.model.objects import PodId
from extender.core.model.reasons import Reason
from extender.wire.drift_v1 import VERSION, decode_history, encode_history, eviction

MOVE = Move(
    PodId("shop", "web-1", "uid-1"),
    "node-1",
    WorkloadRef("uid-web", "Deployment", "shop", "web", "uid-rs"),
    "on-demand",
    "spot",
    "node-2",
    Reason.SURPLUS,
)
TIMES = st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000)
NAMES = st.text("abc-1", min_size=1, max_size=5)
IN_FLIGHT = st.builds(
    InFlight, st.just(MOVE), TIMES, TIMES, st.lists(NAMES, max_size=3).map(tuple), TIMES, st.booleans()
)
HISTORIES = st.builds(
    WorkloadHistory,
    st.lists(IN_FLIGHT, max_size=3),
    st.lists(TIMES, max_size=3),
    st.dictionaries(NAMES, st.builds(DirectionBackoff, st.integers(1, 99), TIMES), max_size=2),
    st.lists(TIMES, max_size=3),
    TIMES,
    NAMES,
)


@given(HISTORIES)
def test_a_history_comes_back_as_it_was(history: WorkloadHistory) -> None:
    assert decode_history(encode_history(history)) == history


def test_an_entry_is_short_and_may_have_more_than_is_known() -> None:
    assert json.loads(encode_history(WorkloadHistory())) == {"version": VERSION, "opened": 0.0}
    assert decode_history('{"version": 1, "of a later time": [1]}') == WorkloadHistory()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "truncated"),
        ("no JSON", "malformed"),
        ("{}", "version"),
        ('{"version": 2}', "version 2"),
        ('{"version": 1, "moved": ["today"]}', r"moved\[0\]"),
        ('{"version": 1, "inFlight": [{}]}', r"inFlight\[0\]"),
        ('{"version": 1, "backOff": {"a>b": {"failures": 0, "until": 1}}}', "failures"),
        ('{"version": 1, "opened": -1}', "opened"),
        ("\ud800", "surrogates"),
    ],
)
def test_an_entry_that_does_not_decode_says_why(text: str, fault: str) -> None:
    with pytest.raises(WireError, match=fault):
        decode_history(text)


def test_an_eviction_names_one_pod_and_no_grace_period() -> None:
    body: Any = eviction("shop", "web-1", "uid-1")
    assert body["metadata"] == {"namespace": "shop", "name": "web-1"}
    assert body["deleteOptions"] == {"preconditions": {"uid": "uid-1"}}
