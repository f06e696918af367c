"""Three classes are placed, scaled in and put right by the seats that two classes have, with no rule of their own."""

from collections import Counter
from collections.abc import Mapping
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_node, make_owner, make_pod
from support.drifting import DriftWorld
from support.examples import examples

from extender.core.drift.surplus import drifted
from extender.core.model.classes import ClassRule, ClassRules
from extender.core.model.objects import OwnerRef, Pod
from extender.core.model.selectors import Requirement
from extender.core.placement.gates import GateController
from extender.core.placement.requirement import class_requirement
from extender.core.policy.apportionment import ApportionedSeats, ClassShare
from extender.core.policy.policy import ParsedPolicy, Policy
from extender.core.policy.rules import PolicyRules
from extender.core.policy.stand_ins import may_run_on, stand_ins
from extender.core.policy.values import PoolCap
from extender.core.scalein.costs import costs_to_write

RESERVED = "reserved"
SEATS = ApportionedSeats(
    (ClassShare(RESERVED, cap=4), ClassShare(ON_DEMAND, 30, base=2), ClassShare(SPOT, 70, cap_percent=80))
)


WITH_RESERVED = ClassRules(extra_rules=(ClassRule("karpenter.sh/capacity-type", RESERVED, (RESERVED,)),))


class ThreeClasses:
    """A Deployment whose replicas three classes share."""

    def __init__(self, replicas: int, policy: Policy = Policy(SEATS)) -> None:  # noqa: B008 - it is frozen
        self.world = World(PolicyRules(classes=WITH_RESERVED))
        self.offered = self.world.nodes(spot=2, on_demand=2)
        self.owner: OwnerRef = self.world.deployment("web", replicas)
        self.policy = policy
        self.world.workload(self.owner).parsed = ParsedPolicy(policy)
        self.pods: dict[str, Pod] = {}

    def reserve(self) -> None:
        node = make_node("reserved-0", RESERVED)
        self.world.up(node)
        self.offered.append(node.name)

    def grow(self, count: int) -> None:
        for _ in range(count):
            pod, _ = self.world.place(self.owner, self.offered)
            self.put(pod)

    def put(self, pod: Pod) -> None:
        self.pods[pod.uid] = pod
        self.world.up(pod)

    def resize(self, replicas: int) -> None:
        self.world.up(
            msgspec.structs.replace(
                make_owner("ReplicaSet", "web-1", replicas, owner=make_owner("Deployment", "web").ref),
                uid=self.owner.uid,
            )
        )
        self.world.workload(self.owner).parsed = ParsedPolicy(self.policy)

    @property
    def split(self) -> Mapping[str, int]:
        return self.world.split(self.owner)


def counts(replicas: int) -> dict[str, int]:
    return {name: count for name, count in SEATS.target(replicas).items() if count}


@examples(40)
@given(st.randoms(use_true_random=True), st.integers(1, 40), st.integers(0, 39))
def test_a_burst_and_its_scale_in_are_exact(random: Random, replicas: int, fewer: int) -> None:
    fleet = ThreeClasses(replicas)
    fleet.reserve()
    random.shuffle(fleet.offered)
    for size in range(1, replicas + 1):
        fleet.grow(1)
        assert fleet.split == counts(size)
    revision = fleet.world.state.revisions[fleet.owner.uid]
    costs = {record.uid: cost for record, cost in costs_to_write(revision, SEATS)}
    for uid in sorted(fleet.pods, key=lambda each: costs[each])[: min(fewer, replicas)]:
        fleet.world.gone("pods", uid)
    assert fleet.split == counts(max(0, replicas - fewer))


def test_what_fell_back_is_surplus_once_its_class_has_nodes() -> None:
    fleet = ThreeClasses(10)
    fleet.grow(10)
    assert fleet.split == {ON_DEMAND: 8, SPOT: 2}
    (drift,) = drifted(fleet.world.state, set(), None)
    assert [(excess.source, excess.count) for excess in drift.excess] == [(ON_DEMAND, 4)]
    assert drift.wanting == {RESERVED: 4}


