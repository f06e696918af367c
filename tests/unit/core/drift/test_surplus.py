"""How far revisions are off their split, in which order their pods leave, and how they stand."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ENABLED, ON_DEMAND, SPOT, keys, make_namespace, make_node, make_owner, make_pod
from support.drifting import DRIFT_RULES, NIGHTLY, DriftWorld

from extender.core.drift.history import DirectionBackoff, WorkloadHistory, direction
from extender.core.drift.ledger import Ledger
from extender.core.drift.moves import Stay
from extender.core.model.objects import OwnerRef, PodId, Protection
from extender.core.model.reasons import Reason
from extender.core.scalein.removal_order import eviction_order
from extender.core.state.records import Reservation


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=2, on_demand=2)
    return made


def test_a_workload_at_its_split_is_not_in_the_plan(world: DriftWorld) -> None:
    world.drifted(on_demand=5, spot=5)
    plan = world.plan()
    assert (plan.moves, plan.stays, plan.off_target, plan.paused) == ((), (), (), None)


def test_a_plan_of_nothing_is_empty() -> None:
    world = DriftWorld()
    assert world.plan() == world.plan(only=["nobody"])
    assert not world.plan().off_target


def test_a_revision_off_its_split_is_reported(world: DriftWorld) -> None:
    world.drifted(on_demand=7, spot=1)
    world.pods(world.workload_owner("web"), 2, "", start=8)
    (off,) = world.plan().off_target
    assert (off.workload.kind, off.workload.name, off.replicas) == ("Deployment", "web", 8)
    assert (off.target, off.actual) == ({ON_DEMAND: 4, SPOT: 4}, {ON_DEMAND: 7, SPOT: 1})
    assert (off.surplus, off.missing) == (3, 0)


def test_only_some_workloads_are_looked_at(world: DriftWorld) -> None:
    world.drifted("a")
    other = world.workload(world.drifted("b"))
    plan = world.plan(only=[other.uid])
    assert [move.workload.name for move in plan.moves] == ["b"]
    assert [off.workload.name for off in plan.off_target] == ["b"]


def test_pods_that_hold_no_seat_are_not_surplus(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=5, spot=5)
    world.up(make_node("lost", ON_DEMAND, going_away="taint"))
    world.pods(owner, 3, "lost", start=10)
    world.pods(owner, 3, "on-demand-0", start=20, terminating=True)
    world.pods(owner, 3, "", start=30)
    assert not world.plan().stays


def test_missing_replicas_fill_the_seats_that_are_free(world: DriftWorld) -> None:
    world.rules = replace(DRIFT_RULES, max_unavailable=100, workload_in_flight=100)
    owner = world.drifted(on_demand=6, spot=2)
    world.up(make_owner("ReplicaSet", "web-1", 10, owner=world.state.workloads.owners["uid-Deployment-web"].ref))
    # Five and five: of three that spot lacks, two are still to come.
    assert len(world.moved()) == 1
    for number in range(3):
        world.up(make_pod(f"new-{number}", owner))
    for number in range(2):
        world.state.apply(Reservation(f"new-{number}", "shop", owner, SPOT, world.now), world.now)
    assert len(world.moved()) == 1
    world.state.apply(Reservation("new-2", "shop", owner, SPOT, world.now), world.now)
    assert world.reasons() == [Reason.NO_SEAT]


def test_more_pods_than_are_wanted_are_the_controllers_to_remove(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=5, spot=5)
    world.pods(owner, 2, "on-demand-0", start=10)
    plan = world.plan()
    assert plan.moves == ()
    assert [(stay.reason, stay.destination) for stay in plan.stays] == [(Reason.NO_SEAT, "")] * 2


def test_a_class_that_no_policy_knows_has_no_seat(world: DriftWorld) -> None:
    world.up(make_node("odd-0", "reserved"))
    owner = world.drifted(on_demand=5, spot=4)
    world.up(make_owner("ReplicaSet", "web-1", 10, owner=world.state.workloads.owners["uid-Deployment-web"].ref))
    world.pods(owner, 1, "odd-0", start=9)
    (move,) = world.plan().moves
    assert (move.source, move.destination, move.pod.name) == ("reserved", SPOT, "web-1-9")


def test_what_one_class_may_not_have_for_now_another_gets(world: DriftWorld) -> None:
    world.up(make_node("odd-0", "reserved"))
    owner = world.drifted(on_demand=4, spot=3)
    world.up(make_owner("ReplicaSet", "web-1", 10, owner=world.state.workloads.owners["uid-Deployment-web"].ref))
    world.pods(owner, 3, "odd-0", start=7)
    uid, later = world.workload(owner).uid, world.now + 100.0
    back_off = {direction("reserved", SPOT): DirectionBackoff(1, later)}
    world.history.workloads[uid] = WorkloadHistory(back_off=back_off)
    assert {move.destination for move in world.plan().moves} == {ON_DEMAND}
    back_off[direction("reserved", ON_DEMAND)] = DirectionBackoff(1, later)
    assert world.moved() == []
    assert world.reasons() == [Reason.BACK_OFF]


def test_each_pending_pod_of_a_revision_is_seen_to_take_the_next_seat(world: DriftWorld) -> None:
    # Room on spot for two pods more, which two of these four are to have.
    world.up(make_node("spot-0", max_pods=6), make_node("spot-1", max_pods=0))
    coming = world.deployment("coming", 4, spot_percentage=50)
    world.drifted(on_demand=6, spot=4)
    assert len(world.moved()) == 1
    world.pods(coming, 4, "")
    assert world.moved() == []
    assert world.reasons() == [Reason.NO_ROOM]


@pytest.mark.parametrize("first", [0, 5])
def test_a_statefulset_is_judged_ordinal_by_ordinal(world: DriftWorld, first: int) -> None:
    # The seats of half on spot: on-demand, spot, on-demand, spot.
    world.rules = replace(DRIFT_RULES, max_unavailable=100, workload_in_flight=100)
    world.stateful("db", [SPOT, ON_DEMAND, ON_DEMAND, SPOT], first, spot_percentage=50)
    plan = world.plan()
    assert [(move.pod.name, move.source, move.destination) for move in plan.moves] == [
        (f"db-{first + 1}", ON_DEMAND, SPOT),
        (f"db-{first}", SPOT, ON_DEMAND),
    ]
    (off,) = plan.off_target
    assert (off.target, off.actual, off.surplus) == ({ON_DEMAND: 2, SPOT: 2}, {ON_DEMAND: 2, SPOT: 2}, 2)
    for move in plan.moves:
        world.carry_out(move)
    assert not world.plan().off_target


def test_ordinals_beyond_the_last_are_the_controllers_to_remove(world: DriftWorld) -> None:
    owner = world.stateful("db", [ON_DEMAND, SPOT, ON_DEMAND, ON_DEMAND], spot_percentage=50)
    assert world.moved() == ["db-3"]
    world.up(replace(world.state.workloads.owners[owner.uid], replicas=3))
    assert not world.plan().stays
    assert world.plan().off_target[0].surplus == 0


def test_a_swap_in_a_statefulset_takes_one_step_at_a_time(world: DriftWorld) -> None:
    world.stateful("db", [SPOT, ON_DEMAND], spot_percentage=50)
    assert [world.cycle(), world.cycle(), world.cycle()] == [["db-1"], ["db-0"], []]


def test_the_order_that_costs_least(world: DriftWorld) -> None:
    owner = world.deployment("web", 6)
    facts: dict[str, dict[str, Any]] = {
        "unready": {"ready": False, "cost": "900"},
        "cheap": {"cost": "-5"},
        "young": {"created": 500.0},
        "old": {"created": 100.0, "cost": "a lot"},
        "old-too": {"created": 100.0, "cost": "99999999999"},
        "dear": {"cost": "7", "created": 900.0},
    }
    for name, fields in facts.items():
        world.up(make_pod(name, owner, "on-demand-0", **fields))
    assert [pod.name for pod in eviction_order(world.state.pods.values())] == list(facts)


def test_a_pod_that_may_leave_leaves_in_place_of_one_that_may_not(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=6, spot=4)
    for number in range(5):
        kept = Protection("karpenter.sh/do-not-disrupt", "true", world.now + 60.0)
        world.pods(owner, 1, "on-demand-0", start=number, protection=kept, cost="-10")
    assert world.moved() == ["web-1-5"]
    world.pods(owner, 1, "on-demand-0", start=5, protection=kept)
    assert world.why() == [(Reason.PROTECTED, "karpenter.sh/do-not-disrupt=true")]
    world.now += 60.0
    assert world.moved() == ["web-1-0"]


def test_of_the_pods_that_stay_those_are_named_that_came_nearest_to_leaving(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=6, spot=4)
    for number in range(5):
        world.gone("pods", f"web-1-{number}")
        world.pods(owner, 1, "on-demand-0", start=number, created=world.now, cost="-10")
    world.up(make_node("spot-0", max_pods=0), make_node("spot-1", max_pods=0))
    (stay,) = world.plan().stays
    assert (stay.pod, stay.node) == (PodId("shop", "web-1-5", "web-1-5"), "on-demand-0")
    assert (stay.source, stay.destination, stay.reason) == (ON_DEMAND, SPOT, Reason.NO_ROOM)
    world.gone("pods", "web-1-5")
    world.pods(owner, 1, "on-demand-0", start=5, created=world.now)
    assert world.reasons() == [Reason.YOUNG]


def test_nothing_is_moved_while_the_policy_is_invalid(world: DriftWorld) -> None:
    world.drifted("web", on_demand=6, spot=4)
    world.annotate("web", 10, spot_percentage="half")
    assert world.why() == [(Reason.POLICY_FAULT, "spotmix.io/spot-percentage")]
    # One that never was valid holds its workload on-demand, but what runs stays where it is.
    world.drifted("held", on_demand=6, spot=4, policy={"spot_percentage": "half"})
    plan = world.plan()
    assert plan.moves == ()
    assert {(stay.workload.name, stay.source, stay.reason) for stay in plan.stays} == {
        ("web", ON_DEMAND, Reason.POLICY_FAULT),
        ("held", SPOT, Reason.POLICY_FAULT),
    }


def test_moves_are_made_within_the_window(world: DriftWorld) -> None:
    world.drifted(policy=NIGHTLY)
    assert world.why() == [(Reason.WINDOW, "0 2 * * *")]
    world.now += 2 * 3600.0
    assert len(world.moved()) == 1


def test_a_pod_on_a_node_that_is_not_ready_stays(world: DriftWorld) -> None:
    world.rules = replace(DRIFT_RULES, max_unavailable=100, workload_in_flight=100, not_ready=100)
    world.drifted()
    world.up(make_node("on-demand-0", ON_DEMAND, ready=False))
    assert world.why() == [(Reason.NODE_NOT_READY, "on-demand-0")]


def test_whose_turn_it_is(world: DriftWorld) -> None:
    for name, on_demand in (("slightly", 6), ("badly", 9), ("moved", 10)):
        world.drifted(name, on_demand=on_demand, spot=10 - on_demand)
    world.rules = replace(DRIFT_RULES, max_in_flight=1)
    (move,) = world.plan().moves
    assert move.workload.name == "moved"
    world.history.workloads[move.workload.uid] = WorkloadHistory(moved=[world.now - 600.0])
    assert [move.workload.name for move in world.plan().moves] == ["badly"]


def test_pods_whose_eviction_was_sent_are_neither_surplus_nor_in_the_way(world: DriftWorld) -> None:
    world.rules = replace(DRIFT_RULES, max_unavailable=100, workload_in_flight=100)
    world.drifted(on_demand=7, spot=3)
    first, second = world.plan().moves
    world.start(first)
    assert [move.pod for move in world.plan().moves] == [second.pod]
    world.start(second)
    plan = world.plan()
    assert (plan.moves, plan.stays, plan.off_target[0].surplus) == ((), (), 0)


def test_how_a_workload_stands(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=10, spot=10)
    world.up(make_node("cordoned", unschedulable=True), make_node("dark", ready=False))
    world.pods(owner, 1, "cordoned", start=30)
    world.pods(owner, 1, "dark", start=31)
    world.pods(owner, 1, "on-demand-0", start=0, ready=False)
    world.pods(owner, 1, "on-demand-0", start=1, terminating=True, due=world.now - 61.0)
    for number in (2, 3, 4):
        world.gone("pods", f"web-1-{number}")
    standing = Ledger(world.state, world.history, world.rules, world.now).availability(world.workload(owner))
    assert (standing.replicas, standing.revisions, standing.rolling) == (20, 1, False)
    # Fifteen of twenty serve.
    assert (standing.unavailable, standing.away, standing.in_flight, standing.moved) == (5, 1, 1, 0)
    assert (standing.culprit, standing.stuck, standing.astray) == ("web-1-0", "web-1-1", "web-1-30")


def test_every_job_of_a_cronjob_is_a_workload_of_its_own(world: DriftWorld) -> None:
    cron = make_owner("CronJob", "nightly", labels=ENABLED, annotations=keys(spot_percentage=50))
    jobs = [make_owner("Job", f"nightly-{number}", 4, owner=cron.ref) for number in range(2)]
    world.up(make_namespace(), cron, *jobs)
    for job in jobs:
        world.pods(job.ref, 4, "on-demand-0")
    (stay, *_) = world.plan(only=[jobs[0].uid]).stays
    assert isinstance(stay, Stay)
    assert (stay.workload.kind, stay.reason) == ("Job", Reason.RUNS_TO_COMPLETION)
    assert world.plan(only=[cron.uid]).stays == ()


def test_pods_that_nobody_manages_are_not_looked_at(world: DriftWorld) -> None:
    for kind in ("DaemonSet", "Node"):
        world.pods(OwnerRef(f"uid-{kind}", "apps/v1", kind, "agent"), 3, "on-demand-0")
    world.up(make_pod("bare", node="on-demand-0"))
    world.drifted("plain", policy={"mode": "off"})
    plain = world.deployment("free", 4, labels={})
    world.pods(plain, 4, "spot-0")
    assert {stay.workload.name for stay in world.plan().stays} == {"plain"}
    assert not world.plan().moves


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet"])
def test_a_size_on_paper_takes_no_longer_than_its_pods(world: DriftWorld, kind: str) -> None:
    paper = 2**31 - 1
    owner = make_owner(kind, "vast", paper, labels=ENABLED, annotations=keys(spot_percentage=0))
    world.up(owner, make_pod("vast-2000000000", owner.ref, "spot-0"), make_pod("vast-0", owner.ref, "on-demand-0"))
    (off,) = world.plan().off_target
    assert (off.surplus, off.missing) == (1, paper - 2)
