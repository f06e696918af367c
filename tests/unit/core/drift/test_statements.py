"""The statements of docs/reference/drift-statements.md, as far as a plan on a snapshot can show them."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import (
    ENABLED,
    ON_DEMAND,
    SPOT,
    keys,
    make_budget,
    make_claim,
    make_node,
    make_owner,
    make_pod,
    make_volume,
    selector,
)
from support.drifting import DRIFT_RULES, DriftWorld, zonal

from extender.core.drift.history import DirectionBackoff, WorkloadHistory, direction, seats_text
from extender.core.drift.rules import DriftRules
from extender.core.model.constraints import Constraints, PodTerm, Spread
from extender.core.model.objects import OptOut, OwnerRef, Protection, Requests
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.wire.drift_v1 import decode_history, encode_history

ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
SMALL = Requests(cpu=250)


@pytest.fixture
def world() -> DriftWorld:
    made = DriftWorld()
    made.nodes(spot=2, on_demand=2)
    return made


def generous(**rules: Any) -> DriftRules:
    """Rules under which budgets of the workload do not matter."""
    return replace(DRIFT_RULES, **{"workload_in_flight": 100, "max_unavailable": 100, **rules})


def remember(world: DriftWorld, owner: OwnerRef, **fields: Any) -> None:
    world.history.workloads[world.workload(owner).uid] = WorkloadHistory(**fields)


# Placement


def test_statement_01_wanted_class_full() -> None:
    world = DriftWorld()
    world.nodes(on_demand=1)
    world.drifted(on_demand=10, spot=0)
    assert world.why() == [(Reason.NO_NODE, "")]
    world.up(make_node("spot-0", max_pods=0), make_node("spot-1", allocatable=Requests(cpu=50)))
    assert world.why() == [(Reason.NO_ROOM, "")]
    assert world.moved() == []


def test_statement_02_as_many_moves_as_there_is_room_for() -> None:
    world = DriftWorld(generous())
    world.up(
        make_node("on-demand-0", ON_DEMAND), make_node("spot-0", allocatable=SMALL), make_node("spot-1", max_pods=1)
    )
    world.drifted(on_demand=10, spot=0, policy={"max_moves_per_hour": 100})
    plan = world.plan()
    # Two fit by CPU, one by count.
    assert [move.target for move in plan.moves] == ["spot-1", "spot-0", "spot-0"]
    assert [stay.reason for stay in plan.stays] == [Reason.NO_ROOM] * 2
    for move in plan.moves:
        world.start(move)
    assert world.reasons() == [Reason.NO_ROOM]


def test_statement_03_volume_bound_to_a_zone_without_room() -> None:
    world = DriftWorld()
    world.up(zonal("on-demand-0", ON_DEMAND, "a"), zonal("spot-a", SPOT, "a", max_pods=0), zonal("spot-b", SPOT, "b"))
    world.up(make_claim("data", "disk"), make_volume("disk", Requirement(ZONE, "In", ("a",))))
    world.drifted(on_demand=10, spot=0, constraints=Constraints(claims=("data",)))
    assert world.why() == [(Reason.VOLUME, "data")]
    world.up(zonal("spot-a", SPOT, "a"))
    assert [move.target for move in world.plan().moves] == ["spot-a"]


@pytest.mark.parametrize("claims", [("nobody-knows",), ("unbound",), ("bound-to-nothing",)])
def test_statement_03_a_claim_whose_volume_is_not_known_keeps_its_pod(world: DriftWorld, claims: tuple[str]) -> None:
    world.up(make_claim("unbound"), make_claim("bound-to-nothing", "gone"))
    world.drifted(constraints=Constraints(claims=claims))
    assert world.why() == [(Reason.VOLUME, claims[0])]


def test_statement_04_move_would_break_topology_spread() -> None:
    world = DriftWorld(generous())
    world.up(zonal("on-demand-0", ON_DEMAND, "a"), zonal("spot-0", SPOT, "b"))
    spread = Constraints(spread=(Spread(ZONE, 1, selector(app="web-1")),))
    world.drifted(on_demand=6, spot=4, policy={"spot_percentage": 60}, constraints=spread)
    plan = world.plan()
    # Five in each zone is well, four and six is not.
    assert len(plan.moves) == 1
    assert [stay.reason for stay in plan.stays] == [Reason.SPREAD]


def test_statement_04_move_would_break_anothers_anti_affinity(world: DriftWorld) -> None:
    for name in ("spot-0", "spot-1"):
        world.up(zonal(name, SPOT, "a"))
    repels = Constraints(anti_affinity=(PodTerm(HOSTNAME, selector(app="web-1")),))
    world.drifted()
    assert len(world.moved()) == 1
    for number, node in enumerate(["spot-0", "spot-1"]):
        world.up(make_pod(f"lonely-{number}", node=node, constraints=repels))
    assert world.reasons() == [Reason.AFFINITY]


def test_statement_05_pending_pods_are_deducted_first() -> None:
    world = DriftWorld()
    world.up(make_node("on-demand-0", ON_DEMAND, max_pods=10), make_node("spot-0", allocatable=SMALL))
    world.drifted(on_demand=6, spot=0)
    world.pods(world.deployment("other", 2, spot_percentage=100), 1, "")
    assert len(world.moved()) == 1
    world.pods(world.deployment("other", 2, spot_percentage=100), 1, "", start=1)
    assert world.reasons() == [Reason.NO_ROOM]


def test_statement_05_pods_of_others_go_where_there_is_most_to_spare() -> None:
    world = DriftWorld()
    world.up(make_node("on-demand-0", ON_DEMAND), make_node("spot-0", allocatable=SMALL))
    world.drifted(on_demand=6, spot=0)
    world.up(make_pod("anywhere", requests=Requests(cpu=200)))
    assert len(world.moved()) == 1
    only_spot = Constraints(node_terms=((Requirement("metadata.name", "In", ("spot-0",), field=True),),))
    world.up(make_pod("there", requests=Requests(cpu=200), constraints=only_spot))
    assert world.reasons() == [Reason.NO_ROOM]


def test_statement_05_pods_that_no_scheduler_places_take_no_room() -> None:
    world = DriftWorld()
    world.up(make_node("on-demand-0", ON_DEMAND), make_node("spot-0", allocatable=SMALL))
    world.drifted(on_demand=6, spot=0, scheduler="one")
    only_spot = Constraints(node_terms=((Requirement("metadata.name", "In", ("spot-0",), field=True),),))
    big: dict[str, Any] = {"requests": SMALL, "constraints": only_spot}
    world.up(make_pod("gated", scheduler=None, **big), make_pod("nobody's", scheduler="another", **big))
    assert len(world.moved()) == 1
    world.up(make_pod("gated", scheduler="one", **big))
    assert world.reasons() == [Reason.NO_ROOM]
    world.gone("pods", "gated")
    assert len(world.moved()) == 1
    # It has placed a pod by now.
    world.up(make_pod("placed", node="on-demand-0", scheduler="another"))
    assert world.reasons() == [Reason.NO_ROOM]


@pytest.mark.parametrize(("refused", "moves"), [(False, 0), (True, 1)])
def test_statement_05_a_pod_that_is_not_counted_in_full_comes_until_its_scheduler_finds_no_node(
    refused: bool, moves: int
) -> None:
    world = DriftWorld()
    world.up(make_node("on-demand-0", ON_DEMAND, max_pods=6), make_node("spot-0", allocatable=SMALL))
    world.drifted(on_demand=6, spot=0)
    claims = Constraints(unmodelled=("spec.resourceClaims",))
    world.up(make_pod("g", requests=SMALL, constraints=claims, unscheduled=refused))
    assert len(world.moved()) == moves


def test_a_pod_whose_replacement_may_be_limited_by_more_stays(world: DriftWorld) -> None:
    world.drifted(constraints=Constraints(unmodelled=("spec.resourceClaims", "spec.volumes[].rbd")))
    assert world.why() == [(Reason.UNMODELLED, "spec.resourceClaims, spec.volumes[].rbd")]
    assert world.moved() == []


# Thrash


def test_statement_06_a_direction_backs_off(world: DriftWorld) -> None:
    owner = world.drifted()
    until = world.now + 100.0
    remember(world, owner, back_off={direction(ON_DEMAND, SPOT): DirectionBackoff(1, until)})
    assert world.reasons() == [Reason.BACK_OFF]
    remember(world, owner, back_off={direction(SPOT, ON_DEMAND): DirectionBackoff(1, until)})
    assert len(world.moved()) == 1
    remember(world, owner, back_off={direction(ON_DEMAND, SPOT): DirectionBackoff(1, until)})
    world.now = until
    assert len(world.moved()) == 1


def test_statement_07_the_circuit_is_open_until_it_resets_or_the_policy_changes(world: DriftWorld) -> None:
    owner = world.drifted()
    remember(world, owner, opened=world.now - 10.0, judged_by=seats_text(world.workload(owner).policy))
    assert world.reasons() == [Reason.CIRCUIT_OPEN]
    world.annotate("web", 10, spot_percentage=60)
    assert len(world.moved()) == 1
    world.annotate("web", 10, spot_percentage=50)
    assert world.moved() == []
    world.now += world.rules.circuit_reset
    assert len(world.moved()) == 1


def test_statement_08_spot_is_back_for_less_than_the_dwell_time() -> None:
    world = DriftWorld()
    world.nodes(on_demand=1)
    world.drifted(on_demand=10, spot=0)
    world.up(make_node("spot-0", since=world.now - 299.0))
    assert world.why() == [(Reason.DWELL, "spot-0")]
    world.now += 1.0
    assert len(world.moved()) == 1
    # A marker that came and was withdrawn starts the time anew.
    world.up(
        make_node("spot-0", since=world.now - 299.0, going_away="taint"), make_node("spot-0", since=world.now - 299.0)
    )
    assert world.reasons() == [Reason.DWELL]


def test_statement_09_back_off_and_moves_in_flight_outlive_a_restart(world: DriftWorld) -> None:
    owner = world.drifted()
    other = world.drifted("api")
    remember(world, owner, back_off={direction(ON_DEMAND, SPOT): DirectionBackoff(3, world.now + 100.0)})
    (move,) = world.plan(only=[world.workload(other).uid]).moves
    world.start(move)
    before = world.plan()
    stored = {uid: encode_history(history) for uid, history in world.history.workloads.items()}
    world.history.workloads = {uid: decode_history(text) for uid, text in stored.items()}
    assert world.plan() == before
    assert {stay.workload.name: stay.reason for stay in before.stays} == {"web": Reason.BACK_OFF}


# Disruption budgets


def test_statement_10_nothing_is_allowed_or_the_status_is_out_of_date(world: DriftWorld) -> None:
    world.drifted()
    world.up(make_budget("calm", selector(app="web-1"), 0))
    assert world.why() == [(Reason.BUDGET, "calm")]
    world.up(make_budget("calm", selector(app="web-1"), 5, current=False))
    assert world.why() == [(Reason.BUDGET_STALE, "calm")]
    world.up(make_budget("calm", selector(app="web-1"), 1))
    assert len(world.moved()) == 1


def test_statement_11_two_budgets_are_named_once(world: DriftWorld) -> None:
    world.rules = generous()
    world.drifted(on_demand=10, spot=0)
    world.up(make_budget("calm", selector(app="web-1"), 5), make_budget("all", selector(), 5))
    assert world.moved() == []
    assert world.why() == [(Reason.BUDGETS, "all, calm")]


def test_statement_14_one_allowed_for_two_candidates(world: DriftWorld) -> None:
    world.rules = generous()
    world.drifted(on_demand=7, spot=3)
    world.up(make_budget("calm", selector(app="web-1"), 1))
    plan = world.plan()
    assert len(plan.moves) == 1
    assert [stay.reason for stay in plan.stays] == [Reason.BUDGET]
    # Until the status says so, the eviction that was sent counts.
    world.start(plan.moves[0])
    assert world.moved() == []


def test_statement_15_a_pending_pod_is_never_evicted(world: DriftWorld) -> None:
    world.rules = generous()
    owner = world.drifted(on_demand=6, spot=4)
    world.pods(owner, 6, "on-demand-0", pending=True, ready=False)
    assert world.reasons() == [Reason.PENDING]


def test_statement_16_without_a_budget_our_own_limit_applies(world: DriftWorld) -> None:
    world.drifted(on_demand=100, spot=0, policy={"max_moves_per_hour": 1000})
    assert len(world.moved()) == 5
    world.pods(world.workload_owner("web"), 4, "on-demand-0", ready=False)
    plan = world.plan()
    assert len(plan.moves) == 1
    assert {stay.reason for stay in plan.stays} == {Reason.UNAVAILABLE}


# The workload


def test_statement_17_a_singleton_is_not_evicted_by_default(world: DriftWorld) -> None:
    world.drifted(on_demand=1, spot=0, policy={"spot_percentage": 100})
    assert world.reasons() == [Reason.SINGLETON]
    world.rules = replace(DRIFT_RULES, singletons=True)
    assert len(world.moved()) == 1


@pytest.mark.parametrize("trouble", [{"ready": False}, {"terminating": True}])
def test_statement_18_one_of_three_is_unready_or_terminating(world: DriftWorld, trouble: dict[str, bool]) -> None:
    owner = world.drifted(on_demand=3, spot=0, policy={"spot_percentage": 70})
    assert len(world.moved()) == 1
    world.pods(owner, 1, "on-demand-0", **trouble)
    assert world.moved() == []
    assert world.why() == [(Reason.UNAVAILABLE, "web-1-0")]


def test_statement_18_one_of_three_is_missing_or_on_a_node_that_is_not_ready(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=2, spot=1, policy={"spot_percentage": 70})
    world.gone("pods", "web-1-2")
    assert world.plan().off_target[0].missing == 1
    assert world.moved() == []
    world.up(*(make_node(f"more-{number}") for number in range(9)), make_node("dark", ready=False))
    world.pods(owner, 1, "dark", start=2)
    assert world.why() == [(Reason.UNAVAILABLE, "web-1-2")]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_statement_19_its_controller_says_that_a_rollout_is_in_progress(world: DriftWorld, kind: str) -> None:
    world.drifted()
    owner = world.state.workloads.owners[f"uid-{kind}-{'web' if kind == 'Deployment' else 'web-1'}"]
    world.up(replace(owner, rolling=True))
    assert world.moved() == []
    assert world.reasons() == [Reason.ROLLOUT]


def test_statement_19_two_revisions_are_a_rollout(world: DriftWorld) -> None:
    world.drifted()
    new = make_owner("ReplicaSet", "web-2", 1, owner=world.state.workloads.owners["uid-Deployment-web"].ref)
    world.up(new)
    assert world.reasons() == [Reason.ROLLOUT]
    world.up(replace(new, replicas=0))
    assert len(world.moved()) == 1
    world.pods(new.ref, 1, "spot-0")
    assert world.reasons() == [Reason.ROLLOUT]


def test_statement_20_the_last_move_is_in_flight(world: DriftWorld) -> None:
    world.drifted(on_demand=7, spot=3)
    (move,) = world.plan().moves
    world.start(move)
    assert world.moved() == []
    assert world.reasons() == [Reason.IN_FLIGHT]
    world.gone("pods", move.pod.uid)
    assert world.reasons() == [Reason.IN_FLIGHT]
    world.history.refused(move)
    world.pods(OwnerRef(move.workload.revision, "apps/v1", "ReplicaSet", "web-1"), 1, "spot-0", start=20)
    assert len(world.moved()) == 1


# Identity


@pytest.mark.parametrize("workload", [False, True])
def test_statement_23_an_opt_out_that_cannot_be_read_protects(world: DriftWorld, workload: bool) -> None:
    if workload:
        owner = world.drifted(policy={"do_not_disrupt": "perhaps"})
        assert world.workload(owner).opt_out == OptOut("spotmix.io/do-not-disrupt", "perhaps", malformed=True)
    else:
        world.drifted(protection=Protection("spotmix.io/do-not-disrupt", "perhaps", malformed=True))
    assert world.moved() == []
    assert world.why() == [(Reason.PROTECTION_MALFORMED, "spotmix.io/do-not-disrupt=perhaps")]


# The loop


def test_statement_25_the_defaults_are_finite() -> None:
    world = DriftWorld()
    world.nodes(spot=1, on_demand=1)
    for number in range(30):
        world.drifted(f"web-{number}", on_demand=10, spot=0)
    plan = world.plan()
    assert len(plan.moves) == 10
    assert len({move.workload.name for move in plan.moves}) == 10
    assert {stay.reason for stay in plan.stays} == {Reason.IN_FLIGHT, Reason.CLUSTER_BUDGET}
    moved = 0
    while world.cycle(seconds=1.0):
        moved += 10
        assert moved <= 30 * 6
    # Six moves of a workload in an hour, and none that is not needed.
    assert moved == 30 * 5


def test_statement_25_moves_of_an_hour(world: DriftWorld) -> None:
    owner = world.drifted()
    remember(world, owner, moved=[world.now - 3599.0] * 6)
    assert world.reasons() == [Reason.HOURLY_BUDGET]
    world.now += 1.0
    assert len(world.moved()) == 1


def test_statement_26_nothing_is_moved_on_a_stale_cache(world: DriftWorld) -> None:
    world.drifted()
    plan = world.plan(current=False)
    assert (plan.moves, plan.paused) == ((), Reason.STALE)
    assert [stay.reason for stay in plan.stays] == [Reason.STALE]


def test_statement_28_a_dry_run_makes_the_same_plan(world: DriftWorld) -> None:
    world.drifted()
    (enforced,) = world.plan().moves
    world.annotate("web", 10, spot_percentage=50, mode="audit")
    assert world.plan().moves == (replace(enforced, dry=True),)
    world.up(make_budget("calm", selector(app="web-1"), 0))
    assert world.why() == [(Reason.BUDGET, "calm")]


def test_statement_28_what_is_audited_takes_nothing_from_others(world: DriftWorld) -> None:
    world.rules = replace(DRIFT_RULES, max_in_flight=1)
    world.drifted("a", policy={"mode": "audit"})
    world.drifted("b")
    plan = world.plan()
    assert [(move.workload.name, move.dry) for move in plan.moves] == [("b", False)]
    assert [stay.reason for stay in plan.stays] == [Reason.CLUSTER_BUDGET]


def test_statement_29_many_nodes_are_not_ready(world: DriftWorld) -> None:
    world.drifted()
    world.up(make_node("spot-2", ready=False))
    assert world.plan().paused is None
    world.up(make_node("spot-3", ready=False))
    plan = world.plan()
    assert (plan.paused, plan.moves) == (Reason.NODES_NOT_READY, ())
    assert [stay.reason for stay in plan.stays] == [Reason.NODES_NOT_READY]
    # One that is taken away is expected to go, and one that an autoscaler brings has yet to come.
    world.up(make_node("spot-3", ready=False, starting=True))
    assert world.plan().paused is None
    world.up(make_node("spot-3", ready=False, going_away="taint"))
    assert world.plan().paused is None


def test_nodes_that_were_lost_long_ago_are_no_wave(world: DriftWorld) -> None:
    world.drifted()
    long_ago, of_late = world.now - 3600.0, world.now - 60.0
    world.up(*(make_node(f"dead-{n}", ready=False, since=long_ago) for n in range(9)))
    assert world.plan().paused is None
    # They are no part of the cluster that a wave could take a share of, either.
    world.up(make_node("lost-0", ready=False, since=of_late))
    assert world.plan().paused is None
    world.up(make_node("lost-1", ready=False, since=of_late))
    assert world.plan().paused is Reason.NODES_NOT_READY


def test_moves_that_do_not_end_hold_up_their_own_workloads_alone(world: DriftWorld) -> None:
    world.rules = generous(max_in_flight=2)
    for name in ("a", "b"):
        world.drifted(name)
    for move in world.plan().moves:
        world.start(move)
    world.drifted("c")
    assert {stay.reason for stay in world.plan(["uid-Deployment-c"]).stays} == {Reason.CLUSTER_BUDGET}
    world.now += 3600.0
    assert world.plan(["uid-Deployment-c"]).moves


@pytest.mark.parametrize("drained", [{"unschedulable": True}, {"going_away": "taint"}])
def test_statement_30_pods_on_a_drained_node_are_in_flight(world: DriftWorld, drained: dict[str, Any]) -> None:
    owner = world.drifted(on_demand=6, spot=4)
    assert len(world.moved()) == 1
    world.up(make_node("leaving", **drained))
    world.gone("pods", "web-1-9")
    world.pods(owner, 1, "leaving", start=9)
    assert world.moved() == []
    assert world.why() == [(Reason.IN_FLIGHT, "web-1-9")]


def test_statement_30_a_pod_on_a_drained_node_is_left_to_it(world: DriftWorld) -> None:
    world.rules = generous()
    world.drifted(on_demand=6, spot=4)
    world.up(make_node("on-demand-0", ON_DEMAND, unschedulable=True))
    assert world.why() == [(Reason.DRAINED, "on-demand-0")]


def test_statement_31_a_pod_that_does_not_end_holds_the_budget(world: DriftWorld) -> None:
    owner = world.drifted(on_demand=6, spot=4)
    (move,) = world.plan().moves
    world.start(move)
    world.up(make_pod(move.pod.uid, owner, move.node, terminating=True, due=world.now + 30.0))
    # A replacement is there and ready, and still the budget is held.
    world.pods(owner, 1, "on-demand-0", start=10)
    world.now += 90.0
    assert world.reasons() == [Reason.IN_FLIGHT]
    world.now += 1.0
    assert world.moved() == []
    assert world.why() == [(Reason.HELD_UP, move.pod.name)]


def test_statement_32_a_cluster_that_cannot_be_satisfied_is_left_alone() -> None:
    world = DriftWorld()
    world.up(make_node("on-demand-0", ON_DEMAND), make_node("spot-0", allocatable=Requests(cpu=1000)))
    for number in range(5):
        world.drifted(f"web-{number}", on_demand=6, spot=0, policy={"spot_percentage": 100})
    moved = [name for _ in range(1000) for name in world.cycle()]
    assert len(moved) == len(set(moved)) == 10
    assert set(world.reasons()) == {Reason.NO_ROOM}


def test_a_job_and_a_controller_of_unknown_size_are_left_alone(world: DriftWorld) -> None:
    for kind, reason in (("Job", Reason.RUNS_TO_COMPLETION), ("Database", Reason.SIZE_UNKNOWN)):
        size = 10 if kind == "Job" else None
        owner = make_owner(kind, "lone", size, labels=ENABLED, annotations=keys(spot_percentage=50))
        world.up(owner)
        world.pods(owner.ref, 10, "on-demand-0")
        plan = world.plan(only=[owner.uid])
        assert plan.moves == ()
        assert [stay.reason for stay in plan.stays] == [reason] * 5
        for number in range(10):
            world.gone("pods", f"lone-{number}")
