"""NodeClaims: for which pods a node may be coming, what room it has, and what it proves once it came."""

from typing import Any

import pytest
from support.doubles import CAPACITY_TYPE, World, make_node_claim, make_pod

from extender.core.model.constraints import Constraints
from extender.core.model.objects import Requests
from extender.core.model.selectors import Requirement
from extender.core.model.taints import Taint, Toleration
from extender.core.state.closures import Demand
from extender.core.state.launches import LaunchRoom, is_proof, may_be_for

ZONE = "topology.kubernetes.io/zone"
MB = 2**20


@pytest.mark.parametrize(
    ("left", "asked", "fits"),
    [
        (Requests(cpu=300, memory=64 * MB), Requests(cpu=100, memory=32 * MB), 2),
        (Requests(cpu=300, memory=640 * MB), Requests(cpu=100, memory=32 * MB), 3),
        (Requests(cpu=300, extended=(("gpu", 1),)), Requests(cpu=100, extended=(("gpu", 1),)), 1),
        (Requests(cpu=300), Requests(cpu=100, extended=(("gpu", 1),)), 0),
        # A node that offers no memory, as far as is said, has none to give.
        (Requests(cpu=300), Requests(cpu=100, memory=1), 0),
        (Requests(memory=64 * MB), Requests(memory=32 * MB), 2),
    ],
)
def test_pods_take_what_is_left(left: Requests, asked: Requests, fits: int) -> None:
    room = LaunchRoom(make_node_claim("x", asked=Requests(cpu=10_000, memory=2**40), offered=left))
    assert [room.take(asked) for _ in range(4)] == [number < fits for number in range(4)]


def test_until_it_is_launched_its_room_is_what_it_was_asked_for() -> None:
    room = LaunchRoom(make_node_claim("x", asked=Requests(cpu=200, memory=MB)))
    assert (room.cpu, room.memory) == (200, MB)


@pytest.mark.parametrize(
    ("taint", "tolerated", "may"),
    [
        (Taint("spot", "yes", "NoSchedule"), (), False),
        (Taint("spot", "yes", "NoSchedule"), (Toleration("other", "Exists"), Toleration("spot", "Exists")), True),
        (Taint("spot", "yes", "PreferNoSchedule"), (), True),
        (Taint("spot", "yes", "NoExecute"), (Toleration("spot", "Equal", "no"),), False),
    ],
)
def test_a_node_with_a_taint_is_for_pods_that_tolerate_it(
    taint: Taint, tolerated: tuple[Toleration, ...], *, may: bool
) -> None:
    world = World()
    world.up(make_pod("p", constraints=Constraints(tolerations=tolerated)))
    assert may_be_for(make_node_claim("x", taints=(taint,)), world.state.pods["p"]) is may


@pytest.mark.parametrize(
    ("labels", "demand", "proof"),
    [
        ({}, Demand(size=3), True),
        ({}, Demand(size=4), False),
        ({ZONE: ("a",)}, Demand(frozenset({Requirement(ZONE, "In", ("a",))}), 1), True),
        ({ZONE: ("b",)}, Demand(frozenset({Requirement(ZONE, "In", ("a",))}), 1), False),
        ({}, Demand(frozenset({Requirement(ZONE, "In", ("a",))}), 1), False),
        # Of volumes, spread and the like a node says nothing that would speak against it.
        ({}, Demand(frozenset({"volumes"}), 1), True),
    ],
)
def test_what_a_node_proves_that_came(labels: dict[str, Any], demand: Demand, *, proof: bool) -> None:
    claim = make_node_claim("x", labels={CAPACITY_TYPE: ("spot",), **labels}, offered=Requests(cpu=500))
    assert is_proof(claim, demand) is proof
