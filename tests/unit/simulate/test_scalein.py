from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extender.core.model.objects import OwnerRef
from extender.simulate.api import PodTemplate, VirtualPod
from extender.simulate.scalein import deletion_order

NOW = 100_000.0
OWNER = OwnerRef("rs", "apps/v1", "ReplicaSet", "web")


def make(uid: str, **fields: Any) -> VirtualPod:
    given: dict[str, Any] = {"node": "n1", "running": True, "ready": True, "ready_since": NOW - 1000, **fields}
    return VirtualPod(uid, "shop", uid, OWNER, PodTemplate(), {}, given.pop("created", NOW - 2000), **given)


def order(*pods: VirtualPod, related: Sequence[VirtualPod] = ()) -> list[str]:
    return [pod.uid for pod in deletion_order(pods, related or pods, NOW)]


def test_each_criterion_comes_before_the_next() -> None:
    pods = [
        make("unbound", node="", running=False, ready=False, cost="9"),
        make("pending", running=False, ready=False, cost="9"),
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


def test_a_cost_that_is_no_32_bit_number_counts_as_none() -> None:
    pods = [make("a", cost="1"), make("b", cost="4294967296"), make("c", cost="dear"), make("d", cost="-1")]
    assert order(*pods) == ["d", "b", "c", "a"]


@given(st.permutations(range(8)), st.data())
def test_the_order_does_not_depend_on_the_order_of_the_pods(shuffled: Sequence[int], data: st.DataObject) -> None:
    flags = st.tuples(
        st.booleans(), st.booleans(), st.sampled_from([None, "1", "-1"]), st.sampled_from(["", "n1", "n2"])
    )
    drawn = [data.draw(flags) for _ in range(8)]
    pods = [make(f"p{n}", ready=r and u, running=u, cost=c, node=node) for n, (r, u, c, node) in enumerate(drawn)]
    assert order(*(pods[n] for n in shuffled)) == order(*pods)
