"""Events become the state of the cluster, in whatever order they come."""

from typing import Any

import pytest
from support.doubles import World, keys, make_node, make_owner, make_pod

from extender.core.model.objects import Namespace, Notice
from extender.core.model.reasons import Reason
from extender.core.state.bindings import _TOMBSTONES
from extender.core.state.events import Gone, Listed, Upsert
from extender.core.state.interruptions import MOST, Interruption
from extender.core.state.provisional import LIFE
from extender.core.state.records import Reservation
from extender.core.state.state import ClusterState
from extender.core.state.waiting import Waiting


@pytest.fixture
def world() -> World:
    return World()


def wait(world: World, pod: str, revision: str, reason: Reason = Reason.WAIT_CLASS) -> None:
    world.state.apply(Waiting(pod, "shop", pod, revision, "spot", reason, world.now), world.now)


def test_pods_may_come_before_their_nodes(world: World) -> None:
    owner = world.deployment("web", 2)
    world.up(make_pod("p1", owner, "spot-0"))
    assert world.split(owner) == {}
    world.nodes(spot=1)
    assert world.split(owner) == {"spot": 1}


def test_a_reservation_holds_until_the_node_of_the_binding_is_known(world: World) -> None:
    owner = world.deployment("web", 1, spot_percentage=100)
    world.nodes(spot=1)
    pod, _ = world.place(owner, ["spot-0"])
    world.gone("nodes", "uid-spot-0")
    world.up(pod)
    assert (world.split(owner), world.state.reserved) == ({"spot": 1}, 1)
    world.nodes(spot=1)
    assert (world.split(owner), world.state.reserved) == ({"spot": 1}, 0)


def test_a_node_that_changes_class_takes_its_pods_along(world: World) -> None:
    owner = world.deployment("web", 1)
    world.nodes(spot=1)
    world.up(make_pod("p1", owner, "spot-0"))
    world.up(make_node("spot-0", "on-demand"))
    assert world.split(owner) == {"on-demand": 1}
    assert set(world.state.placeable["on-demand"]) == {"spot-0"}
    assert not world.state.placeable["spot"]


def test_pods_on_a_node_that_goes_away_hold_no_seat_until_the_alarm_is_withdrawn(world: World) -> None:
    owner = world.deployment("web", 1)
    world.nodes(spot=1)
    world.up(make_pod("p1", owner, "spot-0"))
    world.nodes(spot=1, going_away="deletionTimestamp")
    assert world.split(owner) == {}
    world.nodes(spot=1)
    assert world.split(owner) == {"spot": 1}


def test_a_relist_forgets_what_was_deleted_unseen_and_keeps_what_is_reserved(world: World) -> None:
    owner = world.deployment("web", 3, spot_percentage=100)
    world.nodes(spot=1)
    world.up(make_pod("p1", owner, "spot-0"), make_pod("p2", owner, "spot-0"))
    world.place(owner, ["spot-0"], uid="p3")
    world.place(owner, ["spot-0"], uid="p4", met=False)
    world.state.apply(Listed("pods", frozenset({"p1", "p3"})), world.now)
    assert set(world.state.pods) == {"p1", "p3"}
    assert world.split(owner) == {"spot": 2}
    assert len(world.state.provisional) == 1


def test_lists_of_owners_and_namespaces_forget_their_own_kind_only(world: World) -> None:
    world.deployment("web", 1)
    world.up(make_owner("StatefulSet", "db", 1), Namespace("uid-shop", "shop", {}, {}))
    world.state.apply(Listed("statefulsets.apps", frozenset()), world.now)
    assert set(world.state.workloads.owners) == {"uid-Deployment-web", "uid-ReplicaSet-web-1"}
    world.state.apply(Listed("namespaces", frozenset()), world.now)
    assert not world.state.workloads.namespaces


def test_an_adopted_pod_counts_for_its_new_owner(world: World) -> None:
    old, new = world.deployment("old", 1), world.deployment("new", 1)
    world.nodes(spot=1)
    for owner in (None, old, new, None):
        world.up(make_pod("p1", owner, "spot-0"))
        assert world.split(old) == ({"spot": 1} if owner is old else {})
        assert world.split(new) == ({"spot": 1} if owner is new else {})
    assert not world.state.is_gone("p1")
    assert len(world.state.nodes["spot-0"].pods) == 1


