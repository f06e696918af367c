"""What holds for every plan, whatever the cluster."""

from collections import Counter
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ENABLED, SPOT, keys, make_budget, make_node, make_owner, selector
from support.drifting import DRIFT_RULES, DriftWorld
from support.rare import Met, seldom

from extender.core.drift.moves import DriftPlan, Move, Stay
from extender.core.model.objects import OwnerRef, Protection, Requests
from extender.core.policy.managed import Managed

NODES = ["spot-0", "spot-1", "spot-2", "on-demand-0", "on-demand-1", "other-0"]
NAMES = ["a", "b", "c"]


node_facts = st.fixed_dictionaries(
    {
        "allocatable": seldom(Requests(cpu=64_000), Requests(cpu=400), Requests(cpu=1500)),
        "ready": seldom(True, False),
        "unschedulable": seldom(False, True),
        "going_away": seldom("", "taint"),
        "instance_type": st.sampled_from(["m.large", "m.small"]),
    }
)
pod_facts = st.fixed_dictionaries(
    {
        "node": seldom("on-demand-0", *NODES, ""),
        "ready": seldom(True, False),
        "terminating": seldom(False, True),
        "pending": seldom(False, True),
        "created": seldom(0.0, 1_767_571_199.0),
        "cost": seldom(None, "999990", "-5", "much"),
        "protection": seldom(None, Protection("spotmix.io/do-not-disrupt", "true")),
    }
)
policies = st.fixed_dictionaries(
    {"spot_percentage": seldom(70, 0, 10, 50, 100)},
    optional={
        "min_on_demand": seldom(1, 0, 2, 3, 4),
        "max_spot": seldom(6, 0, 1, 2, 3, 4, 5),
        "max_per_pool": st.sampled_from(["2", "4", "50%", "1"]),
        "when_unsatisfiable": st.sampled_from(["fallback", "any", "wait"]),
        "max_moves_per_hour": seldom(100, 0, 2),
        "mode": seldom("enforce", "audit"),
        "fallback_after": seldom("10s", "soon"),
    },
)
workloads: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "kind": seldom("ReplicaSet", "Database", *["StatefulSet"] * 4),
        "more": seldom(0, -1, 1, 2),
        "rolling": seldom(False, True),
        "pods": st.lists(pod_facts, max_size=9),
        "policy": policies,
    }
)
budgets = st.none() | st.fixed_dictionaries({"allowed": st.integers(0, 3), "current": seldom(True, False)})
rules = st.fixed_dictionaries(
    {
        "max_in_flight": seldom(10, 0, 1, 2, 3),
        "workload_in_flight": seldom(100, 10),
        "max_unavailable": seldom(100, 5, 30),
        "not_ready": seldom(100, 20),
        "singletons": st.booleans(),
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> DriftWorld:
    world = DriftWorld(replace(DRIFT_RULES, **draw(rules)))
    for name in NODES:
        world.up(make_node(name, name.rpartition("-")[0], **draw(node_facts)))
    for name in NAMES:
        facts = draw(workloads)
        owner = make_owner(
            facts["kind"],
            name,
            None if facts["kind"] == "Database" else max(0, len(facts["pods"]) + facts["more"]),
            rolling=facts["rolling"],
            labels=ENABLED,
            annotations=keys(**facts["policy"]),
        )
        world.up(owner)
        for number, pod in enumerate(facts["pods"]):
            fields: dict[str, Any] = {**pod, "ready": pod["ready"] and bool(pod["node"])}
            world.pods(owner.ref, 1, fields.pop("node"), start=number, **fields)
    for name in NAMES:
        budget = draw(budgets)
        if budget is not None:
            world.up(make_budget(name, selector(app=name), **budget))
    if draw(st.booleans()):
        for move in world.plan().moves[:1]:
            world.start(move)
    return world


def managed(world: DriftWorld, uid: str) -> Managed:
    owner = world.state.workloads.owners[uid]
    found = world.state.workloads.resolve("shop", OwnerRef(uid, owner.api_version, owner.kind, owner.name))
    assert isinstance(found, Managed)
    return found


def wrong(world: DriftWorld, uid: str) -> int:
    """Pods that are not where they should be: by ordinal, or too many of their class."""
    found = managed(world, uid)
    seats, replicas = found.workload.policy.seats, found.revision.replicas
    revision = world.state.revisions.get(uid)
    seated = [pod for pod in revision.pods if pod.counted] if revision is not None else []
    if found.revision.kind == "StatefulSet":
        ordinals = [(int(pod.name.rpartition("-")[2]), pod.counted) for pod in seated]
        return sum(seats.class_at(n + 1) != name for n, name in ordinals if n < (replicas or 0))
    target = seats.target(len(seated) if replicas is None else replicas)
    filled = Counter(pod.counted for pod in seated)
    return sum(max(0, count - target.get(name, 0)) for name, count in filled.items())


def snapshot(world: DriftWorld) -> Any:
    state = world.state
    return deepcopy(
        (
            {name: (node.cpu, node.memory, node.pool, len(node.pods)) for name, node in state.nodes.items()},
            {uid: (pod.counted, pod.ready, pod.terminating) for uid, pod in state.pods.items()},
            {uid: (revision.filled, revision.reserved) for uid, revision in state.revisions.items()},
            {uid: (history.moved, len(history.in_flight)) for uid, history in world.history.workloads.items()},
        )
    )


def test_a_plan_takes_no_more_than_there_is() -> None:
    met = Met()

    @settings(max_examples=300, deadline=None)
    @given(worlds())
    def holds(world: DriftWorld) -> None:
        before = snapshot(world)
        plan = world.plan()
        assert plan == world.plan()
        assert snapshot(world) == before
        leaving = {entry.move.pod.uid for entry in world.history.in_flight()}
        accounts_for_every_surplus_pod(world, plan, leaving)
        stays_within_budgets(world, plan, len(leaving))
        fits_on_its_targets(world, plan)
        met.example(
            moves=bool(plan.moves),
            several=len(plan.moves) > 1,
            in_flight=bool(leaving),
            budgeted=any(world.state.budgets_of(world.state.pods[move.pod.uid]) for move in plan.moves),
            capped=any(is_capped(world, move) for move in plan.moves),
        )

    holds()
    met.at_least(moves=3, several=1, in_flight=1, budgeted=0, capped=0)


def is_capped(world: DriftWorld, move: Move) -> bool:
    """Whether a move goes to spot, of which a pool may have no more than some pods of its workload."""
    policy = world.state.workloads.by_uid[move.workload.uid].policy
    return policy.max_per_pool is not None and move.destination == SPOT


def accounts_for_every_surplus_pod(world: DriftWorld, plan: DriftPlan, leaving: set[str]) -> None:
    entries: list[Move | Stay] = [*plan.moves, *plan.stays]
    touched = [entry.pod.uid for entry in entries]
    assert len(touched) == len(set(touched))
    assert not leaving & set(touched)
    for uid in world.state.revisions:
        revision = world.state.revisions[uid]
        mine = [each for each in entries if each.workload.revision == uid]
        if not any(pod.uid in leaving for pod in revision.pods):
            assert len(mine) == wrong(world, uid)
        # No class gets more than it has seats for, what is reserved or on its way included.
        found = managed(world, uid)
        replicas = found.revision.replicas
        if found.revision.kind != "StatefulSet" and replicas is not None:
            target, coming = (
                found.workload.policy.seats.target(replicas),
                Counter(move.destination for move in plan.moves if move.workload.revision == uid),
            )
            for name, count in coming.items():
                assert revision.filled.get(name, 0) + count <= target[name]


def stays_within_budgets(world: DriftWorld, plan: DriftPlan, in_flight: int) -> None:
    assert not plan.moves or len(plan.moves) + in_flight <= world.rules.max_in_flight
    for uid, revision in world.state.revisions.items():
        moves = [move for move in plan.moves if move.workload.revision == uid]
        if not moves:
            continue
        found = managed(world, uid)
        history = world.history.get(found.workload.uid)
        assert found.workload.parsed.valid
        assert len(moves) + (len(history.moved) if history else 0) <= found.workload.policy.max_moves_per_hour
        serving = sum(pod.ready and not pod.terminating and bool(pod.counted) for pod in revision.pods)
        replicas = found.revision.replicas or 0
        assert replicas - serving + len(moves) <= world.rules.unavailable_limit(replicas)
        for move in moves:
            record = world.state.pods[move.pod.uid]
            assert not record.pending
            assert not record.protection
            assert world.now - record.created >= world.rules.min_age
            assert move.dry == (found.workload.policy.mode == "audit")
    for name in NAMES:
        covering = [
            b for uid in world.state.pods for b in world.state.budgets_of(world.state.pods[uid]) if b.name == name
        ]
        evicted = sum(move.workload.name == name for move in plan.moves)
        assert not covering or evicted == 0 or (covering[0].current and evicted <= covering[0].allowed)


def fits_on_its_targets(world: DriftWorld, plan: DriftPlan) -> None:
    asked = Counter[str]()
    leaving = {entry.move.pod.uid for entry in world.history.in_flight()} | {move.pod.uid for move in plan.moves}
    for move in plan.moves:
        node = world.state.nodes[move.target]
        assert node.facts is not None
        assert (node.facts.capacity_class, node.facts.ready) == (move.destination, True)
        assert not node.facts.going_away
        assert not node.facts.unschedulable
        asked[move.target] += 100
        assert node.cpu + asked[move.target] <= node.facts.allocatable.cpu
        cap = world.state.workloads.by_uid[move.workload.uid].policy.max_per_pool
        if cap is not None and move.destination == SPOT:
            revision = world.state.revisions[move.workload.revision]
            in_pool = sum(
                pod.counted == SPOT and pod.node is not None and pod.node.pool == node.pool and pod.uid not in leaving
                for pod in revision.pods
            )
            owner = world.state.workloads.owners[move.workload.revision]
            assert in_pool < cap.limit(max(1, owner.replicas or 0))


def test_what_is_carried_out_never_makes_it_worse() -> None:
    met = Met()

    @settings(max_examples=200, deadline=None)
    @given(worlds())
    def holds(world: DriftWorld) -> None:
        before = {uid: wrong(world, uid) for uid in world.state.revisions}
        moves = Counter(move.workload.revision for move in world.plan().moves)
        for move in world.plan().moves:
            world.carry_out(move)
        for uid, count in moves.items():
            assert wrong(world, uid) == before[uid] - count
        met.example(moves=bool(moves), of_several_revisions=len(moves) > 1)

    holds()
    met.at_least(moves=3, of_several_revisions=0)