@pytest.mark.parametrize(
    ("policy", "wanted", "found"),
    [
        (Policy(SEATS), RESERVED, (ON_DEMAND,)),
        (Policy(SEATS), ON_DEMAND, ()),
        (Policy(SEATS, fallback_to=(RESERVED, ON_DEMAND)), SPOT, (RESERVED, ON_DEMAND)),
        (Policy(SEATS, fallback_to=(RESERVED, ON_DEMAND)), ON_DEMAND, (RESERVED,)),
        (Policy(SEATS, when_unsatisfiable="any"), ON_DEMAND, (RESERVED, SPOT)),
        (Policy(SEATS, when_unsatisfiable="wait", fallback_to=(RESERVED,)), SPOT, ()),
    ],
)
def test_who_stands_in(policy: Policy, wanted: str, found: tuple[str, ...]) -> None:
    assert stand_ins(policy, wanted) == found


def test_stand_ins_are_tried_in_order_and_run_on_what_has_no_seat() -> None:
    policy = Policy(ApportionedSeats((ClassShare(SPOT, 1),)), fallback_to=(RESERVED, ON_DEMAND))
    assert may_run_on(policy, RESERVED)
    fleet = ThreeClasses(2, policy)
    fleet.offered = [name for name in fleet.offered if name.startswith(ON_DEMAND)]
    fleet.grow(1)
    fleet.reserve()
    fleet.grow(1)
    assert fleet.split == {ON_DEMAND: 1, RESERVED: 1}


@examples(40)
@given(st.lists(st.sampled_from(SEATS.classes), min_size=2, max_size=14))
def test_the_drift_loop_ends_at_the_target(found: list[str]) -> None:
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    world.up(make_node("reserved-0", RESERVED))
    owner = world.deployment("web", len(found))
    world.workload(owner).parsed = ParsedPolicy(Policy(SEATS, max_moves_per_hour=1000))
    for number, name in enumerate(found):
        world.pods(owner, 1, f"{name}-0", start=number)
    moved = 0
    while cycle := world.cycle(600.0):
        moved += len(cycle)
    assert world.split(owner) == counts(len(found))
    assert moved == sum((Counter(found) - Counter(counts(len(found)))).values())


@examples(40)
@given(st.lists(st.sampled_from(SEATS.classes), min_size=2, max_size=14), st.integers(1, 4), st.integers(0, 4))
def test_no_move_takes_a_class_below_its_floor(found: list[str], reserved: int, on_demand: int) -> None:
    seats = ApportionedSeats(
        (ClassShare(RESERVED, 10, floor=reserved), ClassShare(ON_DEMAND, 20, floor=on_demand), ClassShare(SPOT, 70))
    )
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    world.up(make_node("reserved-0", RESERVED))
    owner = world.deployment("web", len(found))
    world.workload(owner).parsed = ParsedPolicy(Policy(seats, max_moves_per_hour=1000))
    for number, name in enumerate(found):
        world.pods(owner, 1, f"{name}-0", start=number)
    target = seats.target(len(found))
    floors = {name: min(target[name], seats.least(name)) for name in seats.classes}
    while True:
        before = world.split(owner)
        left = Counter(before)
        left.subtract(move.source for move in world.plan().moves)
        assert all(left[name] >= min(before.get(name, 0), floor) for name, floor in floors.items())
        if not world.cycle(600.0):
            break
    assert all(world.split(owner).get(name, 0) >= floor for name, floor in floors.items())


def test_a_class_is_written_by_the_label_of_its_rule() -> None:
    rules = ClassRules(extra_rules=(ClassRule("karpenter.sh/capacity-type", RESERVED, (RESERVED,)),))
    world = World()
    world.up(*(make_node(name, name, marks=(("karpenter.sh/capacity-type", name),)) for name in SEATS.classes))
    world.up(make_node("unlabelled", ON_DEMAND))
    terms = {
        name: class_requirement(world.state.census, rules, name, one_term=True).terms[0][0] for name in SEATS.classes
    }
    assert terms == {
        RESERVED: Requirement("karpenter.sh/capacity-type", "In", (RESERVED,)),
        SPOT: Requirement("karpenter.sh/capacity-type", "In", (SPOT,)),
        ON_DEMAND: Requirement("karpenter.sh/capacity-type", "NotIn", (RESERVED, SPOT)),
    }


def test_ordinals_are_seats() -> None:
    fleet = ThreeClasses(1)
    fleet.reserve()
    owner = make_owner("StatefulSet", "db", 8)
    fleet.world.up(msgspec.structs.replace(owner, labels={"spotmix.io/enabled": "true"}))
    fleet.world.workload(owner.ref).parsed = ParsedPolicy(Policy(SEATS))
    for ordinal in range(8):
        pod, decision = fleet.world.place(owner.ref, fleet.offered, name=f"db-{ordinal}")
        assert decision.capacity_class == SEATS.class_at(ordinal + 1)
        fleet.world.up(make_pod(pod.uid, owner.ref, pod.node, name=pod.name))


