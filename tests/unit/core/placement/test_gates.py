"""Gated pods get their class in order, and their seats are counted from then on."""

from collections import Counter

import pytest
from msgspec.structs import replace
from support.doubles import CAPACITY_TYPE, World, make_node, make_pod
from support.fleets import FleetWorld

from extender.core.model.constraints import NO_CONSTRAINTS
from extender.core.model.objects import OwnerRef
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.placement.gates import (
    AGAIN,
    BACKLOG,
    CLEARED,
    OWNER_WAIT,
    READ_AGAIN,
    REFUSALS,
    GateController,
    Release,
)
from extender.core.placement.tolerations import SPOT_TOLERATIONS
from extender.core.placement.written import Requires
from extender.core.policy.managed import Managed
from extender.core.policy.rules import PolicyRules
from extender.core.state.records import PodRecord, Reservation, replacing

GATE = "spotmix.io/placement"
OTHER = "kueue.x-k8s.io/admission"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def gates(world: World) -> GateController:
    return GateController(world.state)


def gate(world: World, owner: OwnerRef, *names: str, gates: tuple[str, ...] = (GATE,), created: float = 0.0) -> None:
    for number, name in enumerate(names):
        world.up(make_pod(name, owner, gates=gates, created=(created or world.now) + number))


def classes(releases: list[Release]) -> dict[str, str]:
    return {release.pod.name: release.capacity_class for release in releases}


def test_pods_are_decided_in_the_order_of_their_creation(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 4, spot_percentage=50, min_on_demand=1)
    gate(world, owner, "d", "c", "b", "a")
    assert classes(gates.due(world.now + 10)) == {"d": "on-demand", "c": "spot", "b": "on-demand", "a": "spot"}


def test_what_was_decided_counts_before_and_after_it_is_written(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 3, spot_percentage=50)
    gate(world, owner, "a")
    assert classes(gates.due(world.now)) == {"a": "on-demand"}
    gate(world, owner, "b")
    assert classes(gates.due(world.now)) == {"b": "spot"}
    world.up(make_pod("a", owner, written="on-demand"))
    world.up(make_pod("b", owner, written="spot"))
    assert world.state.reserved == 0
    revision = world.state.revisions.get(owner.uid)
    assert revision is not None
    assert revision.filled == {"on-demand": 1, "spot": 1}
    # Another replica, which has decided nothing, goes on from what is on the pods.
    gate(world, owner, "c")
    assert classes(GateController(world.state).due(world.now)) == {"c": "on-demand"}


def test_a_bound_pod_is_counted_once(world: World) -> None:
    owner = world.deployment("web", 2, spot_percentage=100)
    (node,) = world.nodes(spot=1)
    world.up(make_pod("a", owner, written="spot"))
    revision = world.state.revisions.get(owner.uid)
    assert revision is not None
    assert revision.siblings.nodes == {}
    world.up(make_pod("a", owner, node, written="spot"))
    assert revision.filled == {"spot": 1}
    assert revision.siblings.nodes == {node: 1}
    world.gone("pods", "a")
    assert revision.filled == {"spot": 0}


def test_the_gates_of_others_come_first(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 2, spot_percentage=50)
    gate(world, owner, "a", gates=(OTHER, GATE))
    assert gates.due(world.now) == []
    gate(world, owner, "a")
    assert classes(gates.due(world.now)) == {"a": "on-demand"}


def test_what_the_watch_does_not_show_is_decided_anew(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 2, spot_percentage=50)
    gate(world, owner, "a")
    now = world.now
    assert len(gates.due(now)) == 1
    assert gates.due(now + AGAIN / 2) == []
    assert gates.next_at == now + AGAIN
    assert classes(gates.due(now + AGAIN)) == {"a": "on-demand"}


def test_a_pod_of_nobody_and_one_of_an_unknown_owner(world: World, gates: GateController) -> None:
    unknown = OwnerRef("rs", "apps/v1", "ReplicaSet", "web-1")
    gate(world, unknown, "a", created=world.now)
    assert gates.due(world.now) == []
    assert gates.next_at == world.now + OWNER_WAIT
    (release,) = gates.due(world.now + OWNER_WAIT)
    assert (release.pod.name, release.capacity_class, release.requires, release.annotations) == (
        "a",
        "",
        Requires(),
        {},
    )


