"""A filter request's decision: which nodes pass, what is reserved, when a pod waits or falls back."""

from collections.abc import Iterator
from typing import Any

import pytest
from support.doubles import (
    ENABLED,
    RULES,
    World,
    keys,
    make_node,
    make_owner,
    make_pod,
    make_view,
)

from extender.core.answers.overview import overview
from extender.core.capacity.fit import Needs
from extender.core.model.constraints import Constraints
from extender.core.model.objects import Namespace, OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.placement.nominate import choose_node
from extender.core.policy.ordinals import ordinal_of
from extender.core.state.events import Unavailable
from extender.core.state.records import NodeRecord


@pytest.fixture
def world() -> World:
    return World()


def reasons(world: World, owner: OwnerRef, offered: list[str], count: int) -> list[Reason]:
    return [world.place(owner, offered)[1].reason for _ in range(count)]


def test_unmanaged_pods_pass_everywhere(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    plain = world.deployment("plain", 3, labels={})
    daemon = OwnerRef("ds", "apps/v1", "DaemonSet", "agent")
    mirror = OwnerRef("node", "v1", "Node", "n1")
    for owner in (None, plain, daemon, mirror):
        decision = world.decide(make_view("p", owner), offered)
        assert (decision.reason, decision.nodes) == (Reason.UNMANAGED, None)
        assert (decision.reservation, decision.waiting, decision.released) == (None, None, None)
    web = world.deployment("web", 1)
    view = make_view("p", web, namespace="kube-system")
    assert world.decide(view, offered).reason is Reason.UNMANAGED
    assert "kube-system" in RULES.protected_namespaces


def test_only_the_wanted_class_passes(world: World) -> None:
    offered = world.nodes(spot=2, on_demand=2)
    owner = world.deployment("web", 2, spot_percentage=50)
    _, first = world.place(owner, offered)
    _, second = world.place(owner, offered)
    assert (first.nodes, first.wanted) == (["on-demand-0", "on-demand-1"], "on-demand")
    assert (second.nodes, second.capacity_class) == (["spot-0", "spot-1"], "spot")


def test_a_node_that_goes_away_is_not_passed(world: World) -> None:
    offered = world.nodes(spot=2)
    owner = world.deployment("web", 1, spot_percentage=100)
    world.up(make_node("spot-0", going_away="taint"))
    assert world.place(owner, offered)[1].nodes == ["spot-1"]


def test_a_job_is_one_revision(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    job = make_owner("Job", "batch", 10, labels=ENABLED, annotations=keys(spot_percentage=50))
    world.up(job)
    for _ in range(10):
        world.place(job.ref, offered)
    assert world.split(job.ref) == {"spot": 5, "on-demand": 5}


def test_each_revision_is_counted_alone(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    old = world.deployment("web", 10, spot_percentage=50, min_on_demand=2)
    for _ in range(10):
        world.up(world.place(old, offered)[0])
    top = world.state.workloads.owners["uid-Deployment-web"]
    new = make_owner("ReplicaSet", "web-2", 3, owner=top.ref)
    world.up(new)
    splits = []
    for _ in range(3):
        world.place(new.ref, offered)
        splits.append(world.split(new.ref))
    assert splits == [{"on-demand": 1}, {"on-demand": 2}, {"on-demand": 2, "spot": 1}]


def test_terminating_pods_hold_no_seat(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 1)
    pod, _ = world.place(owner, offered)
    world.up(pod, make_pod(pod.uid, owner, pod.node, terminating=True))
    assert world.split(owner) == {}
    assert world.place(owner, offered)[1].capacity_class == "on-demand"


def test_fallback_lets_on_demand_stand_in_but_never_spot_for_it(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 4, spot_percentage=50)
    assert reasons(world, owner, offered, 4) == [Reason.SEAT, Reason.FALLBACK, Reason.FALLBACK, Reason.FALLBACK]
    assert world.split(owner) == {"on-demand": 4}
    spot_only = World()
    offered = spot_only.nodes(spot=1)
    owner = spot_only.deployment("web", 2, spot_percentage=50)
    assert reasons(spot_only, owner, offered, 2) == [Reason.WAIT_CLASS, Reason.SEAT]


def test_any_lets_either_stand_in(world: World) -> None:
    offered = world.nodes(spot=1)
    owner = world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="any")
    assert reasons(world, owner, offered, 2) == [Reason.FALLBACK] * 2
    assert world.split(owner) == {"spot": 2}


def test_wait_rejects_and_keeps_the_seat(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="wait")
    assert reasons(world, owner, offered, 2) == [Reason.SEAT, Reason.WAIT_CLASS]
    assert world.split(owner) == {"on-demand": 1, "spot": 1}
    # A node of its class wakes it, and no time does.
    waiting = world.state.waiting.get("pod-1")
    assert waiting is not None
    assert waiting.wake_at == 0.0
    world.nodes(spot=1)
    _, decision = world.place(owner, [*offered, "spot-0"], uid="pod-1")
    assert decision.nodes == ["spot-0"]
    assert world.split(owner) == {"on-demand": 1, "spot": 1}


def test_a_pod_that_fell_back_is_judged_anew_when_tried_again(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100)
    assert world.place(owner, offered, uid="p")[1].reason is Reason.FALLBACK
    world.nodes(spot=1)
    assert world.place(owner, ["spot-0", *offered], uid="p")[1].capacity_class == "spot"
    assert world.split(owner) == {"spot": 1}


def test_a_pod_keeps_its_earlier_seat(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=50, when_unsatisfiable="wait")
    first, _ = world.place(owner, offered, uid="first")
    world.up(first)
    world.place(owner, offered, uid="second")
    world.gone("pods", "first")
    assert world.place(owner, offered, uid="second")[1].wanted == "spot"
    assert world.place(owner, offered, uid="third")[1].wanted == "on-demand"


def test_fallback_after_waits_and_wakes(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100, fallback_after="30s")
    _, decision = world.place(owner, offered, uid="p")
    assert (decision.reason, decision.nodes) == (Reason.WAIT_FALLBACK, ())
    waiting = world.state.waiting.get("p")
    assert waiting is not None
    assert (waiting.since, waiting.wake_at) == (1000.0, 1030.0)
    world.now += 29
    assert world.place(owner, offered, uid="p")[1].reason is Reason.WAIT_FALLBACK
    world.now += 1
    assert world.place(owner, offered, uid="p")[1].reason is Reason.FALLBACK


def test_the_wait_outlives_a_restart(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 1, spot_percentage=100, fallback_after="30s")
    _, decision = world.place(owner, offered, uid="p", unscheduled_since=980.0)
    assert decision.reason is Reason.WAIT_FALLBACK
    waiting = world.state.waiting.get("p")
    assert waiting is not None
    assert waiting.wake_at == 1010.0
    assert world.place(owner, offered, uid="q", unscheduled_since=970.0)[1].reason is Reason.FALLBACK
    # A clock that is ahead of ours lengthens nothing.
    world.place(owner, offered, uid="r", unscheduled_since=5000.0)
    waiting = world.state.waiting.get("r")
    assert waiting is not None
    assert waiting.since == 1000.0


def test_audit_passes_all_and_reserves_nothing(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=100, mode="audit")
    decision = world.decide(make_view("p", owner), offered)
    assert (decision.reason, decision.nodes, decision.wanted) == (Reason.AUDIT, None, "spot")
    assert world.split(owner) == {}


def test_a_pod_that_waits_gives_its_seat_back_when_its_workload_goes_to_audit(world: World) -> None:
    offered = world.nodes(on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=100, when_unsatisfiable="wait")
    view = make_view("p", owner)
    assert world.decide(view, offered).reason is Reason.WAIT_CLASS
    assert world.state.reserved == len(world.state.waiting) == 1
    world.annotate("web", 2, spot_percentage=100, mode="audit")
    assert world.decide(view, offered).reason is Reason.AUDIT
    assert world.state.reserved == len(world.state.waiting) == 0


@pytest.mark.parametrize("policy", [{"spot_percentage": "x"}, {"spot_percentage": 70, "mode": "?"}])
def test_an_invalid_policy_holds_all_on_demand(world: World, policy: dict[str, Any]) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 2, **policy)
    assert reasons(world, owner, offered, 2) == [Reason.POLICY_INVALID] * 2
    assert world.split(owner) == {"on-demand": 2}
    assert world.place(owner, ["spot-0"])[1].reason is Reason.WAIT_CLASS


def test_the_last_valid_policy_keeps_applying(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 2, spot_percentage=100)
    world.annotate("web", 2, spot_percentage="x")
    assert reasons(world, owner, offered, 2) == [Reason.SEAT] * 2
    assert world.split(owner) == {"spot": 2}


def test_a_pod_of_an_unknown_owner_is_held_on_demand(world: World) -> None:
    offered = world.nodes(spot=1, on_demand=1)
    unknown = OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
    _, decision = world.place(unknown, offered)
    assert (decision.reason, decision.nodes) == (Reason.OWNER_UNKNOWN, ["on-demand-0"])
    assert world.split(unknown) == {"on-demand": 1}


@pytest.mark.parametrize("labels", [ENABLED, {}])
def test_a_pod_that_waits_for_its_owner_is_woken_when_it_comes(world: World, labels: dict[str, str]) -> None:
    offered = world.nodes(spot=1)
    top = make_owner("Deployment", "web", 1, labels=labels, annotations=keys(spot_percentage=100))
    rs = make_owner("ReplicaSet", "web-1", 1, owner=top.ref)
    assert world.place(rs.ref, offered, uid="p")[1].nodes == ()
    for owner in (rs, top):
        world.up(owner)
        assert world.woken() == {"p"}
    assert world.place(rs.ref, offered, uid="p")[1].nodes in (None, ["spot-0"])


def test_it_is_woken_when_its_owner_cannot_be_had(world: World) -> None:
    offered = world.nodes(spot=1)
    owner = OwnerRef("x", "example.org/v1", "Database", "db")
    world.place(owner, offered, uid="p")
    world.state.apply(Unavailable("example.org", "Database"), 0.0)
    assert world.woken() == {"p"}
    assert world.place(owner, offered, uid="p")[1].reason is Reason.UNMANAGED


def test_namespace_defaults_apply(world: World) -> None:
    world.up(Namespace("uid-shop", "shop", ENABLED, keys(spot_percentage=100)))
    offered = world.nodes(spot=1, on_demand=1)
    owner = world.deployment("web", 2, labels={}, min_on_demand=1)
    assert [world.place(owner, offered)[1].capacity_class for _ in range(2)] == ["on-demand", "spot"]


@pytest.mark.parametrize(
    ("name", "ordinal"), [("db-0", 0), ("db-x-12", 12), ("db", None), ("db-", None), ("db-\u0661", None)]
)
def test_ordinals(name: str, ordinal: int | None) -> None:
    assert ordinal_of(name) == ordinal


def test_spot_nodes_without_type_and_zone_are_pools_of_their_own(world: World) -> None:
    names = [f"bare-{number}" for number in range(3)]
    world.up(*(make_node(name, instance_type="", zone="") for name in names))
    owner = world.deployment("web", 3, spot_percentage=100, max_per_pool=1)
    given = []
    for uid in ("p0", "p1", "p2"):
        decision = world.decide(make_view(uid, owner), names)
        given.append(list(decision.nodes or ()))
        world.up(make_pod(uid, owner, given[-1][0]))
    assert sorted(given) == [["bare-0"], ["bare-1"], ["bare-2"]]
    (pool,) = overview(world.state, world.now).pools
    assert (pool.instance_type, pool.zone, pool.nodes, pool.pods) == ("", "", 3, 3)


def test_a_pod_of_very_many_terms_looks_at_few_nodes(world: World) -> None:
    world.nodes(spot=50)
    terms = tuple((Requirement(f"key-{n}", "In", ("x",) * 99),) for n in range(1000))
    seen: list[str] = []

    def nodes() -> Iterator[NodeRecord]:
        for node in world.state.nodes.values():
            seen.append(node.name)
            yield node

    for constraints, looked_at in ((Constraints(node_terms=terms), 4), (Constraints(node_terms=terms[:1]), 50)):
        seen.clear()
        assert choose_node(world.state, nodes(), (), (), Needs(constraints=constraints)) == ""
        assert len(seen) == looked_at