@pytest.mark.parametrize("limited", SEATS.classes)
def test_what_a_pool_may_hold_is_said_of_each_class(limited: str) -> None:
    world = World()
    nodes = [make_node(f"{name}-{zone}", name, zone=zone) for name in SEATS.classes for zone in "ab"]
    world.up(*nodes)
    owner = world.deployment("web", 20)
    policy = Policy(SEATS, when_unsatisfiable="wait")
    cap = PoolCap(1)
    policy = replace(policy, max_per_pool=cap) if limited == SPOT else replace(policy, pool_caps=((limited, cap),))
    world.workload(owner).parsed = ParsedPolicy(policy)
    found: Counter[str] = Counter()
    for _ in range(20):
        pod, decision = world.place(owner, [node.name for node in nodes])
        if decision.nodes:
            found[decision.nodes[0]] += 1
            world.up(pod)
    held = {name: found[f"{name}-a"] + found[f"{name}-b"] for name in SEATS.classes}
    assert (found[f"{limited}-a"], found[f"{limited}-b"]) == (1, 1)
    assert all(held[name] == count for name, count in counts(20).items() if name != limited)


def test_moves_keep_the_cap_of_their_class() -> None:
    world = DriftWorld()
    world.nodes(spot=2, on_demand=2)
    world.up(*(make_node(f"{RESERVED}-{zone}", RESERVED, zone=zone) for zone in "ab"))
    owner = world.deployment("web", 10)
    policy = Policy(SEATS, max_moves_per_hour=1000, pool_caps=((RESERVED, PoolCap(1)),))
    world.workload(owner).parsed = ParsedPolicy(policy)
    world.pods(owner, 10, f"{ON_DEMAND}-0")
    while world.cycle(600.0):
        pass
    assert world.split(owner)[RESERVED] == 2
    assert {pod.node_name for pod in world.state.revisions[owner.uid].pods if pod.counted == RESERVED} == {
        f"{RESERVED}-a",
        f"{RESERVED}-b",
    }


def gated(fleet: ThreeClasses, count: int) -> GateController:
    """So many pods that wait for their class, on a cluster whose nodes tell it by one label."""
    marked = (make_node(f"{name}-0", name, marks=(("karpenter.sh/capacity-type", name),)) for name in SEATS.classes)
    fleet.world.up(*marked)
    gate = "spotmix.io/placement"
    fleet.world.up(*(make_pod(f"p-{n:02}", fleet.owner, gates=(gate,), created=float(n)) for n in range(count)))
    return GateController(fleet.world.state)


def test_a_written_burst_is_exact() -> None:
    fleet = ThreeClasses(40)
    releases = gated(fleet, 40).due(fleet.world.now)
    assert Counter(each.capacity_class for each in releases) == counts(40)
    assert [each.capacity_class for each in releases] == [SEATS.class_at(seat) for seat in range(1, 41)]
    told = {each.capacity_class: (each.requires.selector, each.requires.terms) for each in releases}
    label = "karpenter.sh/capacity-type"
    (unmarked,) = told[ON_DEMAND][1]
    assert unmarked[0] == Requirement(label, "NotIn", (RESERVED, SPOT))
    assert told == {
        RESERVED: (((label, RESERVED),), ()),
        SPOT: (((label, SPOT),), ()),
        ON_DEMAND: ((), (unmarked,)),
    }


@pytest.mark.parametrize(
    ("closed", "found"),
    [
        ((SPOT,), {RESERVED: 6, ON_DEMAND: 4}),
        ((SPOT, RESERVED), {ON_DEMAND: 10}),
        ((RESERVED,), {ON_DEMAND: 8, SPOT: 2}),
    ],
)
def test_the_first_stand_in_that_is_open_is_written(closed: tuple[str, ...], found: Mapping[str, int]) -> None:
    fleet = ThreeClasses(10, Policy(SEATS, fallback_to=(RESERVED, ON_DEMAND)))
    gates = gated(fleet, 10)
    closures = fleet.world.state.autoscaling.closures
    demand = fleet.world.state.autoscaling.demand(fleet.world.state.pods["p-00"])
    for name in closed:
        closures.close(name, demand, fleet.world.now, "no capacity")
    releases = gates.due(fleet.world.now)
    assert Counter(each.capacity_class for each in releases) == found
    assert {each.wanted for each in releases if each.wanted} == set(closed)
