"""Pods leave a spot node that is about to be taken away."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import (
    ENABLED,
    ON_DEMAND,
    SPOT,
    keys,
    make_budget,
    make_node,
    make_owner,
    make_pod,
    selector,
)
from support.drifting import DRIFT_RULES, NIGHTLY, DriftWorld

from extender.core.drift.drain import is_interrupted
from extender.core.drift.history import DirectionBackoff, WorkloadHistory, direction
from extender.core.model.objects import OptOut, OwnerRef, Protection, Requests
from extender.core.model.reasons import Reason
from extender.core.scalein.costs import cost_of

ALL_AT_ONCE = replace(DRIFT_RULES, drain_unavailable=100)


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=3, on_demand=2)
    return made


def interrupt(world: DriftWorld, *names: str, **facts: Any) -> None:
    """A notice of the platform, on nodes that nobody else drains."""
    for name in names:
        world.up(make_node(name, **{"going_away": "notice", "interrupted": True, **facts}))


def web(world: DriftWorld, on_demand: int, *spot: int, **fields: Any) -> OwnerRef:
    """A Deployment at its split, with so many pods on `on-demand-0`, `spot-0`, `spot-1` and so on."""
    policy = {"spot_percentage": 100, "min_on_demand": on_demand, **fields.pop("policy", {})}
    owner = world.deployment("web", on_demand + sum(spot), **policy)
    world.pods(owner, on_demand, "on-demand-0", **fields)
    start = on_demand
    for number, count in enumerate(spot):
        world.pods(owner, count, f"spot-{number}", start=start, **fields)
        start += count
    return owner


def change(world: DriftWorld, name: str, owner: OwnerRef, node: str, **fields: Any) -> None:
    """A pod of `web` is seen anew."""
    given = {"created": world.now - 600.0, "labels": {"app": owner.name}, "ready": True}
    world.up(make_pod(name, owner, node, **{**given, **fields}))


def stays(world: DriftWorld) -> dict[str, tuple[Reason, str]]:
    return {stay.pod.name: (stay.reason, stay.detail) for stay in world.plan().stays}


# When, and where to


def test_pods_leave_at_once_and_none_of_the_limits_on_voluntary_moves_holds_them() -> None:
    world = DriftWorld(replace(ALL_AT_ONCE, max_in_flight=0, workload_in_flight=0))
    world.nodes(spot=2, on_demand=1)
    policy = {"max_moves_per_hour": 0, **NIGHTLY}
    owner = web(world, 2, 3, 1, policy=policy, created=world.now)
    history = WorkloadHistory(
        back_off={direction(SPOT, ON_DEMAND): DirectionBackoff(3, world.now + 60.0)}, opened=world.now
    )
    world.history.workloads[world.workload(owner).uid] = history
    interrupt(world, "spot-0")
    moves = world.plan().moves
    assert [move.pod.name for move in moves] == ["web-1-2", "web-1-3", "web-1-4"]
    assert {(move.node, move.source, move.destination, move.target) for move in moves} == {
        ("spot-0", SPOT, SPOT, "spot-1")
    }
    assert {(move.reason, move.dry) for move in moves} == {(Reason.INTERRUPTED, False)}


def test_nobody_leaves_a_node_that_another_drains_nor_before_there_is_a_notice(world: DriftWorld) -> None:
    web(world, 2, 3, 1)
    assert world.plan().moves == ()
    interrupt(world, "spot-0", interrupted=False)
    assert world.plan().moves == ()
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-2"]
    # A notice that is withdrawn.
    world.up(make_node("spot-0"))
    assert world.plan().moves == ()


def test_a_setting_switches_it_off() -> None:
    world = DriftWorld(replace(DRIFT_RULES, drain=False))
    world.nodes(spot=2, on_demand=1)
    web(world, 2, 3, 1)
    interrupt(world, "spot-0")
    plan = world.plan()
    assert (plan.moves, plan.stays) == ((), ())


def test_before_an_eviction_it_can_be_seen_whether_the_notice_still_stands(world: DriftWorld) -> None:
    web(world, 0, 1)
    assert not is_interrupted(world.state, "web-1-0")
    interrupt(world, "spot-0")
    assert is_interrupted(world.state, "web-1-0")
    world.up(make_node("spot-0"))
    assert not is_interrupted(world.state, "web-1-0")
    interrupt(world, "spot-0")
    world.gone("nodes", "uid-spot-0")
    assert not is_interrupted(world.state, "web-1-0")
    world.gone("pods", "web-1-0")
    assert not is_interrupted(world.state, "web-1-0")


def test_nothing_leaves_while_the_state_may_be_out_of_date(world: DriftWorld) -> None:
    web(world, 2, 2)
    interrupt(world, "spot-0")
    plan = world.plan(current=False)
    assert plan.moves == ()
    assert {stay.reason for stay in plan.stays} == {Reason.STALE}


def test_only_the_workloads_that_were_asked_about(world: DriftWorld) -> None:
    owner = web(world, 2, 2)
    interrupt(world, "spot-0")
    assert world.plan(only=["another"]).moves == ()
    assert len(world.plan(only=[world.workload(owner).uid]).moves) == 1


# In which order


def test_seats_say_who_leaves_first() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.nodes(spot=2, on_demand=1)
    owner = web(world, 0, 4)
    for name, seat in {"web-1-0": 4, "web-1-1": 1, "web-1-2": 3, "web-1-3": 2}.items():
        change(world, name, owner, "spot-0", cost=str(cost_of(seat)))
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-1", "web-1-3", "web-1-2", "web-1-0"]


def test_without_costs_the_oldest_leave_first_and_those_that_do_not_serve_last() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.nodes(spot=2, on_demand=1)
    owner = world.deployment("web", 3, spot_percentage=100)
    for name, created, ready in (("a", 1.0, False), ("b", 3.0, True), ("c", 2.0, True)):
        change(world, name, owner, "spot-0", created=created, ready=ready)
    interrupt(world, "spot-0")
    assert world.moved() == ["c", "b", "a"]


def test_a_stateful_set_leaves_by_ordinal_and_to_the_class_of_the_ordinal() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.nodes(spot=2, on_demand=1)
    # By its policy the first of each two belongs on demand, but there was no room.
    world.stateful("db", [SPOT] * 12, first=5, spot_percentage=50)
    interrupt(world, "spot-0")
    moves = world.plan().moves
    assert [move.pod.name for move in moves] == [f"db-{ordinal}" for ordinal in range(5, 17)]
    assert [move.destination for move in moves] == [ON_DEMAND, SPOT] * 6
    # Beyond its size no pod comes again.
    world.up(make_owner("StatefulSet", "db", 2, first_ordinal=5, labels=ENABLED, annotations=keys(spot_percentage=50)))
    assert world.moved() == ["db-5", "db-6"]
    assert set(world.reasons()) == {Reason.NO_SEAT}


def test_the_seats_are_those_that_are_free_once_missing_replicas_have_theirs() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.nodes(spot=2, on_demand=1)
    owner = world.deployment("web", 8, spot_percentage=50)
    world.pods(owner, 4, "on-demand-0")
    world.pods(owner, 4, "spot-0", start=4)
    interrupt(world, "spot-0")
    # The seats are on-demand and spot in turn, of which all that are spot are free.
    assert [move.destination for move in world.plan().moves] == [SPOT] * 4
    # Two pods are gone, for which others come in a moment: they take the first free seats, which are spot.
    world.gone("pods", "web-1-0")
    world.gone("pods", "web-1-1")
    assert [move.destination for move in world.plan().moves] == [ON_DEMAND, SPOT, ON_DEMAND, SPOT]
    # One of them has come, and a seat is held for it.
    pod, _ = world.place(owner, ["spot-1", "on-demand-0"], uid="web-1-8")
    assert [move.destination for move in world.plan().moves] == [ON_DEMAND, SPOT, ON_DEMAND, SPOT]
    world.up(pod)
    assert [move.destination for move in world.plan().moves] == [ON_DEMAND, SPOT, ON_DEMAND, SPOT]


def test_pods_that_nobody_will_replace_stay(world: DriftWorld) -> None:
    owner = web(world, 2, 3)
    interrupt(world, "spot-0")
    top = make_owner("Deployment", "web", 3, labels=ENABLED, annotations=keys(spot_percentage=100, min_on_demand=2))
    world.up(top, make_owner("ReplicaSet", "web-1", 3, owner=top.ref))
    assert world.workload(owner).policy.seats.target(3) == {SPOT: 1, ON_DEMAND: 2}
    # Scaled in to 3, two of the 5 pods are about to be deleted.
    assert world.moved() == ["web-1-2"]
    assert stays(world) == dict.fromkeys(("web-1-3", "web-1-4"), (Reason.NO_SEAT, ""))


def test_a_controller_of_unknown_size_is_taken_to_replace_them(world: DriftWorld) -> None:
    database = make_owner("Database", "db", None, labels=ENABLED, annotations=keys(spot_percentage=100))
    world.up(database)
    world.pods(database.ref, 8, "spot-0")
    interrupt(world, "spot-0")
    assert world.moved() == ["db-0", "db-1"]
    assert set(world.reasons()) == {Reason.UNAVAILABLE}


# Budgets


def test_a_budget_is_kept_and_the_lowest_seats_are_let_go_first(world: DriftWorld) -> None:
    web(world, 3, 5, 2)
    world.up(make_budget("web", selector(app="web-1"), allowed=2))
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-3", "web-1-4"]
    assert stays(world) == {f"web-1-{number}": (Reason.BUDGET, "web") for number in (5, 6, 7)}


@pytest.mark.parametrize(
    ("budgets", "reason"),
    [
        ([make_budget("web", selector(app="web-1"), allowed=0)], (Reason.BUDGET, "web")),
        ([make_budget("web", selector(app="web-1"), current=False)], (Reason.BUDGET_STALE, "web")),
        ([make_budget("a", selector(app="web-1")), make_budget("b", selector())], (Reason.BUDGETS, "a, b")),
    ],
)
def test_a_budget_that_allows_nothing_holds_even_a_singleton(
    world: DriftWorld, budgets: list[Any], reason: tuple[Reason, str]
) -> None:
    world.up(*budgets)
    web(world, 0, 1)
    interrupt(world, "spot-0")
    assert world.moved() == []
    assert stays(world) == {"web-1-0": reason}


@pytest.mark.parametrize(
    ("budget", "moves"),
    [
        ({"healthy": True}, True),
        ({"healthy": False}, False),
        ({"always_allow_unhealthy": True, "current": False}, True),
    ],
)
def test_a_budget_guards_a_pod_that_is_not_ready_by_its_policy(
    world: DriftWorld, budget: dict[str, Any], moves: bool
) -> None:
    world.up(make_budget("web", selector(app="web-1"), allowed=0, **budget))
    web(world, 0, 1, ready=False)
    interrupt(world, "spot-0")
    assert world.moved() == (["web-1-0"] if moves else [])


def test_a_budget_whose_evictions_are_not_confirmed_allows_none(world: DriftWorld) -> None:
    world.up(make_budget("web", selector(app="web-1"), allowed=3, overfull=True))
    web(world, 0, 1)
    interrupt(world, "spot-0")
    assert stays(world) == {"web-1-0": (Reason.BUDGET_STALE, "web")}


def test_drains_are_served_before_surplus_pods_of_the_same_budget(world: DriftWorld) -> None:
    world.up(make_budget("both", selector(), allowed=1))
    world.drifted("api", on_demand=10, spot=0)
    assert len(world.moved()) == 1
    web(world, 2, 2)
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-2"]


def test_a_budget_is_all_that_holds_whoever_has_one(world: DriftWorld) -> None:
    web(world, 3, 5)
    world.up(make_budget("web", selector(app="web-1"), allowed=4))
    interrupt(world, "spot-0")
    assert len(world.moved()) == 4


@pytest.mark.parametrize(("replicas", "leave"), [(1, 1), (2, 1), (4, 1), (8, 2), (20, 5)])
def test_without_a_budget_a_quarter_leaves_at_a_time(world: DriftWorld, replicas: int, leave: int) -> None:
    web(world, 0, replicas)
    interrupt(world, "spot-0")
    assert len(world.moved()) == leave
    assert set(world.reasons()) <= {Reason.UNAVAILABLE}


def test_without_a_budget_pods_that_do_not_serve_are_among_those_that_may_be_lost(world: DriftWorld) -> None:
    owner = web(world, 4, 4, 4)
    change(world, "web-1-0", owner, "on-demand-0", ready=False)
    change(world, "web-1-8", owner, "spot-1", terminating=True)
    interrupt(world, "spot-0")
    assert len(world.moved()) == 1
    world.gone("pods", "web-1-1")
    assert world.moved() == []
    # Those that do not serve cost nothing.
    change(world, "web-1-5", owner, "spot-0", ready=False)
    assert world.moved() == ["web-1-5"]


def test_several_nodes_of_one_workload_share_what_may_be_lost(world: DriftWorld) -> None:
    web(world, 2, 3, 3)
    interrupt(world, "spot-0", "spot-1")
    assert world.moved() == ["web-1-2", "web-1-3"]
    assert len(stays(world)) == 4


def test_all_revisions_count_in_a_rollout(world: DriftWorld) -> None:
    top = make_owner("Deployment", "web", 8, labels=ENABLED, annotations=keys(spot_percentage=100), rolling=True)
    old, new = (make_owner("ReplicaSet", f"web-{number}", 4, owner=top.ref) for number in (1, 2))
    world.up(top, old, new)
    world.pods(old.ref, 4, "spot-0")
    world.pods(new.ref, 4, "spot-0")
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-0", "web-1-1"]
    world.gone("pods", "web-2-3")
    assert world.moved() == ["web-1-0"]


def test_pods_on_a_silent_node_serve_no_more_and_leave_all_at_once(world: DriftWorld) -> None:
    web(world, 2, 6)
    interrupt(world, "spot-0", ready=False)
    assert len(world.moved()) == 6


def test_pods_that_are_being_moved_are_left_alone(world: DriftWorld) -> None:
    world.rules = ALL_AT_ONCE
    owner = world.drifted(on_demand=4, spot=6)
    (move,) = world.plan().moves
    assert move.node == "spot-0"
    world.start(move)
    terminating = "web-1-4" if move.pod.name != "web-1-4" else "web-1-5"
    change(world, terminating, owner, "spot-0", terminating=True)
    interrupt(world, "spot-0")
    assert len(world.moved()) == 4
    assert not {move.pod.name, terminating} & {*world.moved(), *stays(world)}


def test_pods_that_leave_count_as_moves_in_flight_of_their_workload() -> None:
    world = DriftWorld(replace(ALL_AT_ONCE, max_unavailable=100))
    world.nodes(spot=2, on_demand=1)
    world.drifted(on_demand=8, spot=2)
    assert [move.reason for move in world.plan().moves] == [Reason.SURPLUS]
    interrupt(world, "spot-0")
    assert [move.reason for move in world.plan().moves] == [Reason.INTERRUPTED] * 2
    assert (Reason.IN_FLIGHT, "web-1-8") in world.why()


# Who stays


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"protection": Protection("karpenter.sh/do-not-disrupt", "true")}, Reason.PROTECTED),
        ({"protection": Protection("karpenter.sh/do-not-disrupt", "x", malformed=True)}, Reason.PROTECTION_MALFORMED),
        ({"pending": True, "ready": False}, Reason.PENDING),
    ],
)
def test_some_pods_stay_and_others_leave(world: DriftWorld, fields: dict[str, Any], reason: Reason) -> None:
    world.rules = ALL_AT_ONCE
    owner = web(world, 2, 2)
    change(world, "web-1-2", owner, "spot-0", **fields)
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-3"]
    assert stays(world)["web-1-2"][0] is reason


def test_a_workload_may_opt_out(world: DriftWorld) -> None:
    owner = web(world, 2, 2, policy={"do_not_disrupt": "true"})
    assert world.workload(owner).opt_out == OptOut("spotmix.io/do-not-disrupt", "true")
    interrupt(world, "spot-0")
    assert world.moved() == []
    assert set(world.reasons()) == {Reason.PROTECTED}


def test_jobs_are_left_to_the_end(world: DriftWorld) -> None:
    job = make_owner("Job", "batch", 4, labels=ENABLED, annotations=keys(spot_percentage=100))
    world.up(job)
    world.pods(job.ref, 4, "spot-0")
    interrupt(world, "spot-0")
    assert world.moved() == []
    assert world.reasons() == [Reason.RUNS_TO_COMPLETION]


def test_pods_that_nobody_manages_are_none_of_ours(world: DriftWorld) -> None:
    world.pods(world.deployment("plain", 2, labels={}), 2, "spot-0")
    world.up(make_pod("alone", None, "spot-0"))
    interrupt(world, "spot-0")
    plan = world.plan()
    assert (plan.moves, plan.stays) == ((), ())


def test_an_audited_workload_only_says_so_and_takes_no_room() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.up(make_node("spot-0"), make_node("spot-1", max_pods=1))
    audited = world.deployment("audited", 1, spot_percentage=100, mode="audit")
    world.pods(audited, 1, "spot-0")
    world.pods(world.deployment("web", 1, spot_percentage=100), 1, "spot-0")
    interrupt(world, "spot-0")
    assert [(move.pod.name, move.dry) for move in world.plan().moves] == [("web-1-0", False)]
    world.gone("pods", "web-1-0")
    assert [(move.pod.name, move.dry) for move in world.plan().moves] == [("audited-1-0", True)]
    # It takes none from a surplus pod either.
    world.up(make_node("on-demand-0", ON_DEMAND))
    world.drifted("api", on_demand=10, spot=0)
    assert {(move.reason, move.dry) for move in world.plan().moves} == {
        (Reason.INTERRUPTED, True),
        (Reason.SURPLUS, False),
    }


def test_a_workload_whose_policy_is_invalid_goes_on_demand(world: DriftWorld) -> None:
    owner = world.deployment("web", 2, spot_percentage="many")
    world.pods(owner, 2, "spot-0")
    interrupt(world, "spot-0")
    assert [(move.pod.name, move.destination) for move in world.plan().moves] == [("web-1-0", ON_DEMAND)]


# Room


def small(name: str, **fields: Any) -> Any:
    return make_node(name, **{"allocatable": Requests(cpu=150), **fields})


def test_no_more_leave_than_there_is_room_for() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.up(make_node("spot-0"), small("spot-1"))
    web(world, 0, 3)
    interrupt(world, "spot-0")
    assert world.moved() == ["web-1-0"]
    assert stays(world) == dict.fromkeys(("web-1-1", "web-1-2"), (Reason.NO_ROOM, ""))


def test_pending_pods_are_seated_first() -> None:
    world = DriftWorld(ALL_AT_ONCE)
    world.up(make_node("spot-0"), small("spot-1"))
    web(world, 0, 1)
    world.up(make_pod("waits", None, requests=Requests(cpu=100)))
    interrupt(world, "spot-0")
    assert world.reasons() == [Reason.NO_ROOM]


@pytest.mark.parametrize(
    ("policy", "leaves"),
    [
        ({}, True),
        ({"when_unsatisfiable": "any"}, True),
        ({"fallback_after": "1m"}, True),
        ({"fallback_after": "2m"}, False),
        ({"fallback_after": "10m"}, False),
        ({"when_unsatisfiable": "wait"}, False),
    ],
)
def test_a_class_that_stands_in_in_time_is_room(policy: dict[str, Any], *, leaves: bool) -> None:
    world = DriftWorld()
    world.nodes(spot=1, on_demand=1)
    web(world, 0, 2, policy=policy)
    interrupt(world, "spot-0")
    moves = [(move.pod.name, move.destination, move.target) for move in world.plan().moves]
    assert moves == ([("web-1-0", SPOT, "on-demand-0")] if leaves else [])
    if not leaves:
        assert set(world.reasons()) == {Reason.NO_NODE}


def test_a_node_need_not_have_been_back_for_long(world: DriftWorld) -> None:
    web(world, 0, 1)
    interrupt(world, "spot-0", "spot-1", "spot-2")
    world.up(make_node("spot-3", since=world.now))
    assert [move.target for move in world.plan().moves] == ["spot-3"]


def test_the_pool_cap_is_kept(world: DriftWorld) -> None:
    world.up(make_node("spot-1", zone="b"), make_node("spot-2", zone="b"))
    web(world, 2, 2, 2, policy={"max_per_pool": 2, "when_unsatisfiable": "wait"})
    interrupt(world, "spot-0")
    assert world.moved() == []
    assert set(world.reasons()) == {Reason.STAY_POOL_FULL}
    world.up(make_node("spot-3", zone="c"))
    assert [move.target for move in world.plan().moves] == ["spot-3"]
