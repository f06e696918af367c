"""Pods whose class does not come are waited for, and replaced, by what autoscalers say and by their policy."""

from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import (
    ENABLED,
    World,
    announce,
    keys,
    make_node_claim,
    make_owner,
    make_pod,
    written_pod,
)

from extender.core.model.objects import OwnerRef, Pod
from extender.core.placement.gates import GateController
from extender.core.placement.pending import HEARD, RATE, PendingController, Replace, is_as_judged
from extender.core.state.autoscaling import NODE_CLAIMS
from extender.core.state.events import Event, Gone, Sighted, Upsert
from extender.core.state.records import Reservation, replacing

GATE = "spotmix.io/placement"


class Ground(World):
    """A world with the controllers that decide on gated pods and replace those that wait."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.pending = PendingController(self.state, 600.0, **settings)
        self.gates = GateController(self.state)

    def take(self, *objects: Any) -> None:
        for thing in objects:
            self._take(Upsert(thing))

    def lose(self, resource: str, uid: str) -> None:
        self._take(Gone(resource, uid))

    def _take(self, event: Event) -> None:
        self.state.apply(event, self.now)
        self.pending.observe(event, self.now)
        self.gates.observe(event, self.now)

    def web(self, **policy: Any) -> OwnerRef:
        return self.deployment("web", 10, **{"spot_percentage": 100, "enforcement": "affinity", **policy})

    def replaced(self, after: float = 0.0) -> list[Replace]:
        self.now += after
        return list(self.pending.due(self.now))

    def refuse(self, name: str = "x") -> None:
        claim = make_node_claim(name, created=self.now)
        self.take(claim, announce(claim), replace(claim, going=True))
        self.lose(NODE_CLAIMS, claim.uid)


def waiting(owner: OwnerRef, count: int = 1, **fields: Any) -> list[Pod]:
    return [written_pod(f"p{number}", owner, **fields) for number in range(count)]


def uids(actions: list[Replace]) -> list[str]:
    return [action.pod.uid for action in actions]


@pytest.mark.parametrize(
    ("said", "after"), [({}, 180.0), ({"fallback_after": "20s"}, 20.0), ({"fallback_after": "0s"}, 0.0)]
)
def test_without_an_autoscaler_the_policy_says_how_long(said: dict[str, str], after: float) -> None:
    ground = Ground()
    ground.take(*waiting(ground.web(**said)))
    assert after == 0.0 or not ground.replaced(after - 1.0)
    (action,) = ground.replaced(1.0)
    assert (action.why, action.capacity_class, action.stand_in) == ("timeout", "spot", "on-demand")
    assert not ground.replaced(1000.0)


def test_an_autoscaler_is_given_time_to_say_what_it_does() -> None:
    ground = Ground()
    other = make_pod("other")
    ground.take(other, announce(other, coming=True), *waiting(ground.web(fallback_after="0s")))
    assert not ground.replaced(HEARD - 1)
    assert uids(ground.replaced(1.0)) == ["p0"]


def test_one_that_is_there_is_given_time_before_its_first_word() -> None:
    """The first pod of a cluster, or the first after a restart, of cluster-autoscaler say."""
    ground = Ground()
    ground.state.apply(Sighted("cluster-autoscaler", there=True), ground.now)
    ground.take(*waiting(ground.web(fallback_after="0s")))
    assert not ground.replaced(HEARD - 1)
    assert uids(ground.replaced(1.0)) == ["p0"]


def test_a_node_that_is_coming_is_waited_for_but_not_for_ever() -> None:
    ground = Ground()
    (pod,) = waiting(ground.web(fallback_after="1s"))
    ground.take(pod, make_node_claim("x"))
    assert not ground.replaced(599.0)
    ground.take(make_node_claim("x", launched=True))
    assert uids(ground.replaced(1.0)) == ["p0"]


def test_a_refusal_of_the_pod_itself_ends_it_at_once() -> None:
    ground = Ground()
    (pod,) = waiting(ground.web())
    ground.take(pod, announce(pod))
    (action,) = ground.replaced()
    assert (action.why, action.text) == ("refused", "no capacity")
    scope = action.workload.uid
    demand = ground.state.autoscaling.demand(ground.state.pods["p0"])
    closed = ground.state.autoscaling.closures.closed
    # What one pod met counts for its own workload alone: its namespace's owner may have written it.
    assert (closed("spot", demand, ground.now, scope) is None, closed("spot", demand, ground.now, "db")) == (
        False,
        None,
    )


def test_a_refused_node_claim_ends_it_for_all_that_it_was_for() -> None:
    ground = Ground()
    ground.take(*waiting(ground.web(), 3))
    ground.refuse()
    assert [action.why for action in ground.replaced()] == ["closed"] * 3


def test_those_stay_that_another_node_is_coming_for() -> None:
    ground = Ground()
    pods = waiting(ground.web(), 8)
    ground.take(*pods, make_node_claim("came", launched=True))
    ground.refuse()
    # Five of 100m fit what was asked for, of 500m.
    assert uids(ground.replaced()) == ["p5", "p6", "p7"]


def test_not_more_than_a_few_in_a_second() -> None:
    ground = Ground()
    ground.take(*waiting(ground.web(), 25))
    ground.refuse()
    assert [len(ground.replaced(each)) for each in (0.0, 0.5, 0.6, 1.1)] == [RATE, 0, RATE, 5]


@pytest.mark.parametrize(
    ("policy", "written"),
    [({"when_unsatisfiable": "wait"}, "spot"), ({}, "on-demand"), ({"mode": "audit"}, "spot")],
    ids=["wait", "a floor", "audit"],
)
def test_who_has_no_stand_in_waits(policy: dict[str, str], written: str) -> None:
    ground = Ground()
    (pod,) = waiting(ground.web(**policy), capacity_class=written)
    ground.take(pod, announce(pod))
    assert not ground.replaced(1000.0)


def test_any_lets_spot_stand_in_for_a_floor_unless_that_is_closed_too() -> None:
    ground = Ground()
    floor, spot = written_pod("f", ground.web(when_unsatisfiable="any"), "on-demand"), written_pod("s", None)
    ground.take(floor, spot, announce(floor))
    ground.refuse()
    assert not ground.replaced()
    assert uids(ground.replaced(60.0)) == ["f"]


@pytest.mark.parametrize(
    ("owner", "replaced"),
    [
        (make_owner("StatefulSet", "db", 3), True),
        (make_owner("Job", "run", 3), False),
        (make_owner("Rollout", "ro", 3), True),
        (make_owner("Rollout", "ro", None), False),
    ],
    ids=lambda each: str(each.kind) if hasattr(each, "kind") else "",
)
def test_only_who_is_made_anew_is_replaced(owner: Any, *, replaced: bool) -> None:
    ground = Ground()
    said = keys(spot_percentage=100, enforcement="affinity")
    owner = replace(owner, labels=ENABLED, annotations=said)
    pod = written_pod("db-0", owner.ref)
    ground.take(owner, pod, announce(pod))
    assert bool(ground.replaced()) is replaced


def test_a_bare_pod_and_one_that_no_scheduler_has_looked_at_stay() -> None:
    ground = Ground()
    bare, new = written_pod("bare", None), written_pod("new", ground.web(), unscheduled=False)
    ground.take(bare, new, announce(bare), announce(new))
    assert not ground.replaced(1000.0)


def test_it_can_be_switched_off() -> None:
    ground = Ground(replaces=False)
    (pod,) = waiting(ground.web())
    ground.take(pod, announce(pod))
    assert not ground.replaced(1000.0)


def test_what_came_of_it_is_gone_on_from() -> None:
    ground = Ground()
    (pod,) = waiting(ground.web())
    ground.take(pod, announce(pod))
    (action,) = ground.replaced()
    ground.pending.done(action, "failed", ground.now)
    assert not ground.replaced(9.0)
    (action,) = ground.replaced(1.0)
    ground.pending.done(action, "changed", ground.now)
    (action,) = ground.replaced(1.0)
    ground.pending.done(action, "replaced", ground.now)
    assert not ground.replaced(1000.0)


def test_a_new_leader_waits_anew_for_what_it_cannot_judge() -> None:
    ground = Ground()
    ground.up(*waiting(ground.web(fallback_after="20s"), created=1.0))
    ground.pending.take_over(ground.now)
    assert not ground.replaced(19.0)
    assert ground.replaced(1.0)


def test_pods_that_come_while_a_class_is_closed_go_to_the_stand_in_at_once_and_one_tries_after_that() -> None:
    ground = Ground()
    owner = ground.web()
    (pod,) = waiting(owner)
    ground.take(pod)
    ground.refuse()

    def decided(uid: str) -> str:
        ground.take(make_pod(uid, owner, gates=(GATE,), scheduler=None, created=ground.now))
        (release,) = ground.gates.due(ground.now)
        assert release.wanted == ("spot" if release.capacity_class == "on-demand" else "")
        ground.take(written_pod(uid, owner, release.capacity_class, created=ground.now))
        return release.capacity_class

    assert decided("a") == "on-demand"
    ground.now += 61
    assert [decided("b"), decided("c")] == ["spot", "on-demand"]
    ground.refuse("y")
    assert "b" in uids(ground.replaced())
    ground.lose("pods", "b")
    ground.now += 61
    assert decided("d") == "on-demand"
    ground.now += 60
    assert decided("e") == "spot"


def test_whose_proven_room_was_taken_by_another_does_not_wait_for_as_long_as_its_class_is_closed() -> None:
    ground = Ground()
    owner = ground.web(fallback_after="20s")
    ground.take(*waiting(owner))
    ground.refuse()
    ground.now += 1.0
    # Its class was closed when it came: one was moved for it, the other has its class from its owner.
    ground.state.apply(Reservation(replacing("gone"), "shop", owner, "spot", ground.now, proven=True), ground.now)
    ground.take(make_pod("moved", owner, gates=(GATE,), scheduler=None, created=ground.now))
    (release,) = ground.gates.due(ground.now)
    assert release.capacity_class == "spot"
    ground.take(*(written_pod(uid, owner, created=ground.now) for uid in ("moved", "own")))
    assert uids(ground.replaced()) == ["p0"]
    assert uids(ground.replaced(19.0)) == []
    assert uids(ground.replaced(1.0)) == ["moved"]


@pytest.mark.parametrize(
    ("change", "still"),
    [
        ({}, True),
        ({"node": "n"}, False),
        ({"nominated": "n"}, False),
        ({"terminating": True}, False),
        ({"unscheduled": False}, False),
        ({"uid": "other"}, False),
        ({"written": "on-demand"}, False),
        ({"gates": ("x",)}, False),
    ],
)
def test_the_last_look(change: dict[str, Any], *, still: bool) -> None:
    ground = Ground()
    (pod,) = waiting(ground.web())
    ground.take(pod, announce(pod))
    (action,) = ground.replaced()
    assert is_as_judged(replace(pod, **change), action) is still


def test_a_class_that_comes_with_the_pods_template_costs_no_end_of_pods() -> None:
    ground = Ground()
    owner = ground.web(fallback_after="0s")
    times: list[float] = []
    for number in range(3600):
        ground.now += 1.0
        ground.lose("pods", f"p{number - 1}") if times and times[-1] == ground.now - 1.0 else None
        if not ground.state.decided:
            ground.take(written_pod(f"p{number}", owner, created=ground.now))
        if ground.replaced():
            uid = next(iter(ground.state.decided))
            ground.lose("pods", uid)
            times.append(ground.now)
    assert [round(later - earlier) for earlier, later in pairwise(times)][:5] == [
        60,
        120,
        240,
        480,
        960,
    ]
