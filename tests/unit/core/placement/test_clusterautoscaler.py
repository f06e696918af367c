"""What cluster-autoscaler does with pods, by its rules: why a class has to be on them, and that ours is understood."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.clusterautoscaler import Waiting, helped, options
from support.doubles import World, make_node, make_pod

from extender.core.model.classes import ClassRules
from extender.core.model.constraints import NO_CONSTRAINTS
from extender.core.model.objects import Node, Pod, Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.placement.gates import GateController

RULES = ClassRules()
SEVENTY: dict[str, Any] = {"spot_percentage": 70, "min_on_demand": 2}
LABEL = "eks.amazonaws.com/capacityType"
ZONES = ((Requirement("zone", "In", ("a",)),), (Requirement("zone", "In", ("b",)),))


def node(name: str, cpu: int = 100_000, taints: tuple[Taint, ...] = (), **labels: str) -> Node:
    marks = {LABEL if key == "capacity" else key: value for key, value in labels.items()}
    named = tuple((key, value) for key, value in marks.items() if key in RULES.labels)
    capacity_class = RULES.class_of(marks)
    return make_node(name, capacity_class, labels=marks, marks=named, allocatable=Requests(cpu=cpu), taints=taints)


def decided(world: World, count: int, **pod: Any) -> list[Pod]:
    """Pods of a workload at 70 %, with what we write on them."""
    owner = world.deployment("web", count, **SEVENTY)
    pods = {
        f"pod-{n}": make_pod(f"pod-{n}", owner, gates=("spotmix.io/placement",), created=float(n), **pod)
        for n in range(count)
    }
    world.up(*pods.values())
    written = []
    for release in GateController(world.state).due(world.now):
        before = pods[release.pod.uid]
        constraints = release.requires.on(before.constraints)
        written.append(
            replace(before, gates=(), unscheduled=True, written=release.capacity_class, constraints=constraints)
        )
    return written


def by_class(pods: list[Waiting]) -> dict[str, int]:
    found: dict[str, int] = {}
    for waiting in pods:
        found[waiting.pod.written] = found.get(waiting.pod.written, 0) + 1
    return found


def test_a_class_that_only_the_extender_keeps_is_not_seen() -> None:
    pods = [Waiting(make_pod(f"pod-{n}", unscheduled=True)) for n in range(3)]
    assert helped(pods, [node("spot", capacity="SPOT")]) == []


@pytest.mark.parametrize("node_terms", [None, ZONES])
def test_a_written_class_is_helped_by_groups_of_it_alone(
    node_terms: tuple[tuple[Requirement, ...], ...] | None,
) -> None:
    world = World()
    groups = {
        "spot": node("spot", capacity="SPOT", zone="a"),
        "on-demand": node("on-demand", capacity="ON_DEMAND", zone="a"),
        "unlabelled": node("unlabelled", zone="b"),
    }
    world.up(make_node("machine", "on-demand", provider="aws://"), node("seen", capacity="SPOT"))
    constraints = replace(NO_CONSTRAINTS, node_terms=node_terms)
    pods = decided(world, 10, constraints=constraints)
    waiting = helped([Waiting(pod) for pod in pods], [])
    assert by_class(waiting) == {"spot": 7, "on-demand": 3}
    for each in waiting:
        expected = {"spot"} if each.pod.written == "spot" else {"on-demand", "unlabelled"}
        assert options(each.pod, groups) == expected


@pytest.mark.parametrize(
    ("nodes", "left"),
    [
        ([node("spot", capacity="SPOT")], {"on-demand": 3}),
        ([node("static")], {"spot": 7}),
        ([node("spot", capacity="SPOT"), node("static")], {}),
        ([node("spot", cpu=300, capacity="SPOT"), node("static", cpu=100)], {"spot": 4, "on-demand": 2}),
    ],
)
def test_what_is_there_is_filled_first(nodes: list[Node], left: dict[str, int]) -> None:
    world = World()
    world.up(*nodes)
    assert by_class(helped([Waiting(pod) for pod in decided(world, 10)], nodes)) == left


def test_a_tainted_group_needs_the_toleration() -> None:
    world = World()
    taint = Taint(LABEL, "SPOT", "NoSchedule")
    groups = {"spot": node("spot", taints=(taint,), capacity="SPOT")}
    (plain,) = decided(world, 1)[:1]
    spot = replace(plain, constraints=NO_CONSTRAINTS)
    assert options(spot, groups) == set()
    tolerant = replace(NO_CONSTRAINTS, tolerations=(Toleration(LABEL, "Equal", "SPOT", "NoSchedule"),))
    assert options(replace(spot, constraints=tolerant), groups) == {"spot"}


def test_who_is_never_helped() -> None:
    nodes = [node("full", cpu=0)]
    waits = make_pod("a", unscheduled=True)
    assert [each.pod.uid for each in helped([Waiting(waits, -10)], nodes)] == ["a"]
    for pod, priority in (
        (replace(waits, nominated="full"), 0),
        (replace(waits, gates=("spotmix.io/placement",)), 0),
        (waits, -11),
    ):
        assert helped([Waiting(pod, priority)], nodes) == []