@pytest.mark.parametrize("marked", ["on-demand", "spot"])
def test_what_a_pod_requires_itself_stays(world: World, gates: GateController, marked: str) -> None:
    """The class comes on top: as a node selector where one label tells it, else in each term."""
    zones = ((Requirement("zone", "In", ("a",)),), (Requirement("zone", "In", ("b",)),))
    own = replace(NO_CONSTRAINTS, node_selector=(("disk", "ssd"),), node_terms=zones)
    owner = world.deployment("web", 1, spot_percentage=100 if marked == "spot" else 0)
    world.up(make_node("node", marked, labels={CAPACITY_TYPE: marked}, marks=((CAPACITY_TYPE, marked),)))
    world.up(make_node("unlabelled", "on-demand"))
    world.up(make_pod("a", owner, gates=(GATE,), constraints=own))
    (release,) = gates.due(world.now)
    assert release.annotations == {"spotmix.io/class": marked}
    demands = release.requires.on(own)
    if marked == "spot":
        selector = (("disk", "ssd"), (CAPACITY_TYPE, "spot"))
        assert demands == replace(own, node_selector=selector, tolerations=SPOT_TOLERATIONS)
        return
    assert demands.node_selector == own.node_selector
    assert [term[0] for term in demands.node_terms or ()] == [term[0] for term in zones]
    assert all(Requirement(CAPACITY_TYPE, "NotIn", ("spot",)) in term for term in demands.node_terms or ())


def test_several_labels_that_tell_a_class_are_alternatives(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 1, spot_percentage=100)
    for label, value in ((CAPACITY_TYPE, "spot"), ("eks.amazonaws.com/capacityType", "SPOT")):
        world.up(make_node(value, "spot", labels={label: value}, marks=((label, value),)))
    gate(world, owner, "a")
    (release,) = gates.due(world.now)
    assert release.requires.selector == ()
    assert [[each.key for each in term] for term in release.requires.terms] == [
        [CAPACITY_TYPE],
        ["eks.amazonaws.com/capacityType"],
    ]


def test_a_term_that_matches_no_node_stays_as_it_is(world: World, gates: GateController) -> None:
    """An empty term matches nothing, and the API server lets nobody add to it."""
    own = ((Requirement("zone", "In", ("a",)),), ())
    owner = world.deployment("web", 1, spot_percentage=0)
    world.up(make_node("node", "spot", labels={CAPACITY_TYPE: "spot"}, marks=((CAPACITY_TYPE, "spot"),)))
    world.up(make_pod("a", owner, gates=(GATE,), constraints=replace(NO_CONSTRAINTS, node_terms=own)))
    world.up(make_pod("b", owner, gates=(GATE,), constraints=replace(NO_CONSTRAINTS, node_terms=((),))))
    first, second = gates.due(world.now)
    kept, empty = first.requires.terms
    assert (kept[0], empty) == (own[0][0], ())
    assert Requirement(CAPACITY_TYPE, "NotIn", ("spot",)) in kept
    assert (second.capacity_class, second.requires) == ("", Requires())


def test_a_pod_that_the_server_lets_nobody_change_is_let_go(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 1, spot_percentage=100)
    gate(world, owner, "a")
    now = world.now
    for _ in range(REFUSALS):
        (release,) = gates.due(now)
        assert release.capacity_class == "spot"
        gates.refused(release.pod.uid, now)
        assert gates.due(now) == []
        assert gates.next_at == now + READ_AGAIN
        now += READ_AGAIN
    (release,) = gates.due(now)
    assert (release.capacity_class, release.annotations) == ("", {})


def test_a_refusal_says_nothing_of_a_pod_whose_gate_is_gone(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 2, spot_percentage=100)
    gate(world, owner, "a")
    (release,) = gates.due(world.now)
    world.up(make_pod("a", owner, written="spot"))
    gates.refused(release.pod.uid, world.now)
    assert gates.due(world.now + AGAIN) == []


def test_who_is_given_a_class_that_is_open_is_not_let_through_a_closed_one(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 1, spot_percentage=100)
    gate(world, owner, "a")
    closures = world.state.autoscaling.closures
    closures.close("on-demand", world.state.autoscaling.demand(world.state.pods["a"]), world.now, "no capacity")
    world.state.apply(Reservation(replacing("gone"), "shop", owner, "spot", world.now, proven=True), world.now)
    assert classes(gates.due(world.now)) == {"a": "spot"}
    assert closures.through == set()