def test_a_reservation_moves_with_its_owner(world: World) -> None:
    old, new = world.deployment("old", 1), world.deployment("new", 1)
    world.up(make_pod("p1", new))
    for owner in (old, new):
        world.state.apply(Reservation("p1", "shop", owner, "spot", 0.0), 0.0)
    assert (world.split(old), world.split(new)) == ({}, {"spot": 1})


def test_what_comes_after_a_pods_end_is_ignored(world: World) -> None:
    owner = world.deployment("web", 1, spot_percentage=100)
    world.nodes(spot=1)
    world.gone("pods", "p1")
    world.place(owner, ["spot-0"], uid="p1")
    wait(world, "p1", owner.uid)
    assert (world.split(owner), len(world.state.waiting)) == ({}, 0)
    world.up(make_pod("p2", owner, terminating=True))
    world.place(owner, ["spot-0"], uid="p2")
    assert world.split(owner) == {}


def test_tombstones_are_bounded(world: World) -> None:
    for number in range(_TOMBSTONES + 10):
        world.state.apply(Gone("pods", f"p{number}"), 0.0)
    assert not world.state.is_gone("p0")
    assert world.state.is_gone("p10")


def test_reservations_of_pods_that_never_come_expire(world: World) -> None:
    owner = world.deployment("web", 2, spot_percentage=100)
    world.up(make_pod("seen", owner))
    for pod in ("seen", "unseen"):
        world.place(owner, ["x"], uid=pod, met=pod == "seen")
    world.state.expire(world.now + LIFE)
    assert len(world.state.provisional) == 1
    world.state.expire(world.now + LIFE + 1)
    assert len(world.state.provisional) == 0
    world.state.expire(world.now + 901)
    assert world.split(owner) == {"spot": 1}
    assert [w.pod for w in world.state.waiting.all()] == ["seen"]


def test_a_changed_policy_wakes_those_that_wait(world: World) -> None:
    owner, other = world.deployment("web", 2), world.deployment("other", 2)
    world.up(make_pod("p1", owner), make_pod("p2", other))
    wait(world, "p1", owner.uid)
    wait(world, "p2", other.uid)
    world.woken()
    world.annotate("web", 2, spot_percentage=50)
    assert world.woken() == {"p1"}
    assert world.state.revisions[owner.uid] in world.state.outbox.reseat
    world.annotate("web", 3, spot_percentage=50)
    assert world.woken() == set()


def test_a_namespaces_policy_wakes_them_too(world: World) -> None:
    owner = world.deployment("web", 2)
    world.up(make_pod("p1", owner))
    wait(world, "p1", owner.uid)
    world.woken()
    world.up(Namespace("uid-shop", "shop", {}, keys(spot_percentage=50)))
    assert world.woken() == {"p1"}


def test_a_changed_replica_count_wakes_them(world: World) -> None:
    owner = world.deployment("web", 2)
    world.up(make_pod("p1", owner))
    wait(world, "p1", owner.uid)
    world.woken()
    top = world.state.workloads.owners["uid-Deployment-web"]
    world.up(make_owner("ReplicaSet", "web-1", 5, owner=top.ref))
    assert world.woken() == {"p1"}


def test_a_pod_that_is_bound_waits_no_more(world: World) -> None:
    owner = world.deployment("web", 2)
    wait(world, "p1", owner.uid)
    world.up(make_pod("p1", owner, "spot-0"))
    assert len(world.state.waiting) == 0


POOL = ("m.large", "a")


@pytest.mark.parametrize("change", [{"ready": False}, {"terminating": True}])
def test_a_pod_that_serves_no_more_touches_its_workload(world: World, change: dict[str, Any]) -> None:
    owner = world.deployment("web", 1)
    world.up(make_pod("p", owner, ready=True))
    world.state.outbox.touched.clear()
    world.up(make_pod("p", owner, ready=True))
    assert world.state.outbox.touched == set()
    world.up(make_pod("p", owner, **{"ready": True, **change}))
    assert world.state.outbox.touched == {world.state.revisions[owner.uid]}


@pytest.fixture
def counting(world: World) -> ClusterState:
    return ClusterState(world.state.workloads.rules, half_life=100.0)


def see(state: ClusterState, name: str, capacity_class: str = "spot", **fields: Any) -> None:
    going_away = fields.pop("going_away", "taint" if fields.get("reclaimed") else "")
    state.apply(Upsert(make_node(name, capacity_class, going_away=going_away, **fields)), 0.0)


