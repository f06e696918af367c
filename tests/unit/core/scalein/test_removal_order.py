"""The order in which a ReplicaSet deletes pods: each criterion, and what of ages decides."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import make_pod

from extender.core.model.objects import OwnerRef
from extender.core.policy.rules import PolicyRules
from extender.core.scalein.removal_order import _magnitude, deletion_cost, removal_order
from extender.core.state.events import Upsert
from extender.core.state.records import PodRecord
from extender.core.state.state import ClusterState
from extender.simulate.api import PodTemplate, VirtualPod

NOW = 100_000.0
OWNER = OwnerRef("rs", "apps/v1", "ReplicaSet", "web")
LONG_AGO = 2000.0
"""Seconds."""


def make(uid: str, node: str = "n1", *, pending: bool = False, ready: bool = True, **fields: Any) -> PodRecord:
    """A pod as the state keeps it."""
    created = fields.pop("created", NOW - LONG_AGO)
    ready_since = fields.pop("ready_since", NOW - 1000)
    after = int(ready_since - created)
    pod = make_pod(uid, OWNER, node, pending=pending, ready=ready, created=created, ready_after=after, **fields)
    state = ClusterState(PolicyRules())
    state.apply(Upsert(pod), NOW)
    return state.pods[uid]


def order(*pods: PodRecord, related: Sequence[PodRecord] = ()) -> list[str]:
    """The UIDs; the same from whichever end."""
    uids = [pod.uid for pod in removal_order(pods, related or pods, NOW)]
    assert uids == [pod.uid for pod in removal_order(reversed(pods), related or pods, NOW)]
    return uids


def test_each_criterion_comes_before_the_next() -> None:
    pods = [
        make("unbound", node="", pending=True, ready=False, cost="9"),
        make("pending", pending=True, ready=False, cost="9"),
        make("unready", ready=False, cost="9"),
        make("cheap", cost="-5"),
        make("crowded", node="n2"),
        make("young", node="n3", ready_since=NOW - 10),
        make("old", node="n4"),
        make("dear", cost="1", ready_since=NOW - 1),
    ]
    related = [*pods, *(make(f"crowd-{n}", node="n2") for n in range(9))]
    assert order(*reversed(pods), related=related) == [pod.uid for pod in pods]


def test_readiness_of_the_same_magnitude_is_decided_by_uid() -> None:
    assert order(make("b", ready_since=NOW - 1000), make("a", ready_since=NOW - 1050)) == ["a", "b"]
    assert order(make("b", ready_since=NOW - 100), make("a", ready_since=NOW - 1000)) == ["b", "a"]


def test_of_pods_that_became_ready_together_the_younger_leaves_and_then_the_lower_uid() -> None:
    assert order(make("a", created=NOW - 2000), make("b", created=NOW - 1000)) == ["b", "a"]
    assert order(make("b", created=NOW - 1100), make("a", created=NOW - 1200)) == ["a", "b"]
    assert order(make("b"), make("a")) == ["a", "b"]


def test_of_pods_that_are_not_ready_the_younger_leaves_and_then_the_lower_uid() -> None:
    pods = [
        make("c", ready=False, created=NOW - 10),
        make("a", ready=False, created=NOW - 1000),
        make("b", ready=False, created=NOW - 1010),
    ]
    assert order(*reversed(pods)) == ["c", "a", "b"]


def test_a_time_that_is_still_to_come_has_no_magnitude() -> None:
    assert order(make("b", ready_since=NOW + 60), make("a", ready_since=NOW - 1)) == ["b", "a"]


def test_a_nanosecond_has_a_magnitude() -> None:
    assert [_magnitude(0.0, nanoseconds * 1e-9) for nanoseconds in (0, 1, 2, 3, 4)] == [-1, 0, 1, 1, 2]


def test_costs_may_be_supposed() -> None:
    pods = [make("a", cost="5"), make("b", cost="6"), make("c", cost="7")]
    assert [pod.uid for pod in removal_order(pods, pods, NOW, {"c": -1, "a": 9})] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        (None, 0),
        ("0", 0),
        ("7", 7),
        ("-7", -7),
        ("2147483647", 2147483647),
        ("2147483648", 0),
        ("-2147483648", -2147483648),
        ("4294967296", 0),
        ("dear", 0),
        ("", 0),
        ("-", 0),
        ("+7", 0),
        ("007", 0),
        ("00", 0),
        ("1" * 5000, 0),
    ],
)
def test_a_cost_is_read_as_the_controller_reads_it(text: str | None, cost: int) -> None:
    assert deletion_cost(text) == cost


def test_virtual_pods_leave_as_real_ones_do() -> None:
    def virtual(uid: str, **fields: Any) -> VirtualPod:
        return VirtualPod(uid, "shop", uid, OWNER, PodTemplate(), {}, NOW - LONG_AGO, **fields)

    on_node = {"node": "n1", "running": True}
    pods = [
        virtual("unbound"),
        virtual("pending", node="n1"),
        virtual("unready", **on_node),
        virtual("young", **on_node, ready=True, ready_since=NOW - 10.7),
        virtual("old", **on_node, ready=True, ready_since=NOW - 1000.2),
    ]
    assert [pod.uid for pod in removal_order(reversed(pods), pods, NOW)] == [pod.uid for pod in pods]


@given(st.permutations(range(8)), st.data())
def test_the_order_does_not_depend_on_the_order_of_the_pods(shuffled: Sequence[int], data: st.DataObject) -> None:
    flags = st.tuples(
        st.booleans(), st.booleans(), st.sampled_from([None, "1", "-1"]), st.sampled_from(["", "n1", "n2"])
    )
    drawn = [data.draw(flags) for _ in range(8)]
    pods = [make(f"p{n}", node, pending=p, ready=r and not p, cost=c) for n, (r, p, c, node) in enumerate(drawn)]
    assert order(*(pods[n] for n in shuffled)) == order(*pods)