class MakesWay:
    """A prover before whose eyes a placeholder makes way for some looks."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def prove(self, pod: PodRecord, managed: Managed, capacity_class: str, now: float) -> bool | None:
        raise NotImplementedError

    def is_clear(self, pod: PodRecord, capacity_class: str, now: float) -> bool:  # noqa: ARG002
        self.looks -= 1
        return self.looks < 0


def test_what_replaces_a_moved_pod_gets_the_class_whose_room_was_proven(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 2, spot_percentage=100)
    gate(world, owner, "a", "b")
    demand = world.state.autoscaling.demand(world.state.pods["a"])
    world.state.autoscaling.closures.close("spot", demand, world.now, "no capacity")
    world.state.apply(Reservation(replacing("gone"), "shop", owner, "spot", world.now, proven=True), world.now)
    gates.prover = MakesWay(looks=2)
    assert classes(gates.due(world.now)) == {"b": "on-demand"}
    assert classes(gates.due(world.now + CLEARED)) == {}
    assert world.state.autoscaling.closures.through == {"a"}
    # The room stays proven while a placeholder makes way, and where the first release never arrives.
    for now in (world.now + 2 * CLEARED, world.now + 2 * CLEARED + AGAIN):
        assert classes(gates.due(now))["a"] == "spot"


LATE = Taint("karpenter.sh/capacity-type", "spot", "NoExecute")


def test_a_taint_that_is_first_seen_while_a_pod_is_gated_is_tolerated(world: World, gates: GateController) -> None:
    owner = world.deployment("web", 2, spot_percentage=50)
    known = replace(NO_CONSTRAINTS, tolerations=SPOT_TOLERATIONS)
    for name in ("a", "b"):
        world.up(make_pod(name, owner, gates=(GATE,), constraints=known))
    world.up(
        make_node("spot-0", "spot", marks=((LATE.key, "spot"),), taints=(LATE, Taint("dedicated", "", "NoSchedule")))
    )
    added = {release.capacity_class: release.requires.tolerations for release in gates.due(world.now)}
    assert added == {"on-demand": (), "spot": (Toleration(LATE.key, "Equal", "spot", "NoExecute"),)}


def test_what_the_settings_call_a_spot_taint_is_tolerated_and_nothing_twice(
    world: World, gates: GateController
) -> None:
    extra = Toleration("cheap", "Exists", "", "NoSchedule")
    world.state.workloads.go_by(PolicyRules(spot_tolerations=(extra,)))
    owner = world.deployment("web", 2, spot_percentage=100)
    for name, held in (("a", SPOT_TOLERATIONS), ("b", (Toleration(operator="Exists"),))):
        world.up(make_pod(name, owner, gates=(GATE,), constraints=replace(NO_CONSTRAINTS, tolerations=held)))
    assert [release.requires.tolerations for release in gates.due(world.now)] == [(extra,), ()]


def test_no_more_pods_are_decided_than_there_is_room_to_send(world: World) -> None:
    room = 2
    gates = GateController(world.state, room=lambda: room)
    owner = world.deployment("web", 6, spot_percentage=50)
    gate(world, owner, "a", "b", "c", "d", "e")
    now = world.now + 10
    assert [release.pod.name for release in gates.due(now)] == ["a", "b"]
    assert (world.state.reserved, gates.next_at) == (2, now + BACKLOG)
    # One that came meanwhile is last, whatever its age; one that is gone is left out.
    gate(world, owner, "x", created=world.now - 100)
    world.gone("pods", "d")
    assert [release.pod.name for release in gates.due(now)] == ["c", "e"]
    room = 0
    assert (gates.due(now), gates.next_at) == ([], now + BACKLOG)
    room = 9
    assert [release.pod.name for release in gates.due(now)] == ["x"]
    assert (gates.due(now), gates.next_at) == ([], now + AGAIN)


def test_pods_of_workloads_that_are_counted_together_are_decided_together() -> None:
    world = FleetWorld()
    gates = GateController(world.state)
    for number in range(40):
        world.deploy(f"w-{number:02}", wait=True, enforcement="affinity")
        gate(world, world.sets[f"w-{number:02}"][-1].ref, f"pod-{number:02}")
    assert Counter(classes(gates.due(world.now + 100)).values()) == {"spot": 28, "on-demand": 12}
    # What is written counts as what was decided did.
    for number in range(40):
        owner = world.sets[f"w-{number:02}"][-1].ref
        written = world.state.revisions[owner.uid].reservations[f"pod-{number:02}"].capacity_class
        world.up(make_pod(f"pod-{number:02}", owner, written=written))
    assert world.fleet.filled == {"spot": 28, "on-demand": 12}
    assert sum(world.fleet.bound.values()) == 0