def test_interruptions_of_a_pool_decay(counting: ClusterState) -> None:
    see(counting, "n1")
    see(counting, "n1", reclaimed=True)
    see(counting, "n1", reclaimed=True, going_away="another")
    see(counting, "n2", reclaimed=True)
    see(counting, "n3", "on-demand", reclaimed=True)
    see(counting, "n3b", "reserved", reclaimed=True)
    see(counting, "n3c", "cheap", reclaimed=True, instance_type="c.large", interruptible=True)
    see(counting, "n4", going_away="ToBeDeletedByClusterAutoscaler")
    assert counting.interruptions.of(POOL, 0.0) == 2.0
    assert counting.interruptions.of(POOL, 100.0) == 1.0
    assert counting.interruptions.of(("c.large", "a"), 0.0) == 1.0


def test_an_interruption_that_does_not_come_to_pass_is_taken_back() -> None:
    world = World()
    state = ClusterState(world.state.workloads.rules, half_life=100.0)

    def seen(now: float, name: str, **fields: Any) -> float:
        state.apply(Upsert(make_node(name, **fields)), now)
        return state.interruptions.of(POOL, now)

    assert seen(1000.0, "n1", going_away="taint", reclaimed=True) == 1.0
    assert seen(1100.0, "n2", going_away="taint", reclaimed=True) == 1.5
    # Somebody drains it meanwhile: it goes away all the same.
    assert seen(1100.0, "n1", going_away="another") == 1.5
    assert seen(1100.0, "n1") == 1.0
    assert seen(1200.0, "n1") == 0.5
    assert seen(1200.0, "n2") == 0.0
    assert not state.interruptions
    # Taken for good, and another of that name after it.
    assert seen(1300.0, "n1", going_away="taint", reclaimed=True) == 1.0
    assert seen(1300.0, "n1", going_away="taint", reclaimed=True, uid="another") == 2.0
    state.apply(Gone("nodes", "another"), 1300.0)
    assert seen(1300.0, "n1", uid="a third") == 2.0


def test_a_spot_node_that_vanishes_was_taken_unless_somebody_gave_it_back(counting: ClusterState) -> None:
    see(counting, "taken")
    see(counting, "noticed", reclaimed=True)
    see(counting, "removed", going_away="ToBeDeletedByClusterAutoscaler")
    see(counting, "cordoned", unschedulable=True)
    see(counting, "od", "on-demand")
    for name in ("taken", "noticed", "removed", "cordoned", "od"):
        counting.apply(Gone("nodes", f"uid-{name}"), 0.0)
    assert counting.interruptions.of(POOL, 0.0) == 2.0


def told(world: World, node: str, node_uid: str = "", **fields: Any) -> float:
    """An Event says that a node is interrupted; what its pool's interruptions come to then."""
    world.up(Notice("event", node_uid, node, fields.pop("at", world.now), **fields))
    return world.state.interruptions.of(POOL, world.now)


def test_an_event_tells_of_an_interruption_and_a_node_counts_once(world: World) -> None:
    world.nodes(spot=4, on_demand=1)
    assert told(world, "spot-0", "uid-spot-0") == 1.0
    # Told once more, by another name for it, by a taint, and by its end.
    assert told(world, "spot-0", "spot-0") == 1.0
    world.up(make_node("spot-0", going_away="taint", reclaimed=True))
    world.up(make_node("spot-0", unschedulable=True))
    world.up(make_node("spot-0"))
    world.gone("nodes", "uid-spot-0")
    assert told(world, "spot-0", "uid-spot-0") == 1.0
    # The taint first: then it is not taken back, since somebody else said so too.
    world.up(make_node("spot-1", going_away="taint", reclaimed=True))
    assert told(world, "spot-1") == 2.0
    world.up(make_node("spot-1"))
    assert told(world, "spot-1") == 2.0
    # Of whom nothing is known, and who are none of the platform's to take back.
    assert told(world, "nobody", "uid-nobody") == 2.0
    assert told(world, "on-demand-0", "uid-on-demand-0") == 2.0
    assert told(world, "spot-2", void=True) == 2.0
    assert world.state.interruptions.counts == {POOL: 2}


def test_an_event_is_about_the_node_of_its_uid_and_time(world: World) -> None:
    world.up(make_node("n", since=900.0))
    assert told(world, "n", "uid-another") == 0.0
    assert told(world, "n", at=899.0) == 0.0
    assert told(world, "n", "n", at=899.0) == 0.0
    # One that is gone, and whose name another has.
    world.up(make_node("n", uid="uid-2", since=1000.0))
    world.gone("nodes", "uid-2")
    world.up(make_node("n", uid="uid-3", since=1100.0))
    world.now = 1100.0
    counted = told(world, "n", "uid-2", at=1100.0)
    assert counted == told(world, "n", "uid-2", at=1100.0)
    assert told(world, "n", "uid-3", at=1100.0) == counted + 1.0


