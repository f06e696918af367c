"""What it would come to for workloads whose classes are written on their pods: what the gates' controller does then."""

from typing import Any

import pytest
from msgspec.structs import replace
from support.doubles import ON_DEMAND, SPOT, World, make_pod
from support.whatif import WEB, ask, nodes, one, some

from extender.core.model.constraints import NO_CONSTRAINTS, Constraints
from extender.core.model.objects import OwnerRef
from extender.core.model.reasons import Reason
from extender.core.model.selectors import Requirement
from extender.core.placement.gates import GateController, Release
from extender.core.whatif.outlook import Change, LostPool

AFFINITY: dict[str, Any] = {"spot_percentage": 70, "min_on_demand": 2, "enforcement": "affinity"}
GATE = "spotmix.io/placement"
MARKED = {"labels": {"karpenter.sh/capacity-type": SPOT}}


def required(capacity_class: str) -> Constraints:
    """As it is written on a pod."""
    label = "karpenter.sh/capacity-type"
    if capacity_class == SPOT:
        return replace(NO_CONSTRAINTS, node_selector=((label, SPOT),))
    return replace(NO_CONSTRAINTS, node_terms=((Requirement(label, "NotIn", (SPOT,)),),))


def written(world: World, owner: OwnerRef, uid: str, capacity_class: str, node: str = "", **fields: Any) -> None:
    demands = required(capacity_class)
    world.up(make_pod(uid, owner, node, written=capacity_class, constraints=demands, **fields))


def filled(world: World, owner: OwnerRef, spot: int, on_demand: int) -> None:
    for number in range(spot):
        written(world, owner, f"s{number}", SPOT, f"{SPOT}-a-0")
    for number in range(on_demand):
        written(world, owner, f"o{number}", ON_DEMAND, f"{ON_DEMAND}-a-0")


def decided(world: World, owner: OwnerRef, count: int) -> dict[str, int]:
    """What the real controller writes on so many new pods, beside what is there."""
    for number in range(count):
        world.up(make_pod(f"new-{number}", owner, gates=(GATE,)))
    for release in GateController(world.state).due(world.now + 60):
        assert isinstance(release, Release)
        written(world, owner, release.pod.uid, release.capacity_class)
    revision = world.state.revisions[owner.uid]
    return {name: held for name, held in revision.filled.items() if held}


@pytest.fixture
def world() -> World:
    world = World()
    nodes(world, SPOT, 30, **MARKED)
    nodes(world, ON_DEMAND, 30)
    return world


@pytest.mark.parametrize("size", [11, 15, 20, 28])
def test_new_pods_are_as_the_controller_decides(world: World, size: int) -> None:
    owner = world.deployment("web", 10, **AFFINITY)
    filled(world, owner, 7, 3)
    _, after = one(ask(world, Change(WEB, replicas=size)))
    assert after.pending == {}
    assert some(after.actual) == decided(world, owner, size - 10)


def test_gated_and_written_pods_without_a_node_keep_their_seats(world: World) -> None:
    owner = world.deployment("web", 6, spot_percentage=50, enforcement="affinity")
    written(world, owner, "a", SPOT)
    written(world, owner, "b", SPOT)
    world.up(make_pod("c", owner, gates=(GATE,)), make_pod("d", owner, gates=("kueue.x-k8s.io/admission", GATE)))
    before, after = one(ask(world, Change(WEB, replicas=8)))
    assert (some(before.actual), some(after.actual)) == ({SPOT: 3, ON_DEMAND: 3}, {SPOT: 4, ON_DEMAND: 4})


@pytest.mark.parametrize(("unsatisfiable", "on_demand"), [("fallback", 10), ("wait", 0)])
def test_what_stands_in_replaces_a_pod_whose_class_has_no_room(
    world: World, unsatisfiable: str, on_demand: int
) -> None:
    policy: dict[str, Any] = {"spot_percentage": 100, "when_unsatisfiable": unsatisfiable, "enforcement": "affinity"}
    owner = world.deployment("web", 40, **policy)
    for number in range(40):
        written(world, owner, f"p{number}", SPOT)
    before, _ = one(ask(world, Change(WEB, replicas=41)))
    assert (before.actual[SPOT], before.actual[ON_DEMAND], before.stand_ins) == (30, on_demand, on_demand)
    assert sum(before.pending.values()) == 10 - on_demand


def test_pods_go_to_another_class_without_what_was_written_on_them(world: World) -> None:
    owner = world.deployment("web", 10, **AFFINITY)
    filled(world, owner, 7, 3)
    _, after = one(ask(world, Change(WEB, None, {"spot-percentage": "30%"})))
    assert (after.moves.needed, after.moves.possible, after.moves.blocked) == (4, 4, {})
    assert some(after.eventual) == {SPOT: 3, ON_DEMAND: 7}
    # Lost pods are made anew for the seats that are free then, which are those of the lost.
    _, after = one(ask(world, Change(WEB, lost_pools=(LostPool(ON_DEMAND),))))
    assert (some(after.actual), after.pending) == ({SPOT: 7}, {Reason.NO_NODE: 3})
