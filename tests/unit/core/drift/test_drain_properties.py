"""What holds for pods that leave interrupted nodes, whatever the cluster."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ENABLED, SPOT, keys, make_budget, make_node, make_owner, selector
from support.drifting import DRIFT_RULES, DriftWorld
from support.rare import Met, seldom

from extender.core.drift.moves import DriftPlan
from extender.core.model.objects import Protection, Requests
from extender.core.model.reasons import Reason
from extender.core.policy.managed import Managed
from extender.core.state.records import PodRecord

NODES = ["spot-0", "spot-1", "spot-2", "on-demand-0", "on-demand-1"]
NAMES = ["a", "b"]
CPU = 100

pod_facts = st.fixed_dictionaries(
    {
        "node": seldom("spot-0", "spot-1", *NODES),
        "ready": seldom(True, False),
        "terminating": seldom(False, True),
        "pending": seldom(False, True),
        "cost": seldom(None, "999990", "999991", "-5"),
        "protection": seldom(None, Protection("spotmix.io/do-not-disrupt", "true")),
    }
)
workloads = st.fixed_dictionaries(
    {
        "kind": seldom("ReplicaSet", "Job", "Database", "StatefulSet", "StatefulSet", "StatefulSet"),
        "more": seldom(0, -1, 1, 2),
        "pods": st.lists(pod_facts, max_size=10),
        "policy": st.fixed_dictionaries(
            {"spot_percentage": seldom(100, 0, 30, 50, 70)},
            optional={
                "min_on_demand": st.integers(0, 4),
                "max_per_pool": st.sampled_from(["1", "50%"]),
                "when_unsatisfiable": st.sampled_from(["any", "wait"]),
                "mode": st.just("audit"),
            },
        ),
        "budget": st.none() | st.fixed_dictionaries({"allowed": st.integers(0, 3), "current": seldom(True, False)}),
    }
)
rules = st.fixed_dictionaries(
    {
        "drain_unavailable": seldom(100, 1, 25),
        "max_unavailable": st.just(100),
        "workload_in_flight": st.just(100),
        "not_ready": st.just(100),
    }
)


def node_facts(state: str) -> st.SearchStrategy[dict[str, Any]]:
    """A node that is mostly in this state: "interrupted", "drained", "cordoned", or well, which is empty."""
    return st.fixed_dictionaries(
        {
            "allocatable": seldom(Requests(cpu=64_000), Requests(cpu=5 * CPU), Requests(cpu=5 * CPU)),
            "ready": seldom(True, False),
            "zone": st.sampled_from(["a", "b"]),
            "state": seldom(state, "", "interrupted", "drained", "cordoned"),
        }
    )


@st.composite
def worlds(draw: st.DrawFn) -> DriftWorld:
    world = DriftWorld(replace(DRIFT_RULES, **draw(rules)))
    for name in NODES:
        facts = draw(node_facts("interrupted" if name == "spot-0" else ""))
        state = facts.pop("state")
        world.up(
            make_node(
                name,
                name.rpartition("-")[0],
                going_away=state if state in ("interrupted", "drained") else "",
                interrupted=state == "interrupted" and name.startswith(SPOT),
                unschedulable=state == "cordoned",
                **facts,
            )
        )
    for name in NAMES:
        facts = draw(workloads)
        size = None if facts["kind"] == "Database" else max(0, len(facts["pods"]) + facts["more"])
        owner = make_owner(facts["kind"], name, size, labels=ENABLED, annotations=keys(**facts["policy"]))
        world.up(owner)
        for number, pod in enumerate(facts["pods"]):
            fields = dict(pod)
            world.pods(owner.ref, 1, fields.pop("node"), start=number, requests=Requests(cpu=CPU), **fields)
        if facts["budget"] is not None:
            world.up(make_budget(name, selector(app=name), **facts["budget"]))
    if draw(seldom(True, *[False] * 5)):
        for move in [move for move in world.plan().moves if move.reason is Reason.SURPLUS][:1]:
            world.start(move)
    return world


def managed(world: DriftWorld, pod: PodRecord) -> Managed:
    found = world.state.workloads.resolve("shop", pod.revision.owner if pod.revision is not None else None)
    assert isinstance(found, Managed)
    return found


def serves(pod: PodRecord) -> bool:
    facts = pod.node.facts if pod.node is not None else None
    return facts is not None and facts.ready and pod.ready and not pod.terminating


def test_whoever_leaves_may_leave_and_is_missed_by_nobody() -> None:
    met = Met()

    @settings(max_examples=400, deadline=None)
    @given(worlds())
    def holds(world: DriftWorld) -> None:
        plan = world.plan()
        assert plan == world.plan()
        leaving = {entry.move.pod.uid for entry in world.history.in_flight()}
        every_pod_is_accounted_for(world, plan, leaving)
        budgets_hold(world, plan, leaving)
        there_is_room(world, plan)
        seats_are_not_exceeded(world, plan)
        rescued = {move.workload.name for move in plan.moves if move.reason is Reason.INTERRUPTED}
        met.example(
            in_flight=bool(leaving),
            interrupted=bool(rescued),
            interrupted_while_in_flight=bool(leaving and rescued),
            budgeted=any(world.state.budgets_of(world.state.pods[move.pod.uid]) for move in plan.moves),
        )

    holds()
    met.at_least(in_flight=0, interrupted=3, interrupted_while_in_flight=0, budgeted=0)


def every_pod_is_accounted_for(world: DriftWorld, plan: DriftPlan, leaving: set[str]) -> None:
    moves = {move.pod.uid: move for move in plan.moves}
    stays = {stay.pod.uid: stay for stay in plan.stays}
    assert len(moves) + len(stays) == len(plan.moves) + len(plan.stays)
    for uid, pod in world.state.pods.items():
        facts = pod.node.facts if pod.node is not None else None
        threatened = facts is not None and facts.interrupted and not pod.terminating and uid not in leaving
        move = moves.get(uid)
        assert (move is not None and move.reason is Reason.INTERRUPTED) <= threatened
        assert threatened <= ((uid in moves) != (uid in stays))
        if threatened and move is not None:
            found = managed(world, pod)
            assert not pod.protection
            assert not pod.pending
            assert found.revision.kind != "Job"
            assert move.dry == (found.workload.policy.mode == "audit")


def budgets_hold(world: DriftWorld, plan: DriftPlan, leaving: set[str]) -> None:
    for name in NAMES:
        pods = [pod for pod in world.state.pods.values() if pod.labels is not None and pod.labels.labels["app"] == name]
        moved = {move.pod.uid for move in plan.moves if move.workload.name == name}
        if not moved:
            continue
        budgets = world.state.budgets_of(pods[0])
        if budgets:
            sent = sum(pod.uid in leaving for pod in pods)
            assert budgets[0].current
            assert len(moved) + sent <= budgets[0].allowed
            continue
        owner = managed(world, pods[0]).revision
        replicas = len(pods) if owner.replicas is None else owner.replicas
        serving = [pod for pod in pods if serves(pod) and pod.uid not in leaving]
        rescued = {move.pod.uid for move in plan.moves if move.reason is Reason.INTERRUPTED}
        lost = sum(pod.uid in rescued for pod in serving)
        assert lost == 0 or replicas - len(serving) + lost <= world.rules.drain_limit(replicas)


def there_is_room(world: DriftWorld, plan: DriftPlan) -> None:
    asked = Counter[str]()
    for move in plan.moves:
        node = world.state.nodes[move.target]
        assert node.facts is not None
        assert (node.facts.going_away, node.facts.unschedulable, node.facts.ready) == ("", False, True)
        policy = world.state.workloads.by_uid[move.workload.uid].policy
        assert node.facts.capacity_class == move.destination or policy.when_unsatisfiable != "wait"
        asked[move.target] += CPU * (not move.dry)
        assert node.cpu + asked[move.target] <= node.facts.allocatable.cpu


def seats_are_not_exceeded(world: DriftWorld, plan: DriftPlan) -> None:
    for uid, revision in world.state.revisions.items():
        (pod, *_) = revision.pods
        found = managed(world, pod)
        if found.revision.replicas is None or found.revision.kind == "StatefulSet":
            continue
        target = found.workload.policy.seats.target(found.revision.replicas)
        coming = Counter(
            move.destination
            for move in plan.moves
            if move.workload.revision == uid and move.reason is Reason.INTERRUPTED
        )
        for name, count in coming.items():
            assert revision.filled.get(name, 0) + count <= target[name]