def test_an_event_that_is_old_or_of_the_future_counts_by_its_time() -> None:
    world = World()
    world.state = ClusterState(world.state.workloads.rules, half_life=100.0)
    world.nodes(spot=2)
    assert told(world, "spot-0", "uid-spot-0", at=900.0) == 0.5
    assert told(world, "spot-1", "uid-spot-1", at=1e9) == 1.5
    world.now += 100.0
    assert world.state.interruptions.of(POOL, world.now) == 0.75


def test_what_is_given_back_on_purpose_is_no_interruption(world: World) -> None:
    """Karpenter tells that an instance terminates when it has terminated it itself, too."""
    world.nodes(spot=3)
    world.up(make_node("spot-0", going_away="karpenter.sh/disrupted"), make_node("spot-1", unschedulable=True))
    for name in ("spot-0", "spot-1"):
        assert told(world, name, f"uid-{name}", deliberate=True) == 0.0
        world.gone("nodes", f"uid-{name}")
        assert told(world, name, f"uid-{name}", deliberate=True) == 0.0
    assert told(world, "spot-2", "uid-spot-2", deliberate=True) == 1.0
    # A notice comes to a node that is given back as well: its platform takes it.
    world.up(make_node("spot-0", going_away="karpenter.sh/disrupted"))
    assert told(world, "spot-0", "uid-spot-0") == 2.0


def test_a_node_may_be_gone_when_its_event_comes(world: World) -> None:
    world.up(*(make_node(f"n{number}", going_away="karpenter.sh/disrupted") for number in range(300)))
    for number in range(300):
        world.gone("nodes", f"uid-n{number}")
    assert told(world, "n299", "uid-n299") == 1.0
    assert told(world, "n0", "uid-n0") == 1.0


def test_what_was_stored_of_a_marker_is_taken_back_with_it(world: World) -> None:
    """The marker was withdrawn while nobody looked."""
    world.nodes(spot=2)
    stored = [(f"uid-spot-{number}", Interruption(POOL, world.now, marker=not number)) for number in range(2)]
    world.state.interruptions.restore(stored, world.now)
    assert world.state.interruptions.of(POOL, world.now) == 2.0
    world.nodes(spot=2)
    assert world.state.interruptions.of(POOL, world.now) == 1.0
    assert world.state.interruptions.changed


def test_nodes_are_remembered_within_bounds(world: World) -> None:
    for number in range(MOST + 10):
        world.state.interruptions.record(f"n{number}", Interruption(POOL, world.now), world.now)
    assert len(world.state.interruptions.nodes) == MOST
    assert "n9" not in world.state.interruptions.nodes
    assert world.state.interruptions.of(POOL, world.now) == MOST + 10


def test_what_became_of_a_node_while_nobody_looked_is_not_known(counting: ClusterState) -> None:
    see(counting, "n1")
    counting.apply(Listed("nodes", frozenset()), 0.0)
    assert (counting.interruptions.of(POOL, 0.0), bool(counting.interruptions)) == (0.0, False)


def test_seats_are_judged_anew_when_a_cost_changes(world: World) -> None:
    owner = world.deployment("web", 1)
    world.nodes(spot=1)
    world.up(make_pod("p1", owner, "spot-0"))
    revision = world.state.revisions[owner.uid]
    world.state.outbox.reseat.clear()
    world.up(make_pod("p1", owner, "spot-0", cost="7"))
    assert world.state.outbox.reseat == {revision}
    world.state.outbox.reseat.clear()
    world.up(make_pod("p1", owner, "spot-0", cost="7", ready=False))
    assert not world.state.outbox.reseat


def test_what_a_deposed_leader_decided_counts_no_more(world: World) -> None:
    owner = world.deployment("web", 4, spot_percentage=100)
    world.nodes(spot=1)
    bound, _ = world.place(owner, ["spot-0"])
    world.up(bound)
    world.place(owner, ["spot-0"])
    world.now += 10
    late, _ = world.place(owner, ["spot-0"])
    wait(world, "p9", owner.uid)
    assert world.state.reserved_since(world.now) == [late.uid]
    assert len(world.state.reserved_since(world.now - 10)) == 2
    world.state.depose()
    assert (world.split(owner), world.state.reserved, len(world.state.waiting)) == ({"spot": 1}, 0, 0)
